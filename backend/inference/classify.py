# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``classify``: a raster of any size and a model in, a class raster out. Runs in the worker.

Steps: load the model, prepare (bands, tiles), stream (`job`), copy to a cloud-optimised file, move to the final names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import rasterio
from affine import Affine
from torch import nn

from ..errors import ToolboxError
from ..imagery.raster import RasterInfo
from ..models.definition import ModelDescription
from ..models.package import load_model
from ..runtime.companions import companions, own_device
from ..runtime.device import choose_device
from ..runtime.protocol import Event, device, info, progress, result, warning
from ..runtime.ranks import Ranks, join_ranks
from .announce import announce
from .job import COPY_SHARE, PERCENT_NODATA, Job, TileTooLargeError
from .prepare import build_legend, prepare_job, smaller_tile
from .settings import ClassifySettings
from .shares import join_shares
from .sidecars import LegendEntry
from .unfinished import Unfinished, digest_request, hold, name_work, remove_others
from .writer import RasterOutput, publish

LONGEST_WAIT = timedelta(days=7)  # of a process whose share is done for one whose share holds more data
# GDAL's default, a twentieth of the machine's memory, would come on top of the ceiling. This holds a row of blocks of the widest
# rasters (200,000 columns of 512 rows), so that no block is written twice.
GDAL_CACHE_BYTES = 128 * 2**20
HECTARES_PER_KM2 = 100


def classify(settings: ClassifySettings, job_id: str) -> Iterator[Event]:
    """Classifies a raster, on the devices of the request or in the processes of torchrun.

    Args:
        settings: The request.
        job_id: Id of the job.

    Yields:
        Events; the result's outputs are OUTPUT, OUTPUT_CONFIDENCE (paths, the second when asked for) and DEVICE_USED.

    Raises:
        ToolboxError: Model, raster, settings or output cannot be used.
    """
    with ExitStack() as stack:
        stack.enter_context(companions("classify", settings, job_id))
        chosen = choose_device(own_device(settings.device))
        ranks = stack.enter_context(join_ranks(chosen.torch_device, LONGEST_WAIT))
        yield device(chosen.name, chosen.torch_device, chosen.reason)
        model, network = load_model(settings.model)
        yield from classify_with(settings, model, network, ranks)
        if not ranks.is_first:
            yield result({})
            return
    outputs = {"OUTPUT": settings.output, "DEVICE_USED": chosen.name}
    yield result(outputs | ({"OUTPUT_CONFIDENCE": settings.confidence} if settings.confidence else {}))


def classify_with(settings: ClassifySettings, model: ModelDescription, network: nn.Module, ranks: Ranks) -> Iterator[Event]:
    """As `classify`, with a network that is loaded already, and without the device and result events."""
    tells_warnings = True
    while True:
        digest = digest_request(settings, model, network)
        job, raster, warnings = prepare_job(settings, model, network, ranks.device, (ranks.rank, ranks.size))
        for text in warnings if tells_warnings else ():
            yield warning(text)
        try:
            yield from _run(settings, job, raster, digest, ranks)
            return
        except TileTooLargeError as failure:
            tile = smaller_tile(job.plan.tile, model)
            if not tile or ranks.size > 1:  # other processes are at work with tiles of this size
                raise ToolboxError(
                    "The device's memory does not suffice for a single tile; choose a smaller TILE_SIZE or DEVICE=cpu."
                ) from failure
        yield warning(f"The memory of the device does not suffice for a tile of {job.plan.tile} pixels; starting again with {tile}.")
        settings = replace(settings, tile_size=tile, overlap=min(settings.overlap, tile // 2))
        tells_warnings = False


def _run(settings: ClassifySettings, job: Job, raster: RasterInfo, digest: str, ranks: Ranks) -> Iterator[Event]:
    """One attempt: the rows of this process; in the first one also what the others have written, and the files."""
    yield from announce(settings, job, ranks)
    legend = build_legend(job.model)
    work = name_work(digest, ranks.rank, ranks.size)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES))
        classes, confidence = _open_outputs(stack, settings, work, job, raster, legend)
        outputs = [output for output in (classes, confidence) if output is not None]
        stack.enter_context(hold(work))
        unfinished = stack.enter_context(Unfinished(job, outputs))
        yield from unfinished.resume()
        yield from job.run(classes, confidence, unfinished.save)
        yield from join_shares(job, outputs, digest, ranks)
        if not job.counts:
            raise ToolboxError("The raster is nodata everywhere within the extent; check the raster, its nodata value and EXTENT.")
        if not ranks.is_first:
            return
        for output in outputs:
            for _ in output.finish(job.counts):
                yield progress(COPY_SHARE, "Writing the cloud-optimised GeoTIFF")
        publish(outputs[::-1])
        for output in outputs:
            remove_others(output.path, digest)
    yield from _report_areas(job.counts, legend, raster)
    yield progress(1.0)


def _open_outputs(
    stack: ExitStack, settings: ClassifySettings, work: str, job: Job, raster: RasterInfo, legend: list[LegendEntry]
) -> tuple[RasterOutput, RasterOutput | None]:
    """The class raster and, when asked for, the confidence raster; the stack removes what does not get finished."""
    transform = raster.transform * Affine.translation(job.wanted.col_off, job.wanted.row_off)
    shape = (int(job.wanted.height), int(job.wanted.width))
    place = (transform, raster.crs_wkt)
    classes = stack.enter_context(RasterOutput(Path(settings.output), work, shape, job.dtype, job.nodata, *place, legend))
    if not settings.confidence:
        return classes, None
    path = Path(settings.confidence)
    return classes, stack.enter_context(RasterOutput(path, work, shape, "uint8", PERCENT_NODATA, *place, []))


def _report_areas(counts: Mapping[int, int], legend: list[LegendEntry], raster: RasterInfo) -> Iterator[Event]:
    """One line per class: its share of the valid pixels, and its area or, where the cell size is unknown, its pixels."""
    total = sum(counts.values())
    for entry in legend:
        count = counts.get(entry.value, 0)
        yield info(f"  {entry.value}  {entry.name}: {100 * count / total:.1f} %, {_describe_area(count, raster.gsd_m)}")


def _describe_area(pixels: int, gsd_m: float | None) -> str:
    """Hectares, from 100 on square kilometres; pixels when the cell size in metres is None."""
    if gsd_m is None:
        return f"{pixels:,} pixels"
    hectares = pixels * gsd_m**2 / 10_000
    return f"{hectares:,.2f} ha" if hectares < HECTARES_PER_KM2 else f"{hectares / HECTARES_PER_KM2:,.2f} km²"
