# SPDX-License-Identifier: GPL-2.0-or-later
"""Accuracy of a class raster on held-out polygons. Runs in the Python of QGIS (gdal, ogr, numpy)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from osgeo import gdal, ogr

gdal.UseExceptions()


@dataclass(frozen=True)
class Accuracy:
    """Shares from 0 to 1: of pixels that are right, and the mean over classes of the same; ``pixels`` is their number."""

    overall: float
    mean_of_classes: float
    pixels: int

    def __str__(self) -> str:
        return f"{self.overall:.3f} overall, {self.mean_of_classes:.3f} mean of classes ({self.pixels} pixels)"


def burn(polygons: Path, like: gdal.Dataset, field: str) -> np.ndarray:
    """Class values (rows, columns) of polygons on the grid of a raster, 0 elsewhere."""
    target = gdal.GetDriverByName("MEM").Create("", like.RasterXSize, like.RasterYSize, 1, gdal.GDT_Byte)
    target.SetGeoTransform(like.GetGeoTransform())
    # Same coordinates, another spelling of the CRS: GDAL would refuse to match them.
    source = ogr.Open(str(polygons))
    gdal.RasterizeLayer(target, [1], source.GetLayer(), options=[f"ATTRIBUTE={field}"])
    return target.ReadAsArray()


def measure_accuracy(class_raster: Path, polygons: Path, field: str = "id") -> Accuracy:
    """Compares a class raster with polygons, pixel by pixel, where the raster has a class."""
    dataset = gdal.Open(str(class_raster))
    band = dataset.GetRasterBand(1)
    predicted, truth = band.ReadAsArray(), burn(polygons, dataset, field)
    used = (truth > 0) & (predicted != band.GetNoDataValue())
    predicted, truth = predicted[used], truth[used]
    right = predicted == truth
    per_class = [right[truth == value].mean() for value in np.unique(truth)]
    return Accuracy(float(right.mean()), float(np.mean(per_class)), int(truth.size))
