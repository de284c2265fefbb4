# SPDX-License-Identifier: GPL-2.0-or-later
"""A histogram of values whose range is not known beforehand, counted exactly in one pass.

The bins are as wide as a power of two and start at multiples of it. When a value lies too far out, neighbouring bins are merged in
pairs until all fit, which loses no count. Example with 256 bins: bytes keep bins one wide; 0 to 10,000 gives bins 64 wide.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 256
SMALLEST_WIDTH = 2.0**-100


class Histogram:
    """Counts of one band.

    Args:
        is_integer: The values are whole numbers, so a bin is at least one wide.

    Attributes:
        width: Width of a bin; a power of two.
        counts: Values in each bin, from the first that is not empty.
    """

    def __init__(self, is_integer: bool) -> None:
        self._is_integer = is_integer
        self._first = 0  # number of the first bin: it starts at this times the width
        self.width = 1.0
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the bins, one more than counts."""
        return (self._first + np.arange(self.counts.size + 1)) * self.width

    def add(self, values: NDArray[np.floating]) -> None:
        """Counts finite values of any shape."""
        if values.size == 0:
            return
        low, high = float(values.min()), float(values.max())
        if self.counts.size == 0:
            self.width = self._choose_width(low, high)
            self._first = math.floor(low / self.width)
        self._make_room(low, high)
        places = np.floor(values.ravel().astype(np.float64) / self.width).astype(np.int64) - self._first
        self.counts += np.bincount(places, minlength=self.counts.size)

    def _choose_width(self, low: float, high: float) -> float:
        span = high - low or abs(high) / BINS
        if self._is_integer:
            span = max(span, float(BINS))
        return max(2.0 ** math.ceil(math.log2(span / BINS)) if span > 0 else 1.0, SMALLEST_WIDTH)

    def _make_room(self, low: float, high: float) -> None:
        """Widens the bins until there are at most `BINS` from the lowest to the highest value, and adds the missing ones."""
        while True:
            first = min(self._first, math.floor(low / self.width)) if self.counts.size else math.floor(low / self.width)
            last = max(self._first + self.counts.size - 1, math.floor(high / self.width))
            if last - first < BINS:
                break
            self._merge_pairs()
        counts = np.zeros(last - first + 1, np.int64)
        counts[self._first - first : self._first - first + self.counts.size] = self.counts
        self._first, self.counts = first, counts

    def _merge_pairs(self) -> None:
        first = self._first // 2
        places = (self._first + np.arange(self.counts.size)) // 2 - first
        self.counts = np.bincount(places, weights=self.counts).astype(np.int64) if self.counts.size else self.counts
        self._first = first
        self.width *= 2
