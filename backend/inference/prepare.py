# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides everything before the first pixel: bands, the part of the raster, tiles, column bands, legend."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rasterio.windows import Window
from torch import Tensor, nn

from ..errors import ToolboxError
from ..imagery.extent import choose_window
from ..imagery.raster import RasterInfo, RasterReader
from ..imagery.virtual_copy import describe_copy, has_cell_size, refuse_large_cell, with_cell_size, write_copy
from ..models.catalogue import is_convolutional
from ..models.definition import BACKGROUND, ModelDescription
from ..runtime.ranks import Ranks
from .describe import compare_sensor
from .fold import fold_batch_norm
from .job import Job
from .mask import MaskPolygons
from .match import compare_gsd, map_bands, match_bands
from .plan import column_bytes, make_plan, tile_starts
from .precision import choose_precision
from .predict import TilePredictor, default_batch
from .settings import ClassifySettings
from .sidecars import LegendEntry
from .strips import Source

TILE_STEP = 32
SMALLEST_AUTOMATIC_TILE, LARGEST_AUTOMATIC_TILE = 256, 768
# How far a tile's border is felt depends on the network, not on the tile's size: more than 64 pixels change next to nothing.
SMALLEST_OVERLAP, LARGEST_OVERLAP = 16, 64
FEWEST_TILES_TO_PROBE = 16  # the probe costs about six
EXAMPLE_SIDE = 64  # two pixels in the deepest layer of the encoders
BACKGROUND_COLOR = (225, 225, 225)


