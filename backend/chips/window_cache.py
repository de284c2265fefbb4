# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads each block of a grid once, in threads, and cuts windows from the blocks.

For overlapping windows that come from top to bottom. Blocks are held until the caller says that no later window needs them; what a
claim still needs is held by the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

Arrays = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Claim:
    """A window whose blocks are being read.

    Attributes:
        window: The window; may reach beyond the grid.
        blocks: (column, row) of each block's upper left pixel, and its arrays to come.
    """

    window: Window
    blocks: list[tuple[int, int, Future[Arrays]]]

    def cut(self, fill: Arrays) -> Arrays:
        """The window's arrays; waits for the blocks. One block that holds the whole window gives views.

        Args:
            fill: An array per result whose shape but for rows and columns, type and value are those of pixels beyond the grid.
        """
        left, top = int(self.window.col_off), int(self.window.row_off)
        height, width = int(self.window.height), int(self.window.width)
        if len(self.blocks) == 1:
            column, row, future = self.blocks[0]
            arrays = future.result()
            rows, columns = slice(top - row, top - row + height), slice(left - column, left - column + width)
            if top >= row and left >= column and rows.stop <= arrays[0].shape[-2] and columns.stop <= arrays[0].shape[-1]:
                return tuple(array[..., rows, columns] for array in arrays)
        results = tuple(np.full((*empty.shape[:-2], height, width), empty.flat[0], empty.dtype) for empty in fill)
        for column, row, future in self.blocks:
            for result, array in zip(results, future.result(), strict=True):
                start = max(row, top), max(column, left)
                stop = min(row + array.shape[-2], top + height), min(column + array.shape[-1], left + width)
                target = slice(start[0] - top, stop[0] - top), slice(start[1] - left, stop[1] - left)
                source = slice(start[0] - row, stop[0] - row), slice(start[1] - column, stop[1] - column)
                result[(..., *target)] = array[(..., *source)]
        return results


class WindowCache:
    """The blocks of one grid.

    Args:
        load: Reads a window inside the grid; called in threads.
        size: (columns, rows) of the grid.
        block: (columns, rows) of a block.
        pool: Runs `load`. Tasks start in the order of submission, so a task that waits for blocks claimed before it never locks up.
    """

    def __init__(
        self, load: Callable[[Window], Arrays], size: tuple[int, int], block: tuple[int, int], pool: ThreadPoolExecutor
    ) -> None:
        self._load = load
        self._size = size
        self._block = block
        self._pool = pool
        self._blocks: dict[tuple[int, int], Future[Arrays]] = {}

    def claim(self, window: Window) -> Claim:
        """Has the blocks of a window read that are not there yet."""
        blocks = []
        for row in self._starts(1, int(window.row_off), int(window.height)):
            for column in self._starts(0, int(window.col_off), int(window.width)):
                if (row, column) not in self._blocks:
                    columns, rows = min(self._block[0], self._size[0] - column), min(self._block[1], self._size[1] - row)
                    self._blocks[row, column] = self._pool.submit(self._load, Window(column, row, columns, rows))
                blocks.append((column, row, self._blocks[row, column]))
        return Claim(window, blocks)

    def _starts(self, axis: int, first: int, length: int) -> Sequence[int]:
        """First pixels of the blocks that a span meets."""
        step, end = self._block[axis], min(first + length, self._size[axis])
        first = max(first, 0)
        return range(first // step * step, end, step) if end > first else ()

    def drop_above(self, row: int) -> None:
        """Forgets the blocks that end above a row."""
        for key in [key for key in self._blocks if key[0] + self._block[1] <= row]:
            del self._blocks[key]

    def clear(self) -> None:
        """Forgets all blocks."""
        self._blocks.clear()
