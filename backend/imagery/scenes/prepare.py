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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from ...errors import ToolboxError
from ...runtime.protocol import Event, info, progress, result, warning
from ..image_writer import ImageGrid, ImageOutput, OutputBand
from ..overwriting import refuse_overwriting
from ..raster import SENSOR_TAG
from ..sensors import load_sensors
from ..windows import plan_windows, read_ahead
from .find import find_scene
from .grid import GridReader, describe_units, plan_grid
from .masker import Masker, open_masker
from .pixels import PixelFormat, choose_format
from .scene import SURFACE, TOP_OF_ATMOSPHERE, Scene, SceneBand
from .settings import SceneSettings
from .sources import open_source

LONG_TYPES = ("int32", "uint32", "int64", "uint64")
WINDOW_SIDE, WINDOW_PIXELS = 1024, 2**22  # rows of a window: the tiles of Sentinel-2's images, each of which is decoded once
GDAL_CACHE_BYTES = 256 * 2**20
PROGRESS_SECONDS = 0.3
WRITE_SHARE = 0.8  # of the progress bar; the rest is the overviews'


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
        unscalable = next((band.unscalable for band in bands if band.unscalable), "")
        if unscalable and settings.scale != "none":
            raise ToolboxError(unscalable)
        grid = _choose_grid(scene, bands, settings)
        yield from _announce(scene, settings)
        resampling = Resampling[settings.resampling]
        datasets = [stack.enter_context(open_source(band.source, band.driver)) for band in bands]
        read = [file for dataset in datasets for file in dataset.files]
        refuse_overwriting(settings.output, [*settings.inputs, *scene.sources, *read])
        yield from _compare_systems(scene, bands, datasets)
        masks_saturation = settings.mask_clouds and "saturation" in settings.wanted_classes
        saturated = [band.saturated if masks_saturation else None for band in bands]
        readers = [
            stack.enter_context(GridReader(dataset, [band.number], grid, resampling, band.nodata, value))
            for dataset, band, value in zip(datasets, bands, saturated, strict=True)
        ]
        yield from _announce_bands(bands, readers, grid)
        if settings.scale != "none":
            yield from _announce_rounding(bands, datasets)
        masker = open_masker(stack, scene, bands, grid, settings.wanted_classes if settings.mask_clouds else [], resampling)
        stacker = Stacker(bands, readers, masker, choose_format(bands, settings), grid, [0] * len(bands))
        output = stack.enter_context(_open_output(scene, bands, grid, stacker.pixels, settings, job_id))
        yield from stacker.stack(output)
        if not any(stacker.valid):
            raise ToolboxError(
                f"{scene.title} has no valid pixel left within the extent; check EXTENT, and with MASK_CLOUDS whether it is "
                "cloudy all over."
            )
        for _ in output.build_overviews() if settings.overviews else ():
            yield progress(WRITE_SHARE, "Building overviews")
        output.publish()
    yield from _report(stacker)
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
    missing = _missing_quality(scene, settings) if settings.mask_clouds else {}
    if missing:
        raise ToolboxError(
            f"{scene.title} lacks {', '.join(dict.fromkeys(missing.values()))}, which tells {', '.join(missing)}; download it too, "
            "or leave these classes out of MASK_CLASSES."
        )
    if settings.mask_clouds and not scene.quality and (_untold(scene, settings) or not scene.level):
        raise ToolboxError(
            f"{scene.title} has no quality band (QA_PIXEL, SCL, or MSK_CLASSI since 2022), so MASK_CLOUDS cannot work; use the "
            "product's Level-2, or switch MASK_CLOUDS off."
        )
    if settings.mask_clouds and _untold(scene, settings) == settings.wanted_classes:
        raise ToolboxError(
            f"The quality bands of {scene.title} do not tell {', '.join(settings.wanted_classes)}; name other MASK_CLASSES."
        )


def _missing_quality(scene: Scene, settings: SceneSettings) -> dict[str, str]:
    """By class to mask that nothing tells, the missing file that would tell it."""
    return {name: scene.missing_quality[name] for name in _untold(scene, settings) if name in scene.missing_quality}


