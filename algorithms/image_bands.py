# SPDX-License-Identifier: GPL-2.0-or-later
"""Names, wavelengths and sensor of an image's bands, read by the GDAL of QGIS in the way the worker reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from osgeo import gdal

SENSOR_TAG = "SENSOR"


@dataclass(frozen=True)
class ImageBands:
    """The bands of an image, band 1 first: names, and centres in micrometres (None where unknown); and the sensor it names."""

    names: tuple[str, ...] = ()
    wavelengths_um: tuple[float | None, ...] = ()
    sensor: str = ""


def read_image_bands(source: str) -> ImageBands:
    """The bands of a GDAL source; none when GDAL cannot read it, which the tool itself tells."""
    try:
        dataset = gdal.Open(source)
    except RuntimeError:  # another plugin may have switched GDAL's exceptions on
        dataset = None
    if dataset is None:
        return ImageBands()
    bands = [dataset.GetRasterBand(number) for number in range(1, dataset.RasterCount + 1)]
    names = tuple(band.GetDescription() or f"Band {number}" for number, band in enumerate(bands, start=1))
    return ImageBands(names, tuple(_wavelength(band) for band in bands), dataset.GetMetadataItem(SENSOR_TAG) or "")


def _wavelength(band: Any) -> float | None:
    """Centre in micrometres from the metadata, which may be in nanometres."""
    tags = band.GetMetadata() or {}
    text = tags.get("wavelength") or tags.get("WAVELENGTH") or tags.get("CENTRAL_WAVELENGTH_UM")
    try:
        value = float(text) if text else 0.0
    except ValueError:
        return None
    if value <= 0:
        return None
    return value / 1000 if value > 100 else value
