# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``classify``: a raster of any size and a model in, a class raster out.

Steps: match the bands, plan the tiles, then per column band and row of tiles: read (in a thread), normalise, run the network on the
tiles that hold data, blend, take the winning class, write. Runs in the worker. Memory: one row of tiles of pixels and of
probabilities, as wide as a column band; the raster's height does not matter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from rasterio.windows import Window
from torch import Tensor, nn

from ..errors import ToolboxError
from ..imagery.normalise import normalise
from ..imagery.raster import RasterInfo, RasterReader
from ..models.catalogue import is_convolutional
from ..models.definition import BACKGROUND, ModelDescription
from ..models.package import load_model
from ..runtime.device import choose_device
from ..runtime.protocol import Event, device, info, progress, result, warning
from .blend import BlendBuffer
from .match import compare_gsd, match_bands
from .plan import ColumnBand, TilePlan, make_plan
from .predict import TilePredictor
from .settings import ClassifySettings
from .sidecars import LegendEntry
from .strips import Strip, StripReader
from .writer import RasterOutput

TILE_STEP = 32
AUTOMATIC_TILE = 512
SMALLEST_OVERLAP = 16
BYTE_NODATA, WIDE_NODATA, PERCENT_NODATA = 255, 65_535, 255
BACKGROUND_COLOR = (225, 225, 225)
COPY_SHARE = 0.95  # of the progress bar, where the network ends and the final copy begins
PROGRESS_SECONDS = 0.3


@dataclass
class Job:
    """Everything a classification works with.

    Attributes:
        source: GDAL source.
        bands: One-based bands in the model's order.
        window: Part of the raster to classify.
        plan: Its tiles.
        model: The model.
        predictor: Runs the network.
        torch_device: Where it runs.
        counts: Pixels of each class value written so far.
        done: Tiles behind us, computed or without data.
    """

    source: str
    bands: list[int]
    window: Window
    plan: TilePlan
    model: ModelDescription
    predictor: TilePredictor
    torch_device: str
    counts: dict[int, int] = field(default_factory=dict)
    done: int = 0
    _told: float = 0.0

    @property
    def nodata(self) -> int:
        """Nodata of the class raster."""
        return BYTE_NODATA if max(self.model.class_values) < BYTE_NODATA else WIDE_NODATA

    @property
    def dtype(self) -> str:
        """Type of the class raster."""
        return "uint8" if self.nodata == BYTE_NODATA else "uint16"

    def run(self, classes: RasterOutput, confidence: RasterOutput | None) -> Iterator[Event]:
        """Classifies all bands and rows; yields progress and warnings.

        Raises:
            ToolboxError: No valid pixel, a damaged file, or too little memory.
        """
        for band in self.plan.bands:
            buffer = BlendBuffer(self.plan, band, len(self.model.class_values), self.torch_device)
            with StripReader(self.source, self.bands, self.window, self.plan, band) as strips:
                for strip in strips:
                    if strip is not None:
                        yield from self._add_strip(strip, band, buffer)
                        self._write_final(buffer.take_final(strip.row), strip, band, classes, confidence)
                    yield from self._tell()
        if not self.counts:
            raise ToolboxError("The raster is nodata everywhere within the extent; check the raster, its nodata value and EXTENT.")

    def _tell(self) -> Iterator[Event]:
        """The progress, a few times a second at most."""
        now = time.monotonic()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            total = self.plan.tile_count
            yield progress(COPY_SHARE * self.done / total, f"{self.done} of {total} tiles")

    def _add_strip(self, strip: Strip, band: ColumnBand, buffer: BlendBuffer) -> Iterator[Event]:
        """Runs the network on the tiles of a strip that hold data."""
        tile, first = self.plan.tile, self.plan.columns[band.tiles[0]]
        valid = torch.from_numpy(strip.valid)
        pending = [
            number
            for number in band.tiles
            if valid[:, self.plan.columns[number] - first : self.plan.columns[number] - first + tile].any()
        ]
        self.done += len(band.tiles) - len(pending)
        if not pending:
            return
        image = torch.from_numpy(strip.image).to(self.torch_device)  # (bands, tile, columns)
        image = normalise(image, valid.to(self.torch_device), self.model.bands)
        while pending:
            batch = pending[: self.predictor.batch_size]
            lefts = [self.plan.columns[number] - first for number in batch]
            tiles = torch.stack([image[:, :, left : left + tile] for left in lefts])  # (N, bands, tile, tile)
            try:
                probabilities = self.predictor.predict(tiles)
            except torch.OutOfMemoryError:
                self.predictor.halve_batch()
                yield warning(f"The memory of the device ran out; going on with {self.predictor.batch_size} tiles a step.")
                continue
            for number, tile_probabilities in zip(batch, probabilities, strict=True):
                buffer.add(strip.row, number, tile_probabilities)
            pending = pending[len(batch) :]
            self.done += len(batch)
            yield from self._tell()

    def _write_final(
        self, probabilities: Tensor, strip: Strip, band: ColumnBand, classes: RasterOutput, confidence: RasterOutput | None
    ) -> None:
        """Writes the rows that are final: (classes, rows, columns) probabilities of the band."""
        left = band.left - self.plan.columns[band.tiles[0]]
        rows, columns = probabilities.shape[1:]
        valid = strip.valid[:rows, left : left + columns]
        best, index = probabilities.max(0)
        values = np.array(self.model.class_values, self.dtype)[index.cpu().numpy()]
        values[~valid] = self.nodata
        top = self.plan.rows[strip.row]
        classes.write(top, band.left, values)
        found, counts = np.unique(values[valid], return_counts=True)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            self.counts[value] = self.counts.get(value, 0) + count
        if confidence is not None:
            percent = (best.clamp(0, 1) * 100).round().to(torch.uint8).cpu().numpy()
            confidence.write(top, band.left, np.where(valid, percent, np.uint8(PERCENT_NODATA)))


