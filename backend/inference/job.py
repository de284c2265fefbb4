# SPDX-License-Identifier: GPL-2.0-or-later
"""The streaming loop of a classification: strips of pixels in, final rows of classes out.

Per column band and row of tiles: take the strip that the reading thread has ready, run the network on the tiles that hold data,
blend, hand the rows that no later tile reaches to the writing thread. The network and the blending run in one thread of their own,
so that a slow step does not keep the stage from telling its progress and from being stopped. Memory: see `plan.column_bytes`.

A job may begin in the middle, be it to go on after an interruption or to do its share among several processes: then it also computes
the rows of tiles before that reach into its own, so that its pixels are the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np
import torch
from rasterio.windows import Window
from torch import Tensor

from ..imagery.normalise import normalise
from ..models.definition import ModelDescription
from ..runtime.failures import is_out_of_memory
from ..runtime.protocol import Event, info, progress, warning
from .blend import BlendBuffer
from .pace import Pace
from .plan import ColumnBand, TilePlan
from .predict import TilePredictor
from .row_writer import FinalRows, RowWriter
from .strips import Source, Strip, StripReader
from .writer import RasterOutput

COPY_SHARE = 0.95  # of the progress bar, where the network ends and the final copy begins
PROGRESS_SECONDS = 0.3


class TileTooLargeError(Exception):
    """A single tile, of `tile` pixels a side, does not fit into the memory of the device."""

    def __init__(self, tile: int) -> None:
        super().__init__(tile)
        self.tile = tile


@dataclass
class Job:
    """Everything a classification works with.

    Attributes:
        source: The raster's bands, and what of it is classified.
        window: Part of the raster to look at.
        wanted: Part of the raster to write, within `window`.
        plan: Its tiles.
        model: The model.
        predictor: Runs the network.
        torch_device: Where it runs.
        rows: Numbers of the tile rows to write; all of them, or the share of this process.
        counts: Pixels of each class value written so far; only values that occur.
        band: Number of the column band in work.
        row: Number of the next tile row of that band.
        done: Tiles behind us, computed or without data.
    """

    source: Source
    window: Window
    wanted: Window
    plan: TilePlan
    model: ModelDescription
    predictor: TilePredictor
    torch_device: str
    rows: range
    counts: dict[int, int] = field(default_factory=dict)
    band: int = 0
    row: int = 0
    done: int = 0
    _told: float = 0.0
    _pace: Pace = field(default_factory=Pace)

    @property
    def tile_count(self) -> int:
        """Tiles of this process."""
        return len(self.rows) * sum(len(band.tiles) for band in self.plan.bands)

    def run(self, outputs: Sequence[RasterOutput], keep: Callable[[], None]) -> Iterator[Event]:
        """Classifies all bands and rows into rasters; yields progress and warnings.

        Args:
            outputs: The rasters.
            keep: Called after each row of tiles, when everything before `band` and `row` is written.

        Raises:
            ToolboxError: A damaged file, or a full disk.
            TileTooLargeError: Too little memory for one tile.
        """
        network = ThreadPoolExecutor(1, thread_name_prefix="network")
        try:
            with RowWriter(outputs, self.model.class_values, self.counts) as writer:
                while self.band < len(self.plan.bands) and self.rows:
                    yield from self._run_band(self.plan.bands[self.band], network, writer, keep)
                    self.band, self.row = self.band + 1, 0
        finally:
            # A step under way cannot be interrupted and writes to memory only: nobody has to wait for it.
            network.shutdown(wait=False)

    def _run_band(self, band: ColumnBand, network: Executor, writer: RowWriter, keep: Callable[[], None]) -> Iterator[Event]:
        """The rows of a column band from `row` on."""
        begin = max(self.row, self.rows.start)
        needed = range(self.plan.first_needed(begin), self.rows.stop) if begin in self.rows else range(0)
        buffer = BlendBuffer(self.plan, band, len(self.model.class_values), self.torch_device)
        with StripReader(self.source, self.window, self.plan, band, needed) as strips:
            for strip in strips:
                if strip is not None:
                    yield from self._add_strip(strip, band, buffer, network)
                    if strip.row >= begin:
                        yield from self._finish_writing(writer, band)
                        self.row = strip.row
                        keep()
                        writer.start(self._cut_final(buffer.final(strip.row), strip, band))
                        self.done += len(band.tiles)
                    buffer.advance(strip.row)
                yield from self._tell(0)
        yield from self._finish_writing(writer, band)

    def _finish_writing(self, writer: RowWriter, band: ColumnBand) -> Iterator[Event]:
        for _ in writer.finish():
            yield from self._tell(len(band.tiles))

    def _tell(self, under_way: int) -> Iterator[Event]:
        """The progress, a few times a second at most; ``under_way``: tiles done of the strip in work."""
        now = time.monotonic()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            done = min(self.done + under_way, self.tile_count)
            yield progress(COPY_SHARE * done / self.tile_count, f"{done} of {self.tile_count} tiles")

    def _add_strip(self, strip: Strip, band: ColumnBand, buffer: BlendBuffer, worker: Executor) -> Iterator[Event]:
        """Runs the network on the tiles of a strip that hold data."""
        lefts = {number: self.plan.columns[number] - self.plan.columns[band.tiles[0]] for number in band.tiles}
        pending = [number for number in band.tiles if strip.wanted[:, lefts[number] : lefts[number] + self.plan.tile].any()]
        if pending and self.predictor.precision == "probe":
            probe = worker.submit(self._probe, strip, lefts[pending[0]])
            while not wait((probe,), PROGRESS_SECONDS).done:
                yield from self._tell(0)
            yield info(probe.result())
        while pending:
            batch = pending[: self.predictor.batch_size]
            started = time.monotonic()
            step = worker.submit(self._add_tiles, strip, {number: lefts[number] for number in batch}, buffer)
            while not wait((step,), PROGRESS_SECONDS).done:
                yield from self._tell(len(band.tiles) - len(pending))
            failure = step.exception()
            if failure is not None and is_out_of_memory(failure):
                del step, failure  # the traceback holds on to the memory that did not suffice
                if not self.predictor.halve_batch():
                    raise TileTooLargeError(self.plan.tile)
                yield warning(f"The memory of the device ran out; going on with {self.predictor.batch_size} tiles a step.")
                continue
            step.result()
            pending = pending[len(batch) :]
            behind = len(band.tiles) - len(pending)
            text = self._pace.add(len(batch), time.monotonic() - started, self.tile_count - self.done - behind)
            if text:
                yield info(text)
            yield from self._tell(behind)

    def tiles_of(self, strip: Strip, lefts: list[int]) -> Tensor:
        """Normalised tiles (N, bands, tile, tile) that begin at some columns of the strip."""
        columns = [slice(left, left + self.plan.tile) for left in lefts]
        image = torch.from_numpy(np.stack([strip.image[:, :, part] for part in columns])).to(self.torch_device)
        valid = torch.from_numpy(np.stack([strip.valid[:, part] for part in columns])).to(self.torch_device)
        return normalise(image, valid, self.model.bands)

    def _probe(self, strip: Strip, left: int) -> str:
        return self.predictor.probe(self.tiles_of(strip, [left]))

    def _add_tiles(self, strip: Strip, lefts: dict[int, int], buffer: BlendBuffer) -> None:
        """One step of the network; ``lefts`` gives the first column in the strip of each tile column.

        Raises:
            RuntimeError: The step does not fit into the memory; nothing was added then.
        """
        probabilities = self.predictor.predict(self.tiles_of(strip, list(lefts.values())))  # (N, classes, tile, tile)
        for number, tile_probabilities in zip(lefts, probabilities, strict=True):
            buffer.add(strip.row, number, tile_probabilities)

    def _cut_final(self, probabilities: Tensor, strip: Strip, band: ColumnBand) -> FinalRows:
        """What is wanted of the rows that are final: (classes, rows, columns) probabilities of the band."""
        top, left = self.plan.rows[strip.row], band.left
        above, beside = int(self.wanted.row_off - self.window.row_off), int(self.wanted.col_off - self.window.col_off)
        rows = _cut(top, probabilities.shape[1], above, int(self.wanted.height))
        columns = _cut(left, probabilities.shape[2], beside, int(self.wanted.width))
        before = left - self.plan.columns[band.tiles[0]]
        return FinalRows(
            probabilities[:, rows, columns].clone(),  # the buffer goes on
            strip.wanted[rows, before + columns.start : before + columns.stop].copy(),
            (top + rows.start - above, left + columns.start - beside),
        )


def _cut(first: int, length: int, begin: int, count: int) -> slice:
    """Which of ``length`` pixels from ``first`` on lie among the ``count`` from ``begin`` on, counted from ``first``."""
    start = min(max(begin - first, 0), length)
    return slice(start, max(min(begin + count - first, length), start))
