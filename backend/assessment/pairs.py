# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts of pairs of class values, gathered window by window at the speed of memory. numpy only."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# Stands for "no class here" (nodata, unlabelled, outside) in windows of class values; class values end at 65,534.
NOTHING = 65_535
_VALUES = NOTHING + 1
# Pixels counted at a time: the index of so many stays in the processor's cache.
_AT_ONCE = 1 << 18


class PairCounter:
    """How often each class value of a map meets each class value of a reference.

    Values need not be known beforehand; pairs with `NOTHING` are counted as well and can be told apart.
    """

    def __init__(self) -> None:
        self._axes = (_Axis(), _Axis())
        self._counts = np.zeros((0, 0), np.int64)

    def update(self, first: NDArray[np.uint16], second: NDArray[np.uint16]) -> None:
        """Adds the pixels of two windows (rows, columns) of one shape."""
        if first.shape != second.shape:
            raise ValueError(f"the windows have the shapes {first.shape} and {second.shape}")
        firsts, seconds = first.reshape(-1), second.reshape(-1)
        for start in range(0, firsts.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            rows, columns = self._axes[0].index(firsts[part]), self._axes[1].index(seconds[part])
            height, width = (axis.size for axis in self._axes)
            if self._counts.shape != (height, width):
                grown = np.zeros((height, width), np.int64)
                grown[: self._counts.shape[0], : self._counts.shape[1]] = self._counts
                self._counts = grown
            rows *= width
            rows += columns
            self._counts += np.bincount(rows, minlength=height * width).reshape(height, width)

    @property
    def pairs(self) -> dict[tuple[int, int], int]:
        """Count of each pair (first, second) that occurs."""
        rows, columns = np.nonzero(self._counts)
        first, second = (axis.values for axis in self._axes)
        return {
            (first[row], second[column]): int(self._counts[row, column])
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        }

    @property
    def first_totals(self) -> dict[int, int]:
        """Pixels of each value of the first raster, whatever the second says, without `NOTHING`."""
        totals = self._counts.sum(axis=1).tolist()
        return {value: total for value, total in zip(self._axes[0].values, totals, strict=True) if value != NOTHING}

    def matrix(self, class_values: Iterable[int]) -> NDArray[np.int64]:
        """Square array (second, first) of the pairs of these values: with a map first and a reference second, (label, prediction)."""
        values = list(class_values)
        place = {value: index for index, value in enumerate(values)}
        counts = np.zeros((len(values), len(values)), np.int64)
        for (first, second), count in self.pairs.items():
            if first in place and second in place:
                counts[place[second], place[first]] = count
        return counts


class _Axis:
    """Numbers values in the order in which they turn up."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self._table = np.full(_VALUES, -1, np.int32)

    @property
    def size(self) -> int:
        return len(self.values)

    def index(self, values: NDArray[np.uint16]) -> NDArray[np.int32]:
        """Number of each value (n,); new values get the next numbers."""
        numbers = self._table[values]
        if (numbers < 0).any():
            fresh = np.unique(values[numbers < 0])
            self._table[fresh] = np.arange(self.size, self.size + fresh.size)
            self.values += fresh.tolist()
            numbers = self._table[values]
        return numbers
