# SPDX-License-Identifier: GPL-2.0-or-later
"""Joins what several processes have written of one raster: each did neighbouring rows of tiles, the first takes the rows over.

The processes may run on several machines, but the folder of OUTPUT must be the same for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

import torch

from ..runtime.output_folder import partial_name
from ..runtime.protocol import Event, progress
from ..runtime.ranks import MEETING_THREAD, Ranks
from .job import COPY_SHARE, Job
from .unfinished import name_work
from .writer import RasterOutput

T = TypeVar("T")
POLL_SECONDS = 0.3


def rows_of(job: Job, rank: int, size: int) -> range:
    """Rows of the output raster that one of ``size`` processes writes."""
    plan, share = job.plan, job.plan.share(rank, size)
    edges = [*plan.rows, plan.height]
    moved = int(job.window.row_off - job.wanted.row_off)
    first, last = edges[share.start] + moved, edges[share.stop] + moved
    height = int(job.wanted.height)
    return range(min(max(first, 0), height), min(max(last, 0), height))


def join_shares(job: Job, outputs: Sequence[RasterOutput], digest: str, ranks: Ranks) -> Iterator[Event]:
    """Waits for all processes; afterwards each has the counts of all of them, and the first one's outputs hold all rows."""
    if ranks.size == 1:
        return
    for output in outputs:
        output.checkpoint()
    values = job.model.class_values
    counts = torch.tensor([job.counts.get(value, 0) for value in values], dtype=torch.int64, device=ranks.device)
    yield from meet(lambda: ranks.add_up(counts))
    job.counts = {value: count for value, count in zip(values, counts.tolist(), strict=True) if count}
    for output in outputs if ranks.is_first else ():
        for rank in range(1, ranks.size):
            other = output.path.parent / f"{partial_name(name_work(digest, rank, ranks.size))}-{output.path.name}"
            for _ in output.take_rows(other, rows_of(job, rank, ranks.size)):
                yield progress(COPY_SHARE, "Joining the rows of all processes")
    yield from meet(lambda: ranks.any_of(True))  # the others keep their files until the first has them


def meet(at: Callable[[], T]) -> Generator[Event, None, T]:
    """Meets the other processes, and returns what comes of it; tells so meanwhile, which lets the job be stopped.

    Nothing can call a process back from a meeting. The thread that waits there is a daemon, so that a job that is stopped need not
    wait until the others come or are gone, be it here or at the end of the process.
    """
    outcome: Future[T] = Future()

    def wait_there() -> None:
        try:
            outcome.set_result(at())
        except BaseException as failure:  # raised again below, in the caller's thread
            outcome.set_exception(failure)

    threading.Thread(target=wait_there, name=MEETING_THREAD, daemon=True).start()
    while not wait((outcome,), POLL_SECONDS).done:
        yield progress(COPY_SHARE, "Waiting for the other processes")
    return outcome.result()
