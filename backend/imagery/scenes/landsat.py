# SPDX-License-Identifier: GPL-2.0-or-later
"""Landsat 4 to 9, Collection 2, Level-1 and Level-2, as a scene.

Scaling (USGS, Landsat Collection 2 product guides): Level-2 surface reflectance is 0.0000275 × DN − 0.2 and temperature
0.00341802 × DN + 149 K. Level-1 is reflectance at the top of the atmosphere, (M × DN + A) / sin(sun elevation), and, for thermal
bands, radiance that becomes brightness temperature. All factors are taken from the metadata file; DN 0 is fill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ...errors import ToolboxError
from ..sensors import Sensor, SensorBand, load_sensors
from .files import ProductFiles
from .landsat_metadata import LandsatMetadata, band_file_keys, parse_mtl
from .quality import QualityBand, classes_of
from .scene import REFLECTANCE, SURFACE, TEMPERATURE, TOP_OF_ATMOSPHERE, Scaling, Scene, SceneBand, missing_remark
from .sources import product_driver

METADATA_NAME = r".*_MTL\.(?:txt|json|xml)"
LEVEL_1, LEVEL_2 = ("L1TP", "L1GT", "L1GS"), ("L2SP", "L2SR")
FILL = 0
PANCHROMATIC = "B8"
PIXEL_KEY, SATURATION_KEY = "FILE_NAME_QUALITY_L1_PIXEL", "FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION"


def read_landsat(files: ProductFiles, metadata_name: str, only: Sequence[str] = ()) -> Scene:
    """The scene of a Landsat product.

    Args:
        files: The product's files.
        metadata_name: Which of them is the MTL.
        only: Names of band files to use, in this order; empty = all.

    Raises:
        ToolboxError: Collection, level, sensor or metadata are not what this reads.
    """
    metadata = parse_mtl(PurePosixPath(metadata_name).name, files.read(metadata_name))
    folder = PurePosixPath(metadata_name).parent
    present = {PurePosixPath(name).name: name for name in files.names if PurePosixPath(name).parent == folder}
    sensor, level = _identify(metadata)
    convert = _scale_surface if level == SURFACE else _scale_top_of_atmosphere
    night = _find_night(metadata) if level == TOP_OF_ATMOSPHERE else ""
    bands: list[SceneBand] = []
    missing: list[str] = []
    codes = band_file_keys(metadata)
    unknown = [file for file in only if file not in codes.values()]
    if unknown:
        raise ToolboxError(
            f"{unknown[0]} is not among the bands read ({', '.join(codes.values())}); leave it out, or choose SCALE none. Of the two "
            "gains of Landsat 7's thermal band B6_VCID_1 is read."
        )
    for code, file in codes.items():
        known = sensor.find(code)
        if known is None or (only and file not in only):
            continue
        if file in present:
            unscalable = "" if is_thermal(known) else night
            scaling = Scaling() if unscalable else convert(metadata, code[1:], known)
            bands.append(replace(_describe_band(metadata, known, files.gdal_source(present[file]), scaling), unscalable=unscalable))
        else:
            missing.append(file)
    title = metadata.text("PRODUCT_CONTENTS", "LANDSAT_PRODUCT_ID")
    return Scene(
        title=title,
        sensor=sensor.id,
        bands=tuple(bands),
        usual=tuple(code for name in only for code, file in codes.items() if file == name) if only else sensor.stacks[0],
        quality=_find_quality(files, metadata, sensor, present),
        missing_quality=_find_missing_quality(metadata, sensor, present),
        level=level,
        date=metadata.find("IMAGE_ATTRIBUTES", "DATE_ACQUIRED") or "",
        remarks=missing_remark(missing),
    )


def _identify(metadata: LandsatMetadata) -> tuple[Sensor, str]:
    """The sensor and whether values are at the surface or at the top of the atmosphere."""
    spacecraft = metadata.text("IMAGE_ATTRIBUTES", "SPACECRAFT_ID")
    instrument = metadata.text("IMAGE_ATTRIBUTES", "SENSOR_ID")
    sensor = load_sensors().sensors.get(spacecraft.lower().replace("_", ""))
    if sensor is None or not sensor.id.startswith("landsat") or instrument == "MSS":
        raise ToolboxError(
            f"{metadata.name} is of {spacecraft}, {instrument}; TM, ETM+ and OLI images of Landsat 4 to 9 are read. Stack the band "
            "files as a list of rasters instead."
        )
    level = metadata.text("PRODUCT_CONTENTS", "PROCESSING_LEVEL")
    if level in LEVEL_2:
        return sensor, SURFACE
    if level in LEVEL_1:
        return sensor, TOP_OF_ATMOSPHERE
    raise ToolboxError(f"{metadata.name} is of the level {level}; {', '.join((*LEVEL_1, *LEVEL_2))} are read.")


def _scale_surface(metadata: LandsatMetadata, number: str, band: SensorBand) -> Scaling:
    if is_thermal(band):
        group, suffix = "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS", f"BAND_ST_B{number}"
        return Scaling(metadata.number(group, f"TEMPERATURE_MULT_{suffix}"), metadata.number(group, f"TEMPERATURE_ADD_{suffix}"))
    group, suffix = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", f"BAND_{number}"
    return Scaling(metadata.number(group, f"REFLECTANCE_MULT_{suffix}"), metadata.number(group, f"REFLECTANCE_ADD_{suffix}"))


def _scale_top_of_atmosphere(metadata: LandsatMetadata, number: str, band: SensorBand) -> Scaling:
    group = "LEVEL1_RADIOMETRIC_RESCALING"
    if is_thermal(band):
        suffix = f"BAND_{number}"
        if metadata.find(group, f"RADIANCE_MULT_{suffix}") is None:  # Landsat 7 has the band twice
            suffix = f"BAND_{number}_VCID_1"
        planck = tuple(metadata.number("LEVEL1_THERMAL_CONSTANTS", f"K{which}_CONSTANT_{suffix}") for which in (1, 2))
        scale, offset = (metadata.number(group, f"RADIANCE_{part}_{suffix}") for part in ("MULT", "ADD"))
        return Scaling(scale, offset, (planck[0], planck[1]))
    sine = math.sin(math.radians(metadata.number("IMAGE_ATTRIBUTES", "SUN_ELEVATION")))
    scale, offset = (metadata.number(group, f"REFLECTANCE_{part}_BAND_{number}") for part in ("MULT", "ADD"))
    return Scaling(scale / sine, offset / sine)


def _find_night(metadata: LandsatMetadata) -> str:
    """A sentence when the sun was below the horizon, so that there is no reflectance; else empty."""
    elevation = metadata.number("IMAGE_ATTRIBUTES", "SUN_ELEVATION")
    if 0 < elevation <= 90:
        return ""
    return (
        f"{metadata.name} has a sun elevation of {elevation:g}°: an image taken at night has no reflectance. Choose SCALE none for "
        "the stored numbers, or only thermal bands in BANDS."
    )


def is_thermal(band: SensorBand) -> bool:
    """Whether a band of a Landsat sensor measures temperature."""
    return band.name.startswith("thermal")


def _describe_band(metadata: LandsatMetadata, band: SensorBand, source: str, scaling: Scaling) -> SceneBand:
    cell = "GRID_CELL_SIZE_PANCHROMATIC" if band.code == PANCHROMATIC and band.name == "pan" else "GRID_CELL_SIZE_REFLECTIVE"
    return SceneBand(
        name=band.name,
        code=band.code,
        source=source,
        cell_size=metadata.number("PROJECTION_ATTRIBUTES", cell),
        wavelength_um=band.wavelength_nm / 1000 if band.wavelength_nm else None,
        scaling=scaling,
        kind=TEMPERATURE if is_thermal(band) else REFLECTANCE,
        nodata=FILL,
        driver=product_driver(source),
    )


def _name_quality(metadata: LandsatMetadata, sensor: Sensor) -> dict[str, str]:
    """The files of the quality bands by kind, as far as the metadata name them."""
    keys = {"pixel_oli" if sensor.find("cirrus") else "pixel": PIXEL_KEY, "radsat": SATURATION_KEY}
    return {kind: file for kind, key in keys.items() if (file := metadata.find("PRODUCT_CONTENTS", key))}


def _find_quality(files: ProductFiles, metadata: LandsatMetadata, sensor: Sensor, present: dict[str, str]) -> tuple[QualityBand, ...]:
    """The quality bands whose files are there."""
    cell_size = metadata.number("PROJECTION_ATTRIBUTES", "GRID_CELL_SIZE_REFLECTIVE")
    return tuple(
        QualityBand(kind, files.gdal_source(present[file]), cell_size, product_driver(file))
        for kind, file in _name_quality(metadata, sensor).items()
        if file in present
    )


def _find_missing_quality(metadata: LandsatMetadata, sensor: Sensor, present: dict[str, str]) -> dict[str, str]:
    """By class, the quality file that the metadata name but that is not there."""
    named = _name_quality(metadata, sensor)
    return {name: file for kind, file in named.items() if file not in present for name in sorted(classes_of(kind))}
