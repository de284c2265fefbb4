# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``classify``: a raster of any size and a model in, a class raster out. Runs in the worker.

Steps: load the model, prepare (bands, cell size, tiles), stream (`job`), remove small regions, trace polygons, copy to
cloud-optimised files, move to the final names.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import rasterio
from affine import Affine
from torch import nn

from ..errors import ToolboxError
from ..imagery.overwriting import refuse_overwriting
from ..imagery.raster import RasterInfo, RasterReader
from ..models.definition import ModelDescription
from ..models.package import load_model
from ..runtime.companions import companions, own_device
from ..runtime.device import choose_device
from ..runtime.protocol import Event, device, info, progress, result, warning
from ..runtime.ranks import Ranks, join_ranks
from .announce import announce
from .areas import CellAreas
from .describe import describe_model
from .job import COPY_SHARE, Job, TileTooLargeError
from .layers import Layer, list_layers
from .polygons import PolygonOutput
from .prepare import build_legend, open_for, prepare_job, smaller_tile
from .settings import OUTPUTS, ClassifySettings
from .shares import join_shares
from .sidecars import LegendEntry
from .sieve import SievePlan, count_values, plan_sieve, sieve_raster
from .unfinished import Unfinished, Work, digest_work, hold, name_work, remove_others
from .writer import Grid, RasterOutput, publish

LONGEST_WAIT = timedelta(days=7)  # of a process whose share is done for one whose share holds more data
# GDAL's default, a twentieth of the machine's memory, would come on top of the ceiling. This holds a row of blocks of the widest
# rasters (200,000 columns of 512 rows), so that no block is written twice.
GDAL_CACHE_BYTES = 128 * 2**20
M2_PER_HECTARE, HECTARES_PER_KM2 = 10_000, 100


def classify(settings: ClassifySettings, job_id: str) -> Iterator[Event]:
    """Classifies a raster, on the devices of the request or in the processes of torchrun.

    Args:
        settings: The request.
        job_id: Id of the job.

    Yields:
        Events; the result's outputs are OUTPUT and the others that were asked for (paths), and DEVICE_USED.

    Raises:
        ToolboxError: Model, raster, settings or output cannot be used.
    """
    with ExitStack() as stack:
        stack.enter_context(companions("classify", settings, job_id))
        chosen = choose_device(own_device(settings.device))
        ranks = stack.enter_context(join_ranks(chosen.torch_device, LONGEST_WAIT))
        yield device(chosen.name, chosen.torch_device, chosen.reason)
        model, network = load_model(settings.model)
        yield info(describe_model(model))
        yield from classify_with(settings, model, network, ranks)
        is_first = ranks.is_first
    outputs = {parameter: path for name, parameter in OUTPUTS.items() if (path := getattr(settings, name))}
    yield result({**outputs, "DEVICE_USED": chosen.name} if is_first else {})


def classify_with(settings: ClassifySettings, model: ModelDescription, network: nn.Module, ranks: Ranks) -> Iterator[Event]:
    """As `classify`, with a network that is loaded already, and without the device and result events."""
    work = Work(settings, model, network, ranks)
    tells_warnings = True
    while True:
        try:
            yield from _run(work, tells_warnings)
            return
        except TileTooLargeError as failure:
            smaller = with_smaller_tile(work.settings, model, failure, ranks.size)
            yield warning(f"The memory does not suffice for a tile of {failure.tile} pixels; starting again with {smaller.tile_size}.")
        work = replace(work, settings=smaller)
        tells_warnings = False


