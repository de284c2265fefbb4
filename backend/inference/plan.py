# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the tiles lie and how much each counts at every pixel. Pure geometry; knows no raster and no network.

Along one axis the tiles are spread evenly, the first and the last flush with the edges. Example: 1,000 pixels, tiles of 512 with at
least 64 of overlap: starts 0, 244, 488; with 600 pixels: 0 and 88. The same rule holds along the other axis, so a pixel's weight
is the product of two numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# A weight of zero would leave a pixel that only one tile covers without any answer.
SMALLEST_WEIGHT = 1e-3
# Column bands begin and end on blocks of the output file.
BAND_STEP = 512
# Copies of a strip of pixels at one time: one in work, one waiting, and one the reader puts together from the rows it reads, a tile
# and what lies below in the same blocks.
STRIP_COPIES = 3
# Rows that are read to the end of their blocks, at least; if tiles are taller, up to their height.
READ_AHEAD = 512
# The rows that tiles are added to, and those that are written meanwhile.
PROBABILITY_COPIES = 2


def column_bytes(tile: int, classes: int, bands: int) -> int:
    """Bytes per column of a row of tiles: the probabilities, and the pixels (float32) with their valid mask."""
    pixel_rows = STRIP_COPIES * tile + tile + max(tile, READ_AHEAD)
    return tile * PROBABILITY_COPIES * 4 * classes + pixel_rows * (4 * bands + 1)


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixel of each tile along an axis; neighbours share at least ``overlap`` pixels.

    Args:
        length: Pixels along the axis; up to ``tile`` there is one tile.
        tile: Pixels of a tile.
        overlap: Pixels, at most half a tile.
    """
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(number * (length - tile) / (count - 1)) for number in range(count)]


def tile_weights(starts: Sequence[int], tile: int) -> NDArray[np.float32]:
    """Weight of each tile along an axis, (tiles, tile); at every pixel the weights of the tiles that cover it add up to one.

    Raised-cosine ramps over the actual overlap with each neighbour; 1 where there is none.
    """
    raw = np.ones((len(starts), tile))
    for number, (start, following) in enumerate(pairwise(starts)):
        shared = start + tile - following
        if shared > 0:
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(shared) + 0.5) / shared)
            raw[number + 1, :shared] *= ramp
            raw[number, tile - shared :] *= ramp[::-1]
    raw = np.maximum(raw, SMALLEST_WEIGHT)
    # Three tiles meet where the even spread makes an overlap larger than half a tile, hence the division.
    total = np.zeros(starts[-1] + tile)
    for start, weight in zip(starts, raw, strict=True):
        total[start : start + tile] += weight
    return np.stack([weight / total[start : start + tile] for start, weight in zip(starts, raw, strict=True)]).astype(np.float32)


@dataclass(frozen=True)
class ColumnBand:
    """A range of output columns, and the tile columns that reach into it.

    Attributes:
        left: First column.
        right: Column after the last.
        tiles: Numbers of the tile columns.
    """

    left: int
    right: int
    tiles: range


@dataclass(frozen=True)
class TilePlan:
    """All tiles of a raster (or of the part that is wanted).

    Attributes:
        width: Columns of the output.
        height: Rows of the output.
        tile: Side of a tile.
        columns: Starts of the tile columns.
        rows: Starts of the tile rows.
        bands: Column bands, left to right; one unless the memory is short.
    """

    width: int
    height: int
    tile: int
    columns: tuple[int, ...]
    rows: tuple[int, ...]
    bands: tuple[ColumnBand, ...]

    @property
    def widest(self) -> int:
        """Columns of the widest band with all its tiles, which the memory must hold."""
        return max(self.columns[band.tiles[-1]] + self.tile - self.columns[band.tiles[0]] for band in self.bands)

    @property
    def tile_count(self) -> int:
        """Tiles to compute, those on the border of two bands counted twice."""
        return len(self.rows) * sum(len(band.tiles) for band in self.bands)

    @property
    def overlap_factor(self) -> float:
        """Pixels that the network computes per pixel of the output."""
        return self.tile_count * self.tile**2 / (self.width * self.height)

    def first_needed(self, row: int) -> int:
        """The first tile row that reaches into the pixels below the top of tile row ``row``."""
        return next(number for number, top in enumerate(self.rows) if top + self.tile > self.rows[row])

    def share(self, rank: int, size: int) -> range:
        """The tile rows of one of ``size`` processes: neighbouring ones, as many as the others' but for one; maybe none."""
        count = len(self.rows)
        return range(count * rank // size, count * (rank + 1) // size)


def make_plan(width: int, height: int, tile: int, overlap: int, widest_band: int) -> TilePlan:
    """The plan for an output of ``width`` × ``height`` pixels; a band has at most ``widest_band`` columns, or one tile's."""
    columns, rows = tile_starts(width, tile, overlap), tile_starts(height, tile, overlap)
    # A band also holds the tiles that reach over its edges, up to a tile on either side.
    step = max((widest_band - 2 * tile) // BAND_STEP, 1) * BAND_STEP if width > widest_band else width
    bands = []
    for left in range(0, width, step):
        right = min(left + step, width)
        inside = [number for number, start in enumerate(columns) if start < right and start + tile > left]
        bands.append(ColumnBand(left, right, range(inside[0], inside[-1] + 1)))
    return TilePlan(width, height, tile, tuple(columns), tuple(rows), tuple(bands))
