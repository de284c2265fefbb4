# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``estimate``: what a classification would take, told before it is begun. Runs in the worker and writes nothing.

Raster and model are prepared as for the classification itself, one row of tiles is read, and the network runs on some of its tiles.
Reading and network work at the same time later, so the slower of the two counts.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import rasterio
from torch import nn

from ..errors import ToolboxError
from ..models.definition import ModelDescription
from ..models.package import load_model
from ..runtime.companions import own_device, split_devices
from ..runtime.device import choose_device
from ..runtime.failures import is_out_of_memory
from ..runtime.protocol import Event, device, info, progress, result, warning
from ..runtime.ranks import Ranks
from ..runtime.remaining import describe_seconds
from .announce import MEGABYTE, announce, describe_precision, disk_bytes, memory_bytes
from .classify import GDAL_CACHE_BYTES, check_places, with_smaller_tile
from .describe import describe_model
from .job import Job, TileTooLargeError
from .prepare import build_legend, open_for, prepare_job
from .settings import ClassifySettings
from .strips import Strip, StripReader

LONGEST_TRIAL = 6.0  # seconds; one step is run in any case, after one to warm up
MOST_STEPS = 5
SMALLEST_MEGABYTES = 0.1  # that are told as a number


def estimate(settings: ClassifySettings, job_id: str) -> Iterator[Event]:
    """Tells tiles, time, memory and disk of a classification.

    Args:
        settings: The request of the classification.
        job_id: Id of the job; unused, since nothing is written.

    Yields:
        Events, the lines of the classification's log among them; the result's outputs are TILES, OVERLAP_FACTOR (pixels that the
        network computes per pixel of the result), SECONDS (for tiles that all hold data), MEMORY_MB (image data), OUTPUT_MB (at
        most), DEVICE_USED and SUMMARY (one line).

    Raises:
        ToolboxError: As the classification would.
    """
    chosen = choose_device(own_device(settings.device))
    yield device(chosen.name, chosen.torch_device, chosen.reason)
    model, network = load_model(settings.model)
    yield info(describe_model(model))
    check_places(settings, build_legend(model))
    while True:
        try:
            job, seconds = yield from _try(settings, model, network, Ranks(device=chosen.torch_device))
            break
        except TileTooLargeError as failure:
            settings = with_smaller_tile(settings, model, failure)
    seconds /= len(split_devices(settings.device))
    memory, disk = memory_bytes(job) / MEGABYTE, [size / MEGABYTE for size in disk_bytes(job, settings)]
    factor = job.plan.tile_count * job.plan.tile**2 / (job.wanted.width * job.wanted.height)
    time_told = f"about {describe_seconds(seconds)}" if seconds >= 1 else "under 1 s"
    summary = (
        f"{job.plan.tile_count:,} {'tile' if job.plan.tile_count == 1 else 'tiles'} of {job.plan.tile} × {job.plan.tile} pixels, "
        f"{factor:.2f} pixels computed for each · {time_told} on {chosen.name} ({describe_precision(job.predictor.precision)}) · "
        f"{_describe_megabytes(memory)} of memory for image data · {_describe_disk(*disk)}"
    )
    yield info(summary)
    yield result(
        {
            "TILES": job.plan.tile_count,
            "OVERLAP_FACTOR": round(factor, 3),
            "SECONDS": round(seconds, 1),
            "MEMORY_MB": round(memory, 3),
            "OUTPUT_MB": round(disk[0], 3),
            "DEVICE_USED": chosen.name,
            "SUMMARY": summary,
        }
    )


def _describe_disk(finished: float, meanwhile: float) -> str:
    most = "up to " if finished >= SMALLEST_MEGABYTES else ""
    return f"{most}{_describe_megabytes(finished)} of disk ({_describe_megabytes(meanwhile)} while it is made)"


def _describe_megabytes(size: float) -> str:
    if size < SMALLEST_MEGABYTES:
        return f"under {SMALLEST_MEGABYTES} MB"
    return f"{size:,.0f} MB" if size >= 10 else f"{size:.1f} MB"


def _try(
    settings: ClassifySettings, model: ModelDescription, network: nn.Module, ranks: Ranks
) -> Generator[Event, None, tuple[Job, float]]:
    """The job of the classification, and the seconds that it would take.

    Raises:
        TileTooLargeError: Too little memory for one tile.
    """
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), tempfile.TemporaryDirectory() as folder:
        job, warnings = prepare_job(settings, model, network, ranks, open_for(model, settings, Path(folder)))
        for text in warnings:
            yield warning(text)
        yield from announce(settings, job, ranks)
        return job, (yield from _time_job(job))


def _time_job(job: Job) -> Generator[Event, None, float]:
    """Seconds for all tiles, judged by some of the row in the middle; decides for a precision on the way, and for a batch."""
    band = job.plan.bands[0]
    strip, reading = yield from _read_row(job, len(job.plan.rows) // 2)
    lefts = [job.plan.columns[number] - job.plan.columns[band.tiles[0]] for number in band.tiles]
    filled = [left for left in lefts if strip.wanted[:, left : left + job.plan.tile].any()] or lefts
    yield progress(0.4, "Trying the network")
    if job.predictor.precision == "probe":
        yield info(job.predictor.probe(job.tiles_of(strip, filled[:1])))
    began, seconds = time.perf_counter(), []
    while len(seconds) < 2 or (len(seconds) <= MOST_STEPS and time.perf_counter() - began < LONGEST_TRIAL):
        batch = filled[: job.predictor.batch_size]
        started = time.perf_counter()
        try:
            job.predictor.predict(job.tiles_of(strip, batch)).sum().item()  # asks for the answer: a graphics card works ahead
        except RuntimeError as failure:
            if not is_out_of_memory(failure):
                raise
            if not job.predictor.halve_batch():
                raise TileTooLargeError(job.plan.tile) from failure
            continue
        seconds.append((time.perf_counter() - started) / len(batch))
        yield progress(0.4 + 0.6 * min(len(seconds) / MOST_STEPS, 1), "Trying the network")
    computing = statistics.median(seconds[1:])  # the first step also warms up
    return job.plan.tile_count * max(computing, reading / len(band.tiles))


def _read_row(job: Job, row: int) -> Generator[Event, None, tuple[Strip, float]]:
    """A row of tiles of the first column band, and the seconds that reading it took."""
    started = time.perf_counter()
    with StripReader(job.source, job.window, job.plan, job.plan.bands[0], range(row, row + 1)) as strips:
        for strip in strips:
            if strip is not None:
                return strip, time.perf_counter() - started
            yield progress(0.2, "Reading")
    raise ToolboxError("The raster gave no pixels; check that it is whole.")
