# SPDX-License-Identifier: GPL-2.0-or-later
"""Regions of one class in a preview, as polygons that follow its pixels.

Enters: the rasters of a preview, and an area or a point in their coordinates. What is too unsure is left out first; then connected
pixels of one class (side by side, not over a corner) become a polygon each; then specks fall away. Nothing is smoothed: a label must
cover the pixels that it speaks of, and no others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from osgeo import gdal, ogr
from qgis.core import QgsGeometry, QgsPointXY, QgsRectangle

from ...backend.errors import ToolboxError
from .texts import tr

MOST = 1_000_000  # pixels at once: a second of work where the classes are noisy
REACH = 490  # pixels on each side of a click that its region may have; stays within MOST


@dataclass(frozen=True)
class Limits:
    """What is worth being a label.

    Attributes:
        most_unsure: Percent, 0 to 100; pixels that are less sure are left out.
        least_pixels: Regions of fewer pixels are left out.
    """

    most_unsure: int = 100
    least_pixels: int = 1


@dataclass(frozen=True)
class Region:
    """Connected pixels of one class, as a valid polygon in the preview's coordinates.

    Attributes:
        value: Class value.
        shape: Polygon.
        least: Area, in the square of the coordinates' units, below which a part of it is a speck.
    """

    value: int
    shape: QgsGeometry
    least: float


class PreviewRegions:
    """The two rasters of a preview, which have the same pixels.

    Args:
        classes: Path of the class raster.
        unsure: Path of the raster of uncertainty, in percent.

    Raises:
        ToolboxError: They are gone.
    """

    def __init__(self, classes: str, unsure: str) -> None:
        self._classes, self._unsure = _open(classes), _open(unsure)
        self._left, self._width, _, self._top, _, self._height = self._classes.GetGeoTransform()  # of a pixel; the height is negative
        self.pixel_area = abs(self._width * self._height)

    def within(self, area: QgsGeometry, limits: Limits) -> list[Region]:
        """The regions of all pixels whose centre lies in an area.

        Raises:
            ToolboxError: The area has too many pixels.
        """
        found = self._read(area.boundingBox(), limits)
        if found is None:
            return []
        values, place = found
        burnt = _raster(np.zeros(values.shape, np.uint8), place, self._classes.GetProjection())
        shapes = _vectors()
        layer = shapes.CreateLayer("area", burnt.GetSpatialRef(), ogr.wkbUnknown)
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetGeometry(ogr.CreateGeometryFromWkb(bytes(area.asWkb())))
        layer.CreateFeature(feature)
        gdal.RasterizeLayer(burnt, [1], layer, burn_values=[1])
        values[burnt.ReadAsArray() == 0] = 0
        return self._trace(values, place, limits)

    def at(self, point: QgsPointXY, view: QgsRectangle, limits: Limits) -> list[Region]:
        """The region at a point, as far as it lies in view and near; none where the preview has no class that is sure enough."""
        near = QgsRectangle.fromCenterAndSize(point, 2 * REACH * abs(self._width), 2 * REACH * abs(self._height))
        found = self._read(near.intersect(view), limits)
        if found is None:
            return []
        values, place = found
        column, row = int((point.x() - place[0]) // self._width), int((point.y() - place[3]) // self._height)
        if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]) or not values[row, column]:
            return []
        values[values != values[row, column]] = 0
        spot = QgsGeometry.fromPointXY(QgsPointXY(place[0] + (column + 0.5) * self._width, place[3] + (row + 0.5) * self._height))
        return [region for region in self._trace(values, place, limits) if region.shape.contains(spot)]

    def _read(self, box: QgsRectangle, limits: Limits) -> tuple[np.ndarray, tuple[float, ...]] | None:
        """Class values (rows, columns), 0 where none or too unsure, and their geotransform; None beside the preview."""
        columns = [(side - self._left) / self._width for side in (box.xMinimum(), box.xMaximum())]
        rows = [(side - self._top) / self._height for side in (box.yMaximum(), box.yMinimum())]
        column, row = max(math.floor(columns[0]), 0), max(math.floor(rows[0]), 0)
        width = min(math.ceil(columns[1]), self._classes.RasterXSize) - column
        height = min(math.ceil(rows[1]), self._classes.RasterYSize) - row
        if width <= 0 or height <= 0:
            return None
        if width * height > MOST:
            text = tr("This area has {0:,} pixels, and at most {1:,} are accepted at once; zoom in, or draw a smaller one.")
            raise ToolboxError(text.format(width * height, MOST))
        band = self._classes.GetRasterBand(1)
        values, unsure = (raster.ReadAsArray(column, row, width, height) for raster in (self._classes, self._unsure))
        values[(values == band.GetNoDataValue()) | (unsure > limits.most_unsure)] = 0
        left, top = self._left + column * self._width, self._top + row * self._height
        return values, (left, self._width, 0.0, top, 0.0, self._height)

    def _trace(self, values: np.ndarray, place: tuple[float, ...], limits: Limits) -> list[Region]:
        """Outlines of the connected pixels of each class."""
        raster = _raster(values, place, self._classes.GetProjection())
        band = raster.GetRasterBand(1)
        shapes = _vectors()
        layer = shapes.CreateLayer("regions", raster.GetSpatialRef(), ogr.wkbPolygon)
        layer.CreateField(ogr.FieldDefn("value", ogr.OFTInteger))
        gdal.Polygonize(band, band, layer, 0, [])  # the band masks itself: 0 is no region
        least = (limits.least_pixels - 0.5) * self.pixel_area
        regions = []
        for feature in layer:
            geometry = feature.GetGeometryRef()
            if geometry.GetArea() < least:
                continue
            shape = QgsGeometry()
            shape.fromWkb(bytes(geometry.ExportToWkb()))
            regions.append(Region(feature.GetField(0), shape if shape.isGeosValid() else shape.makeValid(), least))
        return regions


def _open(path: str) -> gdal.Dataset:
    try:
        raster = gdal.Open(path)
    except RuntimeError:  # another plugin may have switched GDAL's exceptions on
        raster = None
    if raster is None:
        raise ToolboxError(tr("The files of the preview are gone; press “Preview classes” again."))
    return raster


def _vectors() -> ogr.DataSource:
    """Vector layers in memory; GDAL 3.11 gave their driver the name of the one for rasters."""
    return (ogr.GetDriverByName("Memory") or ogr.GetDriverByName("MEM")).CreateDataSource("")


def _raster(values: np.ndarray, place: tuple[float, ...], projection: str) -> gdal.Dataset:
    """An array as a raster in memory."""
    kind = gdal.GDT_Byte if values.dtype == np.uint8 else gdal.GDT_UInt16
    raster = gdal.GetDriverByName("MEM").Create("", values.shape[1], values.shape[0], 1, kind)
    raster.SetGeoTransform(place)
    raster.SetProjection(projection)
    raster.GetRasterBand(1).WriteArray(values)
    return raster