def _untold(scene: Scene, settings: SceneSettings) -> list[str]:
    """The classes to mask that no quality band of the scene tells."""
    told = {name for quality in scene.quality for name in quality.classes}
    if any(band.saturated is not None for band in scene.bands):
        told.add("saturation")
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
    units = describe_units(CRS.from_wkt(grid.crs_wkt) if grid.crs_wkt else None)
    yield info(f"Bands: {', '.join(band.name for band in bands)}")
    yield info(
        f"Grid: {grid.width:,} × {grid.height:,} cells of {grid.transform.a:g} {units}"
        + (f"; resampled to it: {', '.join(resampled)}" if resampled else "")
    )


def _announce_rounding(bands: list[SceneBand], datasets: list[rasterio.DatasetReader]) -> Iterator[Event]:
    """Tells of integers that float32 may not hold."""
    types = [dataset.dtypes[band.number - 1] for band, dataset in zip(bands, datasets, strict=True)]
    long = [band.name for band, dtype in zip(bands, types, strict=True) if dtype in LONG_TYPES]
    if long:
        yield warning(f"Integers above 16,777,216 are rounded in the result: {', '.join(long)}. SCALE none keeps them.")


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


@dataclass
class Stacker:
    """The parts that stack a scene.

    Attributes:
        bands: The bands in the order of the output.
        readers: Their readers.
        masker: Finds the pixels to mask.
        pixels: How values are stored.
        grid: Of the output.
        valid: Valid pixels of each band so far.
    """

    bands: list[SceneBand]
    readers: list[GridReader]
    masker: Masker
    pixels: PixelFormat
    grid: ImageGrid
    valid: list[int]
    _masked: NDArray[np.bool_] | None = None
    _saturated: NDArray[np.bool_] | None = None  # in any band of the window so far

    def stack(self, output: ImageOutput) -> Iterator[Event]:
        """Reads, scales and writes all windows of all bands, one after the other; yields the progress."""
        windows = plan_windows(self.grid.width, self.grid.height, WINDOW_SIDE, WINDOW_PIXELS)
        parts = [(window, position) for window in windows for position in range(len(self.bands))]
        told = time.monotonic()
        for done, ((window, position), (stored, valid)) in enumerate(read_ahead(parts, self._read), start=1):
            encoded = self.pixels.encode(self.bands[position], stored, valid)
            self.valid[position] += self.pixels.count_valid(encoded)
            output.write(window, encoded, position + 1)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                yield progress(WRITE_SHARE * done / len(parts), f"{done} of {len(parts)} windows of the bands")

    def _read(self, part: tuple[Window, int]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Stored values (rows, columns) of one band in a window, and where they are valid; called in the order of the parts."""
        window, position = part
        if position == 0:
            self._masked = self.masker.find_masked(window)
        stored, valid = self.readers[position].read(window)
        if self._masked is not None:
            valid &= ~self._masked
        saturated = self.readers[position].find_saturated(stored, window)
        if saturated is not None:
            valid &= ~saturated
            self._saturated = saturated if position == 0 or self._saturated is None else self._saturated | saturated
        if position == len(self.bands) - 1 and self._saturated is not None:
            self.masker.count("saturation", self._saturated if self._masked is None else self._saturated & ~self._masked)
            self._saturated = None
        return stored[0], valid


def _report(stacker: Stacker) -> Iterator[Event]:
    """Shares of what was masked, and of what is valid in the band that has the least."""
    total = stacker.grid.width * stacker.grid.height
    counts = stacker.masker.counts
    if counts:
        yield info("Masked: " + ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in counts.items()))
    yield info(f"Valid: at least {100 * min(stacker.valid) / total:.1f} % of the pixels of each band.")
    for band, valid in zip(stacker.bands, stacker.valid, strict=True):
        if not valid:
            yield warning(f"The band {band.name} is nodata everywhere; it may not cover the extent.")
