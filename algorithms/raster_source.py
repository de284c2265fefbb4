# SPDX-License-Identifier: GPL-2.0-or-later
"""A raster layer as the worker can open it: its GDAL source, with what the tools need to know of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from osgeo import gdal
from qgis.core import Qgis, QgsCoordinateReferenceSystem, QgsProviderRegistry, QgsRaster, QgsRasterLayer, QgsRectangle

from ..backend.errors import ToolboxError
from .texts import tr


@dataclass(frozen=True)
class RasterSource:
    """What a raster layer stands for.

    Attributes:
        source: What GDAL opens; an absolute path if it is a file.
        crs: Coordinate system of the layer; invalid when it has none.
        extent: In QGIS's map coordinates.
        has_georeference: False when QGIS places pixel (column, row) at (column, −row), while the worker uses (column, row).
        name: The layer's name.
    """

    source: str
    crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle
    has_georeference: bool
    name: str

    @classmethod
    def from_layer(cls, layer: QgsRasterLayer | None, parameter: str) -> RasterSource:
        """Reads the layer's properties; call it in the thread of the layer.

        Raises:
            ToolboxError: There is no such raster, or none that another process could open.
        """
        if layer is None or not layer.isValid():
            raise ToolboxError(tr("{} is not a raster that QGIS can read; choose another one.").format(parameter))
        source = gdal_source(layer, parameter)
        return cls(source, layer.crs(), layer.extent(), _has_georeference(source, parameter), layer.name())

    @staticmethod
    def describe_bands(layer: QgsRasterLayer, bands: list[int]) -> tuple[int, list[str]]:
        """Number of bands to use (all without a choice), and their types in numpy's words, as far as they are whole numbers."""
        provider = layer.dataProvider()
        chosen = bands or list(range(1, layer.bandCount() + 1))
        if not bands and provider.colorInterpretation(layer.bandCount()) == QgsRaster.ColorInterpretation.AlphaBand:
            chosen.pop()  # says what is valid and is not imagery
        types = {Qgis.DataType.Byte: "uint8", Qgis.DataType.UInt16: "uint16", Qgis.DataType.Int16: "int16"}
        return len(chosen), [types.get(provider.sourceDataType(band), "32 or 64 bits") for band in chosen]


def gdal_source(layer: QgsRasterLayer, parameter: str) -> str:
    """The layer's GDAL source; raises ToolboxError when it has none that works in another process."""
    advice = tr("export it to a GeoTIFF (Export > Save As) and choose that.")
    named = f"{parameter} “{layer.name()}”"
    provider = layer.providerType()
    if provider != "gdal":
        raise ToolboxError(f"{named} {tr('comes from the source “{}”, which has no file:').format(provider)} {advice}")
    source = layer.source()
    if source.startswith("/vsimem/"):
        raise ToolboxError(f"{named} {tr('lies in the memory of QGIS:')} {advice}")
    if QgsProviderRegistry.instance().decodeUri("gdal", source).get("openOptions"):
        raise ToolboxError(f"{named} {tr('is opened with options of its own:')} {advice}")
    return os.path.abspath(source) if os.path.exists(source) else source


def _has_georeference(source: str, parameter: str) -> bool:
    """Whether the file says where it lies; raises ToolboxError when it does so by ground control points only."""
    try:
        dataset = gdal.Open(source)
    except RuntimeError:  # another plugin may have switched GDAL's exceptions on
        dataset = None
    if dataset is None:
        raise ToolboxError(tr("{} “{}” cannot be opened by GDAL; choose another raster.").format(parameter, source))
    if dataset.GetGeoTransform(can_return_null=True) is not None:
        return True
    if dataset.GetGCPCount() > 0:
        text = tr("{} “{}” is placed by ground control points; warp it first (Raster > Projections > Warp).")
        raise ToolboxError(text.format(parameter, source))
    return False