def automatic_overlap(tile: int) -> int:
    """Pixels that neighbouring tiles share when nobody says otherwise: an eighth of the tile, 16 to 64, at most half a tile."""
    return min(max(tile // 8 // 2 * 2, SMALLEST_OVERLAP), LARGEST_OVERLAP, tile // 2)


def choose_tile(settings: ClassifySettings, model: ModelDescription, shape: tuple[int, int]) -> tuple[int, int]:
    """Side of a tile and overlap in pixels.

    Purely convolutional networks may see larger tiles than in training, which cost less overlap; of the sizes from 256 to 768 the
    one that computes the fewest pixels is taken. Others keep the chip's size.

    Args:
        settings: The request.
        model: The model.
        shape: (rows, columns) to classify.

    Raises:
        ToolboxError: A tile below the model's chip, or an overlap above half a tile.
    """
    chip = math.ceil(model.chip_size / TILE_STEP) * TILE_STEP

    def overlap_of(tile: int) -> int:
        return settings.overlap if settings.overlap >= 0 else automatic_overlap(tile)

    def cost(tile: int) -> int:
        rows, columns = (len(tile_starts(length, tile, min(overlap_of(tile), tile // 2))) for length in shape)
        return rows * columns * tile**2

    tile = settings.tile_size
    if tile == 0 and is_convolutional(model.architecture, model.backbone):
        smallest = max(chip, SMALLEST_AUTOMATIC_TILE)
        tile = min(range(smallest, max(LARGEST_AUTOMATIC_TILE, smallest) + 1, TILE_STEP), key=cost)
    elif tile == 0:
        tile = chip
    elif tile < model.chip_size:
        raise ToolboxError(f"TILE_SIZE is {tile}, but the model was trained on chips of {model.chip_size} pixels; use at least that.")
    overlap = overlap_of(tile)
    if overlap > tile // 2:
        raise ToolboxError(f"OVERLAP is {overlap}, but at most half of the tile, {tile // 2} pixels, is possible.")
    return tile, overlap


def smaller_tile(tile: int, model: ModelDescription) -> int:
    """Half a tile, for a memory that did not suffice, but at least the model's chip; 0 when that would not be smaller."""
    smaller = max(math.ceil(tile / 2 / TILE_STEP), math.ceil(model.chip_size / TILE_STEP)) * TILE_STEP
    return smaller if smaller < tile else 0


def example_for(model: ModelDescription) -> Tensor:
    """Noise (1, bands, H, W) to try the network on: as small as it takes, since only the answers' equality counts."""
    chip = math.ceil(model.chip_size / TILE_STEP) * TILE_STEP
    side = min(chip, EXAMPLE_SIDE) if is_convolutional(model.architecture, model.backbone) else chip
    return torch.rand(1, len(model.bands), side, side, generator=torch.Generator().manual_seed(1))


def add_context(wanted: Window, raster: RasterInfo, tile: int, overlap: int) -> Window:
    """The part of the raster to look at, so that a part of it can be classified: what lies around it counts for the network, too.

    Grown by the overlap on each side, and to a whole tile at least, as far as the raster goes.
    """

    def grow(first: int, length: int, whole: int) -> tuple[int, int]:
        around = max(overlap, (tile - length) // 2)
        start, end = max(first - around, 0), min(first + length + around, whole)
        # At an edge of the raster the other side gives more.
        start = max(min(start, end - tile), 0)
        end = min(max(end, start + tile), whole)
        return start, end - start

    left, width = grow(int(wanted.col_off), int(wanted.width), raster.width)
    top, height = grow(int(wanted.row_off), int(wanted.height), raster.height)
    return Window(left, top, width, height)


def build_legend(model: ModelDescription) -> list[LegendEntry]:
    """The classes as they are shown, the background first if the model has one."""
    background = [LegendEntry(BACKGROUND, "Background", BACKGROUND_COLOR)] if model.has_background else []
    return background + [LegendEntry(entry.value, entry.name, entry.color) for entry in model.classes.classes]


@dataclass(frozen=True)
class OpenedRaster:
    """A raster as it is classified.

    Attributes:
        source: GDAL source that is opened: the user's, or a virtual copy of another cell size.
        info: Properties of what is opened.
        bands: One-based bands in the model's order.
        remarks: What the user should know about them.
    """

    source: str
    info: RasterInfo
    bands: list[int]
    remarks: list[str]


def open_for(model: ModelDescription, settings: ClassifySettings, folder: Path) -> OpenedRaster:
    """Finds the model's bands in the raster, and brings it to the cell size that is asked for.

    Args:
        model: Its bands and ground sample distance.
        settings: The request.
        folder: For a virtual copy.

    Raises:
        ToolboxError: Raster and model do not fit.
    """
    with RasterReader(settings.raster) as reader:
        raster, available = reader.info, reader.bands
    names = [band.name for band in model.bands]
    if settings.band_map:
        bands, remark = map_bands(raster, names, settings.band_map, model.name), ""
    else:
        bands, remark = match_bands(raster, available, names, model.name)
    source, opened = settings.raster, raster
    if settings.cell_size > 0 and not has_cell_size(raster, settings.cell_size):
        refuse_large_cell(raster, settings.cell_size)
        source = str(folder / "resampled.vrt")
        grid = with_cell_size(raster, settings.cell_size, Window(0, 0, raster.width, raster.height))
        write_copy(settings.raster, bands, Path(source), grid)
        opened = replace(describe_copy(source)[0], sensor=raster.sensor)
    remarks = [remark, compare_sensor(raster.sensor, model), compare_gsd(opened, model.gsd_m)]
    return OpenedRaster(source, opened, bands, [text for text in remarks if text])


def prepare_job(
    settings: ClassifySettings, model: ModelDescription, network: nn.Module, ranks: Ranks, opened: OpenedRaster
) -> tuple[Job, list[str]]:
    """The job of this process, and warnings for the user. Folds the batch normalisation of the network.

    Raises:
        ToolboxError: Settings contradict raster or model.
    """
    raster, bands = opened.info, opened.bands
    wanted = choose_window(raster, settings.extent)
    tile, overlap = choose_tile(settings, model, (int(wanted.height), int(wanted.width)))
    window = add_context(wanted, raster, tile, overlap)
    width, height = int(window.width), int(window.height)
    per_column = column_bytes(tile, len(model.class_values), len(bands))
    plan = make_plan(width, height, tile, overlap, widest_band=settings.memory_mb * 2**20 // per_column)
    needed_mb = plan.widest * per_column / 2**20
    scarce = ""
    if needed_mb > settings.memory_mb:
        scarce = f"Even the narrowest strip needs {needed_mb:,.0f} MB, more than the {settings.memory_mb:,} MB allowed."
    suppressed = 0 if model.has_background and not settings.predict_background else None
    fold_batch_norm(network.cpu().eval(), example_for(model))
    precision = choose_precision(settings.precision, ranks.device, plan.tile_count >= FEWEST_TILES_TO_PROBE)
    batch = settings.batch_size or default_batch(ranks.device, tile)
    predictor = TilePredictor(network, ranks.device, batch, suppressed, settings.test_time_augmentation, precision)
    mask = MaskPolygons(Path(settings.mask), raster.transform) if settings.mask else None
    rows = plan.share(ranks.rank, ranks.size)
    job = Job(Source(opened.source, bands, mask), window, wanted, plan, model, predictor, ranks.device, rows)
    return job, [*opened.remarks, *([scarce] if scarce else [])]