def with_smaller_tile(
    settings: ClassifySettings, model: ModelDescription, failure: TileTooLargeError, processes: int = 1
) -> ClassifySettings:
    """The request with half the tile; raises ToolboxError where that is not possible."""
    tile = smaller_tile(failure.tile, model)
    if not tile or processes > 1:  # the others are at work with tiles of this size
        raise ToolboxError(
            "The device's memory does not suffice for a single tile; choose a smaller TILE_SIZE or DEVICE=cpu."
        ) from failure
    return replace(settings, tile_size=tile, overlap=min(settings.overlap, tile // 2))


def _run(work: Work, tells_warnings: bool) -> Iterator[Event]:
    """One attempt: the rows of this process; in the first one also what the others have written, and the files."""
    settings, ranks = work.settings, work.ranks
    legend = build_legend(work.model)
    check_places(settings, legend)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES))
        opened = open_for(work.model, settings, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        digest = digest_work(work)
        job, warnings = prepare_job(settings, work.model, work.network, ranks, opened)
        for text in warnings if tells_warnings else ():
            yield warning(text)
        yield from announce(settings, job, ranks)
        sieve = plan_sieve(int(job.wanted.width), int(job.wanted.height), settings.min_region, settings.memory_mb)
        name = name_work(digest, ranks.rank, ranks.size)
        stack.enter_context(hold(name))
        rasters = _open_rasters(stack, settings, name, job, opened.info, list_layers(settings, work.model, legend))
        unfinished = stack.enter_context(Unfinished(job, rasters))
        yield from unfinished.resume()
        yield from job.run(rasters, unfinished.save)
        yield from join_shares(job, rasters, digest, ranks)
        _refuse_nothing(job)
        if not ranks.is_first:
            return
        cells = CellAreas.of(opened.info, rasters[-1].transform)
        polygons = yield from _finish(stack, settings, name, job, rasters, cells, sieve)
        areas: dict[int, float] | None = None
        for added_up in cells.of_classes(rasters[-1].rows, job.counts) if cells else ():
            areas = added_up
            yield progress(COPY_SHARE, "Adding up the areas")
        publish([*polygons, *rasters])
        for raster in rasters:
            remove_others(raster.path, digest)
    yield from _report_areas(job.counts, legend, areas)
    yield progress(1.0)


def check_places(settings: ClassifySettings, legend: list[LegendEntry]) -> None:
    """Raises ToolboxError for an output that would replace a file that is read, and for polygons that cannot be written."""
    with RasterReader(settings.raster) as reader:
        read = [settings.raster, *reader.files, settings.model]
    for name in OUTPUTS:
        if path := getattr(settings, name):
            refuse_overwriting(path, read)
    if settings.polygons:  # they come last, after hours maybe, so their place is tried now
        with PolygonOutput(Path(settings.polygons), f"try.{os.getpid()}", legend, None):
            pass


def _refuse_nothing(job: Job) -> None:
    if not job.counts:
        where = "the extent" if job.source.mask is None else "the extent and the mask polygons"
        raise ToolboxError(f"The raster is nodata everywhere within {where}; check the raster, its nodata value, EXTENT and MASK.")


def _finish(
    stack: ExitStack,
    settings: ClassifySettings,
    name: str,
    job: Job,
    rasters: list[RasterOutput],
    cells: CellAreas | None,
    sieve: SievePlan,
) -> Iterator[Event]:
    """Makes of the rows what is to be published; returns the polygons, if they are asked for."""
    classes = rasters[-1]
    if sieve.smallest:
        classes.close()
        for share in sieve_raster(classes.rows, sieve):
            yield progress(COPY_SHARE, f"Removing small regions, {share:.0%}")
        job.counts = count_values(classes.rows)
    polygons = yield from _trace_polygons(stack, settings, name, classes, cells)
    for output in rasters:
        for _ in output.finish(job.counts):
            yield progress(COPY_SHARE, "Writing the cloud-optimised GeoTIFF")
    return polygons


def _trace_polygons(
    stack: ExitStack, settings: ClassifySettings, job_id: str, classes: RasterOutput, cells: CellAreas | None
) -> Iterator[Event]:
    """The polygons of the class raster, finished; returns a list of one output, empty when they are not asked for."""
    if not settings.polygons:
        return []
    per_class = settings.polygons_per == "class"
    output = stack.enter_context(PolygonOutput(Path(settings.polygons), job_id, classes.layer.legend, cells, per_class))
    if not settings.min_region:
        classes.close()
    for share in output.trace(classes.rows):
        yield progress(COPY_SHARE, f"Tracing polygons, {share:.0%}")
    yield info(f"{output.written:,} polygons were written.")
    return [output]


def _open_rasters(
    stack: ExitStack, settings: ClassifySettings, job_id: str, job: Job, raster: RasterInfo, layers: list[Layer]
) -> list[RasterOutput]:
    """The rasters to write; the stack removes what does not get finished."""
    to_map = raster.transform if settings.has_georeference else Affine.scale(1, -1)
    transform = to_map * Affine.translation(job.wanted.col_off, job.wanted.row_off)
    grid = Grid((int(job.wanted.height), int(job.wanted.width)), transform, raster.crs_wkt)
    return [stack.enter_context(RasterOutput(Path(getattr(settings, layer.setting)), job_id, layer, grid)) for layer in layers]


def _report_areas(counts: Mapping[int, int], legend: list[LegendEntry], areas: Mapping[int, float] | None) -> Iterator[Event]:
    """One line per class: its share of the valid pixels, and its area or, where the cell size is unknown, its pixels."""
    total = sum(counts.values())
    for entry in legend:
        count = counts.get(entry.value, 0)
        size = f"{count:,} pixels" if areas is None else _describe_area(areas.get(entry.value, 0.0))
        yield info(f"  {entry.value}  {entry.name}: {100 * count / total:.1f} %, {size}")


def _describe_area(square_metres: float) -> str:
    """Hectares, from 100 on square kilometres."""
    hectares = square_metres / M2_PER_HECTARE
    return f"{hectares:,.2f} ha" if hectares < HECTARES_PER_KM2 else f"{hectares / HECTARES_PER_KM2:,.2f} km²"
