# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``scene``: a downloaded product or a list of rasters in, one stack with named, scaled bands out. Runs in the worker.

Steps: recognise the input (`find`), choose bands and grid, then, window by window, read the quality bands once and each band in
turn, scale, mask, write; at the end move the file to its name and tell what was masked. Memory: one window of one band at a time,
whatever the scene's size.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

from ...errors import ToolboxError
from ...runtime.protocol import Event, info, progress, result, warning
from ..image_writer import SENSOR_TAG, ImageGrid, ImageOutput, OutputBand
from ..sensors import load_sensors
from ..windows import plan_windows
from .find import find_scene
from .grid import GridReader, plan_grid
from .pixels import PixelFormat, choose_format
from .quality import QualityBand
from .scene import SURFACE, TOP_OF_ATMOSPHERE, Scene, SceneBand, misfit
from .settings import SceneSettings
from .sources import open_source

WINDOW_SIDE, WINDOW_PIXELS = 1024, 2**22  # rows of a window: the tiles of Sentinel-2's images, each of which is decoded once
GDAL_CACHE_BYTES = 256 * 2**20
PROGRESS_SECONDS = 0.3


@dataclass
class Masker:
    """The quality bands in use, and what they have masked so far.

    Attributes:
        readers: Each quality band with its reader and the classes it is asked for.
        codes: Codes of the bands that are written; only their saturation counts.
        counts: Pixels by class.
    """

    readers: list[tuple[QualityBand, GridReader, list[str]]]
    codes: list[str]
    counts: dict[str, int] = field(default_factory=dict)

    def find_masked(self, window: Window) -> NDArray[np.bool_]:
        """(rows, columns) bool: where any of the classes is."""
        masked = np.zeros((window.height, window.width), bool)
        for quality, reader, classes in self.readers:
            values, _ = reader.read(window)
            for name in classes:
                found = quality.find(values, name, self.codes)
                self.counts[name] = self.counts.get(name, 0) + int(np.count_nonzero(found))
                masked |= found
        return masked


def prepare_scene(settings: SceneSettings, job_id: str) -> Iterator[Event]:
    """Stacks, scales, masks and clips a scene.

    Args:
        settings: The request.
        job_id: Names the partial folder.

    Yields:
        Events; the result's output is OUTPUT (path).

    Raises:
        ToolboxError: The input is not understood, incomplete, damaged or hostile, nothing valid remains, or the output cannot be
            written.
    """
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES, GDAL_NUM_THREADS="ALL_CPUS"), ExitStack() as stack:
        scene = find_scene(settings.inputs, settings.scale)
        _refuse_impossible(scene, settings)
        bands = scene.choose(settings.wanted_bands, settings.resolution)
        grid = _choose_grid(scene, bands, settings)
        yield from _announce(scene, settings)
        resampling = Resampling[settings.resampling]
        datasets = [stack.enter_context(open_source(band.source, band.driver)) for band in bands]
        yield from _compare_systems(scene, bands, datasets)
        readers = [
            stack.enter_context(GridReader(dataset, [band.number], grid, resampling, band.nodata))
            for dataset, band in zip(datasets, bands, strict=True)
        ]
        yield from _announce_bands(bands, readers, grid)
        masker = _open_masker(stack, scene, bands, grid, settings)
        pixels = choose_format(bands, settings)
        output = stack.enter_context(_open_output(scene, bands, grid, pixels, settings, job_id))
        valid: list[int] = [0] * len(bands)
        yield from _stream(bands, readers, masker, pixels, output, grid, valid)
        if not any(valid):
            raise ToolboxError(
                f"{scene.title} has no valid pixel left within the extent; check EXTENT, and with MASK_CLOUDS whether it is "
                "cloudy all over."
            )
        output.publish()
    yield from _report(masker, valid, bands, grid)
    yield progress(1.0)
    yield result({"OUTPUT": settings.output})


def _refuse_impossible(scene: Scene, settings: SceneSettings) -> None:
    """What a scene of this kind cannot give."""
    if settings.scale == "toa" and scene.level != TOP_OF_ATMOSPHERE:
        raise ToolboxError(f"{scene.title} holds surface reflectance; SCALE toa needs a Level-1 product, so choose reflectance.")
    if settings.output_type == "int16" and not scene.level:
        raise ToolboxError(
            "OUTPUT_TYPE int16 stores the reflectance of a Landsat or Sentinel-2 product; choose float32 for other rasters."
        )
    if settings.mask_clouds and not scene.quality:
        raise ToolboxError(
            f"{scene.title} has no quality band (QA_PIXEL, SCL, or MSK_CLASSI since 2022), so MASK_CLOUDS cannot work; use the "
            "product's Level-2, or switch MASK_CLOUDS off."
        )
    if settings.mask_clouds and _untold(scene, settings) == settings.wanted_classes:
        raise ToolboxError(
            f"The quality bands of {scene.title} do not tell {', '.join(settings.wanted_classes)}; name other MASK_CLASSES."
        )


def _untold(scene: Scene, settings: SceneSettings) -> list[str]:
    """The classes to mask that no quality band of the scene tells."""
    told = {name for quality in scene.quality for name in quality.classes}
    return [name for name in settings.wanted_classes if name not in told]


