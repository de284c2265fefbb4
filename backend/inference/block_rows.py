# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of a raster from top to bottom, read by whole rows of blocks, so that no compressed block has to be decoded twice.

A file is stored in blocks of, say, 512 rows, and GDAL decodes a block as a whole. Tiles end where they like: what lies below in
the same blocks is wanted for the next row of tiles. GDAL's cache would keep the blocks, but a row of them across a wide raster with
many bands does not fit. So the rows down to the end of the blocks are kept here, in the raster's own type. Example: blocks of 512,
the first 700 rows are asked for: the rows 0 to 1,023 are read, and 324 of them are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..imagery.raster import RasterReader
from .plan import READ_AHEAD


def read_step(block: int, tile: int) -> int:
    """Rows to whose multiples is read: a whole number of blocks; 1 where blocks are so tall that their rows would fill the memory.

    A virtual raster tells blocks of 128 rows whatever its files are made of, mostly 256 or 512. The multiple of its blocks that comes
    nearest to 512 suits these, too.

    Args:
        block: Rows of a block.
        tile: Rows of a tile.
    """
    most = max(tile, READ_AHEAD)
    return 1 if block > most else block * max(READ_AHEAD // block, 1)


class BlockRows:
    """Hands out the rows of some columns one after the other.

    Args:
        reader: The open raster.
        window: The rows, from the first to the last that will be asked for, and the columns.
        step: See `read_step`.
    """

    def __init__(self, reader: RasterReader, window: Window, step: int) -> None:
        self._reader = reader
        self._columns = (int(window.col_off), int(window.width))
        self._next = int(window.row_off)
        self._end = int(window.row_off + window.height)
        self._step = step
        self._kept, self._kept_valid = self._read(0)

    def read_into(self, image: NDArray[np.float32]) -> NDArray[np.bool_]:
        """The next rows.

        Args:
            image: (bands, rows, columns) to be filled, after scale and offset, 0 where invalid.

        Returns:
            Valid pixels (rows, columns).

        Raises:
            ToolboxError: The file is damaged there.
        """
        rows, ready = image.shape[1], min(image.shape[1], self._kept.shape[1])
        valid = np.empty(image.shape[1:], bool)
        valid[:ready] = self._kept_valid[:ready]
        self._reader.to_physical(self._kept[:, :ready], valid[:ready], image[:, :ready])
        if ready == rows:
            self._kept, self._kept_valid = self._kept[:, ready:], self._kept_valid[ready:]
            return valid
        self._kept, self._kept_valid = self._read(0)  # given back before more is read
        missing = rows - ready
        stored, fresh = self._read(min(-(-(self._next + missing) // self._step) * self._step, self._end) - self._next)
        valid[ready:] = fresh[:missing]
        self._reader.to_physical(stored[:, :missing], fresh[:missing], image[:, ready:])
        # Copies: views would hold on to all that was read.
        self._kept, self._kept_valid = stored[:, missing:].copy(), fresh[missing:].copy()
        return valid

    def _read(self, rows: int) -> tuple[np.ndarray, NDArray[np.bool_]]:
        """The next stored rows of the raster."""
        left, width = self._columns
        read = self._reader.read_raw(Window(left, self._next, width, rows))
        self._next += rows
        return read
