# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said before a classification takes its time: how much there is to do, and what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..runtime.disk import free_bytes
from ..runtime.protocol import Event, info, warning
from ..runtime.ranks import Ranks
from .job import Job
from .layers import list_layers
from .plan import column_bytes
from .prepare import build_legend
from .settings import ClassifySettings

# The plain file and its compressed copy with overviews exist together; at worst nothing can be compressed.
OVERVIEWS = 4 / 3
MEGABYTE = 2**20


def memory_bytes(job: Job) -> int:
    """Bytes of the image data and probabilities held at once, without the network and what it computes in between."""
    return job.plan.widest * column_bytes(job.plan.tile, len(job.model.class_values), len(job.source.bands))


def disk_bytes(job: Job, settings: ClassifySettings) -> tuple[int, int]:
    """Bytes of the finished rasters at most, and of the disk while they are made."""
    layers = list_layers(settings, job.model, build_legend(job.model))
    per_pixel = sum(np.dtype(layer.dtype).itemsize * len(layer.band_names) for layer in layers)
    plain = int(job.wanted.width) * int(job.wanted.height) * per_pixel
    return int(plain * OVERVIEWS), int(plain * (1 + OVERVIEWS))


def announce(settings: ClassifySettings, job: Job, ranks: Ranks) -> Iterator[Event]:
    """Lines for the log."""
    if not settings.predict_background and not job.model.has_background:
        yield info("PREDICT_BACKGROUND has no effect: the model has no background class.")
    plan = job.plan
    bands = f", in {len(plan.bands)} column bands to save memory" if len(plan.bands) > 1 else ""
    size = f"{int(job.wanted.width):,} × {int(job.wanted.height):,} pixels"
    yield info(
        f"{size} in {plan.tile_count:,} tiles of {plan.tile} × {plan.tile}{bands}; with overlap and padding the network computes "
        f"{plan.tile_count * plan.tile**2 / (job.wanted.width * job.wanted.height):.2f} pixels for each."
    )
    result, meanwhile = disk_bytes(job, settings)
    yield info(
        f"The image data takes {memory_bytes(job) / MEGABYTE:,.0f} MB of memory, the result up to {result / MEGABYTE:,.1f} MB of disk "
        f"({meanwhile / MEGABYTE:,.1f} MB while it is made). Precision: {describe_precision(job.predictor.precision)}."
    )
    if ranks.size > 1:
        yield info(f"{ranks.size} processes share the raster; this is number {ranks.rank + 1}, with {job.tile_count:,} tiles.")
    free = _free(Path(settings.output))
    if free is not None and free < meanwhile:
        yield warning(
            f"The disk of OUTPUT has {free / MEGABYTE:,.0f} MB left, and up to {meanwhile / MEGABYTE:,.0f} MB may be needed; free "
            "space, or choose another disk."
        )


def describe_precision(precision: str) -> str:
    """For the log."""
    return "to be tried on the first tile" if precision == "probe" else precision


def _free(path: Path) -> int | None:
    """Free bytes where a path is to be; None where that cannot be told."""
    try:
        return free_bytes(path)
    except OSError:
        return None