def _compare_systems(scene: Scene, bands: list[SceneBand], datasets: list[rasterio.DatasetReader]) -> Iterator[Event]:
    """Refuses a product whose bands lie in several coordinate systems; tells which rasters of a list are brought to the first's."""
    first = datasets[0].crs
    others = {band.name: dataset.crs for band, dataset in zip(bands, datasets, strict=True) if dataset.crs and dataset.crs != first}
    if not others or first is None:
        return
    named = ", ".join(f"{name} ({crs.to_string():.40})" for name, crs in others.items())
    if scene.level:
        raise ToolboxError(
            f"Bands of {scene.title} lie in another coordinate system than {bands[0].name} ({first.to_string():.40}): {named}. "
            "They are not of one scene; download the product again."
        )
    yield warning(f"Brought to the coordinate system of the first raster ({first.to_string():.40}): {named}.")


def _choose_grid(scene: Scene, bands: list[SceneBand], settings: SceneSettings) -> ImageGrid:
    """The grid of a product's finest band, or of the first raster of a list."""
    reference = min(bands, key=lambda band: band.cell_size) if scene.level else bands[0]
    with open_source(reference.source, reference.driver) as dataset:
        if dataset.transform.b or dataset.transform.d:
            raise ToolboxError(
                f"{dataset.name} is rotated against its coordinate system; warp it first (Raster > Projections > Warp)."
            )
        return plan_grid(dataset, settings.resolution, settings.extent, settings.extent_crs)


def _announce(scene: Scene, settings: SceneSettings) -> Iterator[Event]:
    sensor = load_sensors().sensors[scene.sensor].title if scene.sensor else "no known sensor"
    yield info(f"{scene.title}: {sensor}" + (f", {scene.date}" if scene.date else ""))
    for remark in scene.remarks:
        yield warning(remark)
    untold = _untold(scene, settings) if settings.mask_clouds else []
    if untold:
        yield warning(f"Not masked, since the product's quality bands do not tell it: {', '.join(untold)}.")
    if scene.level and settings.scale != "none":
        meaning = "at the surface" if scene.level == SURFACE else "at the top of the atmosphere (Level-1 is not corrected for it)"
        yield info(f"Values: reflectance {meaning}.")


def _announce_bands(bands: list[SceneBand], readers: list[GridReader], grid: ImageGrid) -> Iterator[Event]:
    resampled = [band.name for band, reader in zip(bands, readers, strict=True) if reader.is_resampled]
    yield info(f"Bands: {', '.join(band.name for band in bands)}")
    yield info(
        f"Grid: {grid.width:,} × {grid.height:,} pixels of {grid.transform.a:g}"
        + (f"; resampled to it: {', '.join(resampled)}" if resampled else "")
    )


def _open_masker(stack: ExitStack, scene: Scene, bands: list[SceneBand], grid: ImageGrid, settings: SceneSettings) -> Masker:
    """The quality bands that are needed, each class from the first that tells it, at the cell size that fits best."""
    masker = Masker([], [band.code for band in bands])
    if not settings.mask_clouds:
        return masker
    pending = list(dict.fromkeys(settings.wanted_classes))
    for quality in sorted(scene.quality, key=lambda quality: misfit(quality.cell_size, grid.transform.a)):
        classes = [name for name in pending if name in quality.classes]
        if classes:
            dataset = open_source(quality.source, quality.driver)
            reader = stack.enter_context(GridReader(dataset, quality.numbers, grid, Resampling.nearest))
            masker.readers.append((quality, reader, classes))
            pending = [name for name in pending if name not in classes]
    return masker


def _open_output(
    scene: Scene, bands: list[SceneBand], grid: ImageGrid, pixels: PixelFormat, settings: SceneSettings, job_id: str
) -> ImageOutput:
    tags = {SENSOR_TAG: scene.sensor, "ACQUISITION_DATE": scene.date, "PRODUCT": scene.title if scene.level else ""}
    tags["REFLECTANCE"] = scene.level if settings.scale != "none" else ""
    described = [
        OutputBand(band.name, band.wavelength_um, *pixels.scaling(band), tags={"code": band.code} if band.code else {})
        for band in bands
    ]
    kept = {name: value for name, value in tags.items() if value}
    return ImageOutput(Path(settings.output), job_id, grid, described, pixels.dtype, pixels.nodata, kept)


def _stream(
    bands: list[SceneBand],
    readers: list[GridReader],
    masker: Masker,
    pixels: PixelFormat,
    output: ImageOutput,
    grid: ImageGrid,
    valid_counts: list[int],
) -> Iterator[Event]:
    """Reads, scales and writes all windows of all bands; adds to the counts of valid pixels; yields the progress."""
    windows = plan_windows(grid.width, grid.height, WINDOW_SIDE, WINDOW_PIXELS)
    told = time.monotonic()
    for place, window in enumerate(windows):
        masked = masker.find_masked(window)
        for position, (band, reader) in enumerate(zip(bands, readers, strict=True)):
            stored, valid = reader.read(window)
            valid &= ~masked
            if band.saturated is not None and masker.readers:
                valid &= stored[0] != band.saturated
            valid_counts[position] += int(np.count_nonzero(valid))
            output.write(window, pixels.encode(band, stored[0], valid), position + 1)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                yield progress((place + (position + 1) / len(bands)) / len(windows), f"{place + 1} of {len(windows)} windows")


def _report(masker: Masker, valid: list[int], bands: list[SceneBand], grid: ImageGrid) -> Iterator[Event]:
    """Shares of what was masked, and of what is valid in the band that has the least."""
    total = grid.width * grid.height
    if masker.counts:
        yield info("Masked: " + ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in masker.counts.items()))
    fewest = min(range(len(bands)), key=lambda position: valid[position])
    yield info(f"Valid: at least {100 * valid[fewest] / total:.1f} % of the pixels of each band.")
    for position, band in enumerate(bands):
        if not valid[position]:
            yield warning(f"The band {band.name} is nodata everywhere; it may not cover the extent.")
