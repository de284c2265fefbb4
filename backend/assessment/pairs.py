# SPDX-License-Identifier: GPL-2.0-or-later
"""Windows of class values, and counts of pairs of them at the speed of memory. numpy only.

A window of classes is uint16 with `NOTHING` where there is no class, or, to be quick, uint8 with `NOTHING_8`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# Stand for "no class here" (nodata, unlabelled, outside); class values end at 65,534, in uint8 windows at 254.
NOTHING, NOTHING_8 = 65_535, 255
_VALUES, _VALUES_8 = NOTHING + 1, NOTHING_8 + 1
# Pixels counted at a time: the index of so many stays in the processor's cache. The best sizes of those tried.
_AT_ONCE, _AT_ONCE_4 = 1 << 18, 1 << 20
_NOTHING_4 = 15  # windows whose classes end at 14 are counted in four bits

Classes = NDArray[np.uint16] | NDArray[np.uint8]


def widen(values: Classes) -> NDArray[np.uint16]:
    """A window as uint16; itself when it is that already."""
    if values.dtype == np.uint16:
        return values
    wide = values.astype(np.uint16)
    wide[values == NOTHING_8] = NOTHING
    return wide


class PairCounter:
    """How often each class value of a map meets each class value of a reference.

    Values need not be known beforehand; pairs with `NOTHING` are counted as well and can be told apart.
    """

    def __init__(self) -> None:
        self._axes = (_Axis(), _Axis())
        self._counts = np.zeros((0, 0), np.int64)
        self._counts_8 = np.zeros(_VALUES_8 * _VALUES_8, np.int64)
        self._counts_4 = np.zeros(_VALUES, np.int64)
        self._ignored: set[int] = set()

    def update(self, first: Classes, second: Classes) -> None:
        """Adds the pixels of two windows (rows, columns) of one shape."""
        if first.shape != second.shape:
            raise ValueError(f"the windows have the shapes {first.shape} and {second.shape}")
        if first.dtype == second.dtype == np.uint8 and _fits_4(first) and _fits_4(second):
            self._update_4(first.reshape(-1), second.reshape(-1))
        elif first.dtype == second.dtype == np.uint8:
            self._update_8(first.reshape(-1), second.reshape(-1))
        else:
            self._update_16(widen(first).reshape(-1), widen(second).reshape(-1))

    def ignore(self, value: int) -> None:
        """From now on, also for pixels counted already, a value of the second raster counts as `NOTHING`."""
        self._ignored.add(value)

    def _update_4(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> None:
        """Packs each pair into a byte and counts two neighbouring bytes at once, which halves the time."""
        index = first << 4
        index |= second & _NOTHING_4
        if index.size % 2:
            self._counts_8[int(first[-1]) << 8 | int(second[-1])] += 1
            index = index[:-1]
        twins = index.view(np.uint16)
        for start in range(0, twins.size, _AT_ONCE_4):
            self._counts_4 += np.bincount(twins[start : start + _AT_ONCE_4], minlength=self._counts_4.size)

    def _update_8(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> None:
        for start in range(0, first.size, _AT_ONCE):
            index = first[start : start + _AT_ONCE].astype(np.intp)
            index <<= 8
            index |= second[start : start + _AT_ONCE]
            self._counts_8 += np.bincount(index, minlength=self._counts_8.size)

    def _update_16(self, first: NDArray[np.uint16], second: NDArray[np.uint16]) -> None:
        for start in range(0, first.size, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            rows, columns = self._axes[0].index(first[part]), self._axes[1].index(second[part])
            height, width = (axis.size for axis in self._axes)
            if self._counts.shape != (height, width):
                grown = np.zeros((height, width), np.int64)
                grown[: self._counts.shape[0], : self._counts.shape[1]] = self._counts
                self._counts = grown
            index = rows.astype(np.intp)  # many classes of both sides may be more pairs than 32 bits hold
            index *= width
            index += columns
            self._counts += np.bincount(index, minlength=height * width).reshape(height, width)

    @property
    def pairs(self) -> dict[tuple[int, int], int]:
        """Count of each pair (first, second) that occurs."""
        found: dict[tuple[int, int], int] = {}
        first, second = (axis.values for axis in self._axes)
        narrow = [*range(NOTHING_8), NOTHING]
        few = [*range(_NOTHING_4), NOTHING]
        twins = self._counts_4.reshape(_VALUES_8, _VALUES_8)
        for counts, rows, columns in (
            (self._counts, first, second),
            (self._counts_8.reshape(_VALUES_8, _VALUES_8), narrow, narrow),
            ((twins.sum(axis=0) + twins.sum(axis=1)).reshape(_NOTHING_4 + 1, -1), few, few),
        ):
            for row, column in np.argwhere(counts).tolist():
                value = NOTHING if columns[column] in self._ignored else columns[column]
                pair = rows[row], value
                found[pair] = found.get(pair, 0) + int(counts[row, column])
        return found

    @property
    def first_totals(self) -> dict[int, int]:
        """Pixels of each value of the first raster, whatever the second says, without `NOTHING`."""
        totals: dict[int, int] = {}
        for (value, _), count in sorted(self.pairs.items()):
            if value != NOTHING:
                totals[value] = totals.get(value, 0) + count
        return totals

    def matrix(self, class_values: Iterable[int]) -> NDArray[np.int64]:
        """Square array (second, first) of the pairs of these values: with a map first and a reference second, (label, prediction)."""
        values = list(class_values)
        place = {value: index for index, value in enumerate(values)}
        counts = np.zeros((len(values), len(values)), np.int64)
        for (first, second), count in self.pairs.items():
            if first in place and second in place:
                counts[place[second], place[first]] = count
        return counts


def _fits_4(values: NDArray[np.uint8]) -> bool:
    """Whether all classes of a window are below 15."""
    highest = int(values.max(initial=0))
    if highest == NOTHING_8:
        highest = int((values + np.uint8(1)).max()) - 1  # 255, which is no class, becomes 0
    return highest < _NOTHING_4


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
