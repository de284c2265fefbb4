# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``classify``: a raster of any size and a model in, a class raster out. Runs in the worker.

Steps: load the model, prepare (bands, cell size, tiles), stream (`job`), remove small regions, trace polygons, copy to
cloud-optimised files, move to the final names.
"""

from __future__ import annotations

import tempfile
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
from .job import COPY_SHARE, Job
from .layers import Layer, list_layers
from .polygons import PolygonOutput
from .prepare import build_legend, open_for, prepare_job
from .settings import OUTPUTS, ClassifySettings
from .sidecars import LegendEntry
from .sieve import count_values, sieve_raster
from .writer import Grid, RasterOutput, publish

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
        Events; the result's outputs are OUTPUT and the others that were asked for (paths), and DEVICE_USED.

    Raises:
        ToolboxError: Model, raster, settings or output cannot be used.
    """
    chosen = choose_device(settings.device)
    yield device(chosen.name, chosen.torch_device, chosen.reason)
    model, network = load_model(settings.model)
    yield from classify_with(settings, job_id, model, network, chosen.torch_device)
    outputs = {parameter: path for name, parameter in OUTPUTS.items() if (path := getattr(settings, name))}
    yield result({**outputs, "DEVICE_USED": chosen.name})


def classify_with(
    settings: ClassifySettings, job_id: str, model: ModelDescription, network: nn.Module, torch_device: str
) -> Iterator[Event]:
    """As `classify`, with a network that is loaded already, and without the device and result events."""
    legend = build_legend(model)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES))
        opened = open_for(model, settings, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        job, warnings = prepare_job(settings, model, network, torch_device, opened)
        for text in warnings:
            yield warning(text)
        yield from _announce(settings, job)
        rasters = _open_rasters(stack, settings, job_id, job, opened.info, list_layers(settings, model, legend))
        yield from job.run(rasters)
        classes = rasters[-1]
        if settings.min_region:
            classes.close()
            for _ in sieve_raster(classes.rows, settings.min_region):
                yield progress(COPY_SHARE, "Removing small regions")
            job.counts = count_values(classes.rows)
        polygons = yield from _trace_polygons(stack, settings, job_id, classes, opened.info)
        for raster in rasters:
            for _ in raster.finish(job.counts):
                yield progress(COPY_SHARE, "Writing the cloud-optimised GeoTIFF")
        publish([*polygons, *rasters])
    yield from _report_areas(job.counts, legend, opened.info)
    yield progress(1.0)


def _trace_polygons(
    stack: ExitStack, settings: ClassifySettings, job_id: str, classes: RasterOutput, raster: RasterInfo
) -> Iterator[Event]:
    """The polygons of the class raster, finished; returns a list of one output, empty when they are not asked for."""
    if not settings.polygons:
        return []
    output = stack.enter_context(PolygonOutput(Path(settings.polygons), job_id, classes.layer.legend, raster.gsd_m))
    if not settings.min_region:
        classes.close()
    for share in output.trace(classes.rows):
        yield progress(COPY_SHARE, f"Tracing polygons, {share:.0%}")
    yield info(f"{output.written:,} polygons were written.")
    return [output]


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


def _open_rasters(
    stack: ExitStack, settings: ClassifySettings, job_id: str, job: Job, raster: RasterInfo, layers: list[Layer]
) -> list[RasterOutput]:
    """The rasters to write; the stack removes what does not get finished."""
    transform = raster.transform * Affine.translation(job.wanted.col_off, job.wanted.row_off)
    grid = Grid((int(job.wanted.height), int(job.wanted.width)), transform, raster.crs_wkt)
    return [stack.enter_context(RasterOutput(Path(getattr(settings, layer.setting)), job_id, layer, grid)) for layer in layers]


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
