# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``classify``: a raster of any size and a model in, a class raster out. Runs in the worker.

Steps: load the model, prepare (bands, tiles), stream (`job`), copy to a cloud-optimised file, move to the final names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import rasterio
from affine import Affine
from torch import nn

from ..imagery.raster import RasterInfo
from ..models.definition import ModelDescription
from ..models.package import load_model
from ..runtime.device import choose_device
from ..runtime.protocol import Event, device, info, progress, result, warning
from .job import COPY_SHARE, PERCENT_NODATA, Job
from .prepare import build_legend, prepare_job
from .settings import ClassifySettings
from .sidecars import LegendEntry
from .writer import RasterOutput, publish

# GDAL's default, a twentieth of the machine's memory, would come on top of the ceiling. This holds a row of blocks of the widest
# rasters (200,000 columns of 512 rows), so that no block is written twice.
GDAL_CACHE_BYTES = 128 * 2**20
HECTARES_PER_KM2 = 100


def classify(settings: ClassifySettings, job_id: str) -> Iterator[Event]:
    """Classifies a raster.

    Args:
        settings: The request.
        job_id: Names the partial folder.

    Yields:
        Events; the result's outputs are OUTPUT, OUTPUT_CONFIDENCE (paths, the second when asked for) and DEVICE_USED.

    Raises:
        ToolboxError: Model, raster, settings or output cannot be used.
    """
    chosen = choose_device(settings.device)
    yield device(chosen.name, chosen.torch_device, chosen.reason)
    model, network = load_model(settings.model)
    yield from classify_with(settings, job_id, model, network, chosen.torch_device)
    outputs = {"OUTPUT": settings.output, "DEVICE_USED": chosen.name}
    yield result(outputs | ({"OUTPUT_CONFIDENCE": settings.confidence} if settings.confidence else {}))


def classify_with(
    settings: ClassifySettings, job_id: str, model: ModelDescription, network: nn.Module, torch_device: str
) -> Iterator[Event]:
    """As `classify`, with a network that is loaded already, and without the device and result events."""
    job, raster, warnings = prepare_job(settings, model, network, torch_device)
    for text in warnings:
        yield warning(text)
    yield from _announce(settings, job)
    legend = build_legend(model)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES))
        classes, confidence = _open_outputs(stack, settings, job_id, job, raster, legend)
        yield from job.run(classes, confidence)
        for output in (classes, confidence):
            for _ in output.finish(job.counts) if output else ():
                yield progress(COPY_SHARE, "Writing the cloud-optimised GeoTIFF")
        publish([output for output in (confidence, classes) if output is not None])
    yield from _report_areas(job.counts, legend, raster)
    yield progress(1.0)


def _announce(settings: ClassifySettings, job: Job) -> Iterator[Event]:
    """What is going to be done, before it takes its time."""
    if not settings.predict_background and not job.model.has_background:
        yield info("PREDICT_BACKGROUND has no effect: the model has no background class.")
    plan = job.plan
    bands = f", in {len(plan.bands)} column bands to save memory" if len(plan.bands) > 1 else ""
    size = f"{int(job.wanted.width):,} × {int(job.wanted.height):,} pixels"
    yield info(
        f"{size} in {plan.tile_count:,} tiles of {plan.tile} × {plan.tile}{bands}; with overlap and padding the network computes "
        f"{plan.tile_count * plan.tile**2 / (job.wanted.width * job.wanted.height):.2f} pixels for each."
    )


def _open_outputs(
    stack: ExitStack, settings: ClassifySettings, job_id: str, job: Job, raster: RasterInfo, legend: list[LegendEntry]
) -> tuple[RasterOutput, RasterOutput | None]:
    """The class raster and, when asked for, the confidence raster; the stack removes what does not get finished."""
    transform = raster.transform * Affine.translation(job.wanted.col_off, job.wanted.row_off)
    shape = (int(job.wanted.height), int(job.wanted.width))
    place = (transform, raster.crs_wkt)
    classes = stack.enter_context(RasterOutput(Path(settings.output), job_id, shape, job.dtype, job.nodata, *place, legend))
    if not settings.confidence:
        return classes, None
    path = Path(settings.confidence)
    return classes, stack.enter_context(RasterOutput(path, job_id, shape, "uint8", PERCENT_NODATA, *place, []))


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
