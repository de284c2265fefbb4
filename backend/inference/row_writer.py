# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns rows of final probabilities into rows of the output rasters, in a thread of its own while the network is at the next ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .layers import Pixels
from .writer import RasterOutput

POLL_SECONDS = 0.3
# The winning class is found for so many rows at a time: its temporary arrays stay small beside the probabilities.
ROWS_AT_ONCE = 128


@dataclass(frozen=True)
class FinalRows:
    """Rows that no later tile reaches, cut to what is wanted of them.

    Attributes:
        probabilities: (classes, rows, columns) float32; nobody else may change them.
        wanted: (rows, columns) bool; the others become nodata.
        place: Row and column of the outputs where they begin.
    """

    probabilities: Tensor
    wanted: NDArray[np.bool_]
    place: tuple[int, int]


class RowWriter:
    """Context manager around the writing thread; it has at most one stretch of rows at a time, which bounds the memory.

    Args:
        outputs: The rasters.
        class_values: Of each channel.
        counts: Pixels of each class value, to which the written ones are added; to be read when `finish` has ended.
    """

    def __init__(self, outputs: Sequence[RasterOutput], class_values: Sequence[int], counts: dict[int, int]) -> None:
        self._outputs = outputs
        self._class_values = class_values
        self._counts = counts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="row writer")
        self._under_way: Future[None] | None = None
        self._stopped = threading.Event()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.shutdown()  # waited for, since the files are closed next

    def start(self, rows: FinalRows) -> None:
        """Begins to write; the rows before must be finished."""
        self._under_way = self._thread.submit(self._write, rows)

    def finish(self) -> Iterator[None]:
        """Waits until everything that was started is written; yields meanwhile.

        Raises:
            ToolboxError: The disk is full.
        """
        if self._under_way is not None:
            while not wait((self._under_way,), POLL_SECONDS).done:
                yield None
            self._under_way.result()
            self._under_way = None

    def _write(self, rows: FinalRows) -> None:
        height = len(rows.wanted)
        for start in range(0, height, ROWS_AT_ONCE) if rows.wanted.size else ():
            if self._stopped.is_set():
                return
            part = slice(start, min(start + ROWS_AT_ONCE, height))
            pixels, wanted = Pixels(rows.probabilities[:, part]), rows.wanted[part]
            self._count(pixels.winner[wanted])
            for output in self._outputs:
                values = output.layer.compute(pixels)
                filled = np.where(wanted, values, values.dtype.type(output.layer.nodata))
                output.write(rows.place[0] + start, rows.place[1], filled)

    def _count(self, channels: NDArray[np.int64]) -> None:
        """Adds the winning channels of some valid pixels to the counts."""
        for channel, count in enumerate(np.bincount(channels).tolist()):
            if count:
                value = self._class_values[channel]
                self._counts[value] = self._counts.get(value, 0) + count
