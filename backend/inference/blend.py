# SPDX-License-Identifier: GPL-2.0-or-later
"""Blends the probabilities of overlapping tiles, one row of tiles at a time.

The buffer is as high as a tile: when the next row of tiles starts at y, everything above y is final and leaves. The weights of all
tiles add up to one at each pixel (`plan.tile_weights`), so there is nothing to divide by, and the result is the same as blending
the whole raster in memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .plan import ColumnBand, TilePlan, tile_weights


class BlendBuffer:
    """Probabilities of the rows that are not final yet, for one column band.

    Memory: classes × tile × columns of the band's tiles × 4 bytes, whatever the raster's height.

    Args:
        plan: The tiles.
        band: The columns.
        classes: Output channels.
        device: Where to add up.
    """

    def __init__(self, plan: TilePlan, band: ColumnBand, classes: int, device: str) -> None:
        self._plan = plan
        self._band = band
        self._first = plan.columns[band.tiles[0]]
        width = plan.columns[band.tiles[-1]] + plan.tile - self._first
        self._sums = torch.zeros(classes, plan.tile, width, device=device)  # (classes, tile, columns)
        self._across = torch.from_numpy(tile_weights(plan.columns, plan.tile)).to(device)  # (tile columns, tile)
        self._down = torch.from_numpy(tile_weights(plan.rows, plan.tile)).to(device)  # (tile rows, tile)

    def add(self, row: int, column: int, probabilities: Tensor) -> None:
        """Adds the probabilities (classes, tile, tile), float32, of the tile in this tile row and tile column."""
        left = self._plan.columns[column] - self._first
        weight = self._down[row][:, None] * self._across[column][None, :]  # (tile, tile)
        self._sums[:, :, left : left + self._plan.tile].addcmul_(probabilities, weight)

    def _final_rows(self, row: int) -> int:
        plan = self._plan
        is_last = row == len(plan.rows) - 1
        return plan.height - plan.rows[row] if is_last else plan.rows[row + 1] - plan.rows[row]

    def final(self, row: int) -> Tensor:
        """Rows that no later tile reaches, after all tiles of tile row ``row`` were added.

        Returns:
            (classes, rows, columns of the band), float32; 0 where no tile was computed. A view that `advance` makes invalid.
        """
        left = self._band.left - self._first
        return self._sums[:, : self._final_rows(row), left : left + self._band.right - self._band.left]

    def advance(self, row: int) -> None:
        """Moves the buffer past the final rows of tile row ``row``."""
        count, tile = self._final_rows(row), self._plan.tile
        # In pieces that do not overlap with their target, which spares a copy of the whole buffer.
        for start in range(count, tile, count):
            end = min(start + count, tile)
            self._sums[:, start - count : end - count] = self._sums[:, start:end]
        self._sums[:, tile - count :] = 0