def choose_tile(settings: ClassifySettings, model: ModelDescription, longest_side: int) -> tuple[int, int]:
    """Side of a tile and overlap in pixels.

    Purely convolutional networks may see larger tiles than in training, which cost less overlap; others keep the chip's size.

    Raises:
        ToolboxError: A tile below the model's chip, or an overlap above half a tile.
    """
    chip = math.ceil(model.chip_size / TILE_STEP) * TILE_STEP
    tile = settings.tile_size
    if tile == 0:
        fitting = math.ceil(longest_side / TILE_STEP) * TILE_STEP
        is_free = is_convolutional(model.architecture, model.backbone)
        tile = max(chip, min(AUTOMATIC_TILE, fitting)) if is_free else chip
    elif tile < model.chip_size:
        raise ToolboxError(f"TILE_SIZE is {tile}, but the model was trained on chips of {model.chip_size} pixels; use at least that.")
    overlap = settings.overlap if settings.overlap >= 0 else max(tile // 8, SMALLEST_OVERLAP)
    if overlap > tile // 2:
        raise ToolboxError(f"OVERLAP is {overlap}, but at most half of the tile, {tile // 2} pixels, is possible.")
    return tile, overlap


def choose_window(raster: RasterInfo, extent: tuple[float, float, float, float] | None) -> Window:
    """The pixels that an extent touches, cut to the raster; raises ToolboxError when there are none."""
    if extent is None:
        return Window(0, 0, raster.width, raster.height)
    inverse = ~raster.transform
    corners = [inverse * (x, y) for x in extent[::2] for y in extent[1::2]]
    # A thousandth of a pixel of tolerance: an edge that lies on the grid must not take in the next row.
    left, top = (max(math.floor(min(corner[axis] for corner in corners) + 1e-3), 0) for axis in (0, 1))
    right = min(math.ceil(max(corner[0] for corner in corners) - 1e-3), raster.width)
    bottom = min(math.ceil(max(corner[1] for corner in corners) - 1e-3), raster.height)
    if left >= right or top >= bottom:
        raise ToolboxError("EXTENT lies outside the raster; choose an extent that meets it.")
    return Window(left, top, right - left, bottom - top)


def build_legend(model: ModelDescription) -> list[LegendEntry]:
    """The classes as they are shown, the background first if the model has one."""
    background = [LegendEntry(BACKGROUND, "Background", BACKGROUND_COLOR)] if model.has_background else []
    return background + [LegendEntry(entry.value, entry.name, entry.color) for entry in model.classes.classes]


def widest_band(memory_mb: int, classes: int, bands: int, tile: int) -> int:
    """Columns that fit: per column, the buffer and its copy, and four strips of pixels (two waiting, one in work, one normalised)."""
    per_column = 4 * tile * (2 * classes + 4 * bands)
    return max(memory_mb * 2**20 // per_column, 1)


def prepare_job(
    settings: ClassifySettings, model: ModelDescription, network: nn.Module, torch_device: str
) -> tuple[Job, RasterInfo, list[str]]:
    """The job, the raster, and warnings for the user.

    Raises:
        ToolboxError: Raster and model do not fit, or settings contradict them.
    """
    with RasterReader(settings.raster) as reader:
        raster, available = reader.info, reader.bands
    bands, remark = match_bands(raster, available, [band.name for band in model.bands], model.name)
    window = choose_window(raster, settings.extent)
    tile, overlap = choose_tile(settings, model, int(max(window.width, window.height)))
    widest = widest_band(settings.memory_mb, len(model.class_values), len(bands), tile)
    plan = make_plan(int(window.width), int(window.height), tile, overlap, widest)
    suppressed = 0 if model.has_background and not settings.predict_background else None
    predictor = TilePredictor(network, torch_device, settings.batch_size, suppressed, settings.test_time_augmentation)
    job = Job(settings.raster, bands, window, plan, model, predictor, torch_device)
    return job, raster, [text for text in (remark, compare_gsd(raster, model.gsd_m)) if text]


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
    """As `classify`, with a network that is loaded already."""
    job, raster, warnings = prepare_job(settings, model, network, torch_device)
    for text in warnings:
        yield warning(text)
    if not settings.predict_background and not model.has_background:
        yield info("PREDICT_BACKGROUND has no effect: the model has no background class.")
    plan = job.plan
    yield info(
        f"{plan.width} × {plan.height} pixels in {plan.tile_count} tiles of {plan.tile}, each pixel computed "
        f"{plan.overlap_factor:.2f} times, {len(plan.bands)} column band(s)."
    )
    transform = raster.transform * Affine.translation(job.window.col_off, job.window.row_off)
    common = (job_id, (plan.height, plan.width))
    with ExitStack() as stack:
        legend = build_legend(model)
        classes = stack.enter_context(
            RasterOutput(Path(settings.output), *common, job.dtype, job.nodata, transform, raster.crs_wkt, legend)
        )
        confidence = None
        if settings.confidence:
            path = Path(settings.confidence)
            confidence = stack.enter_context(
                RasterOutput(path, *common, "uint8", PERCENT_NODATA, transform, raster.crs_wkt, [])
            )
        yield from job.run(classes, confidence)
        for output in (classes, confidence):
            for _ in output.finish(job.counts) if output else ():
                yield progress(COPY_SHARE, "Writing the cloud-optimised GeoTIFF")
        for output in (confidence, classes):
            if output is not None:
                output.publish()
    yield from _report_areas(job.counts, legend, raster)
    yield progress(1.0)


def _report_areas(counts: dict[int, int], legend: list[LegendEntry], raster: RasterInfo) -> Iterator[Event]:
    """One line per class: its share, and its area where the cell size in metres is known."""
    total = sum(counts.values())
    hectares = raster.gsd_m**2 / 10_000 if raster.gsd_m else None
    for entry in legend:
        count = counts.get(entry.value, 0)
        area = f", {count * hectares:,.1f} ha" if hectares else ""
        yield info(f"  {entry.value}  {entry.name}: {100 * count / total:.1f} %{area}")
