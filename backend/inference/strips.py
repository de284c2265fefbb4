# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the rows of tiles in a thread of its own, ahead of the network; each pixel of a band is read once, by whole rows of blocks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..imagery.raster import RasterReader
from .block_rows import BlockRows, read_step
from .mask import MaskPolygons
from .plan import ColumnBand, TilePlan

STRIPS_AHEAD = 1  # and one more that the reader holds until there is room
WAIT_SECONDS = 0.2
STOP_SECONDS = 1.0  # a read of a slow drive is not waited for longer; the thread ends after it


@dataclass(frozen=True)
class Strip:
    """The pixels under one row of tiles.

    Attributes:
        row: Number of the tile row.
        image: (bands, tile, columns of the band's tiles) float32 after scale and offset, 0 where invalid.
        valid: (tile, columns) bool: pixels with data, which the network looks at.
        wanted: (tile, columns) bool: those of them that are classified.
    """

    row: int
    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    wanted: NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """Where pixels come from.

    Attributes:
        raster: GDAL source.
        bands: One-based bands in the model's order.
        mask: What is classified; None = all that has data.
    """

    raster: str
    bands: Sequence[int]
    mask: MaskPolygons | None = None


class StripReader:
    """Context manager around the reading thread of one column band.

    Args:
        source: What is read.
        window: Part of the raster that the plan covers.
        plan: The tiles.
        band: The columns.
        rows: Numbers of the tile rows to read.
    """

    def __init__(self, source: Source, window: Window, plan: TilePlan, band: ColumnBand, rows: range) -> None:
        self._source = source
        self._window = window
        self._plan = plan
        self._band = band
        self._rows = rows
        self._queue: queue.Queue[Strip | BaseException | None] = queue.Queue(STRIPS_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="strip reader", daemon=True)

    def __enter__(self) -> StripReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(STOP_SECONDS)

    def __iter__(self) -> Iterator[Strip | None]:
        """The strips from top to bottom; None when the next one is not there yet, so that the caller stays responsive.

        Raises:
            Exception: Whatever ended the reading.
        """
        while True:
            try:
                item = self._queue.get(timeout=WAIT_SECONDS)
            except queue.Empty:
                yield None
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _run(self) -> None:
        try:
            with RasterReader(self._source.raster, self._source.bands) as reader:
                for strip in self._read(reader):
                    self._put(strip)
                    if self._stopped.is_set():
                        return
            self._put(None)
        except Exception as failure:  # handed over and raised in the caller's thread
            self._put(failure)

    def _put(self, item: Strip | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=WAIT_SECONDS)
                return
            except queue.Full:
                continue

    def _read(self, reader: RasterReader) -> Iterator[Strip]:
        plan = self._plan
        left = plan.columns[self._band.tiles[0]]
        width = min(plan.columns[self._band.tiles[-1]] + plan.tile, plan.width) - left
        image = np.zeros((len(reader.bands), 0, width), np.float32)
        valid = wanted = np.zeros((0, width), bool)
        read_to = plan.rows[self._rows.start] if self._rows else 0
        source = BlockRows(reader, self._whole(left, width), read_step(reader.info.block_shape[0], plan.tile))
        for row in self._rows:
            top = plan.rows[row]
            bottom = min(top + plan.tile, plan.height)
            window = Window(self._window.col_off + left, self._window.row_off + read_to, width, bottom - read_to)
            shared = read_to - top
            following = np.empty((len(reader.bands), bottom - top, width), np.float32)
            following[:, :shared] = image[:, image.shape[1] - shared :]
            fresh_valid = source.read_into(following[:, shared:])
            image = following
            fresh_wanted = fresh_valid if self._source.mask is None else fresh_valid & self._source.mask.read(window)
            valid = np.concatenate([valid[valid.shape[0] - shared :], fresh_valid])
            wanted = np.concatenate([wanted[wanted.shape[0] - shared :], fresh_wanted])
            read_to = bottom
            yield Strip(row, *_pad(image, valid, wanted, plan.tile))

    def _whole(self, left: int, width: int) -> Window:
        """What is read of the raster: some columns of the window, from the first row of tiles to the last."""
        plan, rows = self._plan, self._rows
        top, bottom = (plan.rows[rows.start], min(plan.rows[rows.stop - 1] + plan.tile, plan.height)) if rows else (0, 0)
        return Window(self._window.col_off + left, self._window.row_off + top, width, bottom - top)


def _pad(
    image: NDArray[np.float32], valid: NDArray[np.bool_], wanted: NDArray[np.bool_], tile: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Continues a raster smaller than a tile by its mirror image, which looks more like ground than a black border."""
    missing = ((0, max(tile - valid.shape[0], 0)), (0, max(tile - valid.shape[1], 0)))
    if not any(after for _, after in missing):
        return image, valid, wanted
    return np.pad(image, ((0, 0), *missing), mode="reflect"), np.pad(valid, missing, mode="reflect"), np.pad(wanted, missing)
