# SPDX-License-Identifier: GPL-2.0-or-later
"""The grid of cells in which the segments start, and the tiles of whole cells in which they are computed.

Every tile is read with some cells around it. A pixel only ever joins the segment of its own or a neighbouring cell, so tiles agree
at their borders but for the little that segments further away move those in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

TILE_PIXELS = 512  # side of a tile, about
HALO_CELLS = 4


@dataclass(frozen=True)
class Axis:
    """One direction of the grid: pixels divided evenly among cells.

    Attributes:
        pixels: Length.
        cells: Number of cells; at least 1.
    """

    pixels: int
    cells: int

    @classmethod
    def divide(cls, pixels: int, size: int) -> Axis:
        """Cells of about ``size`` pixels."""
        return cls(pixels, max(round(pixels / size), 1))

    def start(self, cell: int) -> int:
        """First pixel of a cell; of the cell after the last: the length."""
        return -(-cell * self.pixels // self.cells)

    def cells_of(self, first: int, last: int) -> NDArray[np.intp]:
        """Cell of each pixel from ``first`` to before ``last``."""
        return np.arange(first, last) * self.cells // self.pixels

    def groups(self, pixels: int) -> list[tuple[int, int]]:
        """First cell and cell after the last of groups of about so many pixels."""
        count = max(min(round(self.pixels / pixels), self.cells), 1)
        edges = [group * self.cells // count for group in range(count + 1)]
        return list(pairwise(edges))


@dataclass(frozen=True)
class Tile:
    """A tile of whole cells.

    Attributes:
        core: Window of the image that it decides.
        window: Window that is read for it.
        rows: Cell row of each pixel row of the window, within the whole grid.
        columns: Cell column of each pixel column.
    """

    core: Window
    window: Window
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def core_slices(self) -> tuple[slice, slice]:
        """The core within the window."""
        top, left = int(self.core.row_off - self.window.row_off), int(self.core.col_off - self.window.col_off)
        return slice(top, top + int(self.core.height)), slice(left, left + int(self.core.width))


@dataclass(frozen=True)
class CellGrid:
    """The grid over an image."""

    down: Axis
    across: Axis

    @classmethod
    def cover(cls, width: int, height: int, size: int) -> CellGrid:
        """Cells of about ``size`` pixels over an image."""
        return cls(Axis.divide(height, size), Axis.divide(width, size))

    def rows_of_tiles(self) -> Iterator[list[Tile]]:
        """All tiles, a row of them at a time; their cores cover the image once."""
        for vertical in self.down.groups(TILE_PIXELS):
            yield [self._tile(vertical, horizontal) for horizontal in self.across.groups(TILE_PIXELS)]

    def _tile(self, vertical: tuple[int, int], horizontal: tuple[int, int]) -> Tile:
        top, bottom, rows_from, rows_to = _span(self.down, vertical)
        left, right, columns_from, columns_to = _span(self.across, horizontal)
        return Tile(
            Window(left, top, right - left, bottom - top),
            Window(columns_from, rows_from, columns_to - columns_from, rows_to - rows_from),
            self.down.cells_of(rows_from, rows_to),
            self.across.cells_of(columns_from, columns_to),
        )


def _span(axis: Axis, cells: tuple[int, int]) -> tuple[int, int, int, int]:
    """First pixel and pixel after the last, without and with the cells around."""
    first, last = cells
    around = max(first - HALO_CELLS, 0), min(last + HALO_CELLS, axis.cells)
    return axis.start(first), axis.start(last), axis.start(around[0]), axis.start(around[1])
