# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled features burned into label windows.

Enters: the GeoPackage that the algorithm wrote (layer ``labels``, fields ``value`` and ``name``, features in feature-id order,
coordinates of the raster). Leaves, for any window, the class value and the block of each pixel. A polygon burns the pixels whose
centre lies inside it, a line or point the cells it touches; where features overlap, the later one wins.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.features import rasterize
from rasterio.windows import Window

from ..errors import ToolboxError
from .schema import check_value

LAYER = "labels"
POLYGON_DIMENSION = 2


class VectorLabels:
    """The labelled features of one raster. Geometries are held in memory and found through an R-tree.

    Args:
        path: The GeoPackage.
        transform: Pixel-to-map matrix of the raster.

    Attributes:
        values: Class value of each feature; the block of feature k is k + 1.

    Raises:
        ToolboxError: Unreadable, without features, or a class value that is not allowed.
    """

    kind = "polygons"

    def __init__(self, path: Path, transform: Affine) -> None:
        try:
            _, _, geometry, fields = pyogrio.raw.read(path, layer=LAYER, columns=["value"])
        except (DataSourceError, DataLayerError) as failure:
            raise ToolboxError(f"The labels {path} cannot be read ({failure}); export again.") from failure
        if geometry is None or len(geometry) == 0:
            raise ToolboxError("There are no labels within the raster; check the label layer, its selection and both extents.")
        if not fields or fields[0].dtype.kind not in "iuf":
            raise ToolboxError(f"The labels {path} have no numeric field “value”; export again from the label layer.")
        (values,) = fields
        self.values = np.array([check_value(float(value)) for value in values], np.uint16)
        self._transform = transform
        self._geometries = shapely.make_valid(shapely.from_wkb(geometry, on_invalid="ignore"))
        self._tree = shapely.STRtree(self._geometries)

    def burn(self, window: Window) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
        """Labels of a window.

        Returns:
            Class value (rows, columns), 0 = unlabelled; block (rows, columns), feature number + 1, 0 = unlabelled.
        """
        shape = int(window.height), int(window.width)
        transform = self._transform * Affine.translation(window.col_off, window.row_off)
        corners = [transform * corner for corner in ((0, 0), (shape[1], shape[0]))]
        xs, ys = zip(*corners, strict=True)
        found = np.sort(self._tree.query(shapely.box(min(xs), min(ys), max(xs), max(ys))))
        blocks = np.zeros(shape, np.uint32)
        dimensions = shapely.get_dimensions(self._geometries[found])
        # One call per run of equal rules keeps the order of the features, which decides who wins.
        for is_area, group in groupby(zip(found, dimensions, strict=True), key=lambda pair: pair[1] == POLYGON_DIMENSION):
            shapes = [
                (part, int(number) + 1)
                for number, dimension in group
                for part in shapely.get_parts(self._geometries[number])
                if shapely.get_dimensions(part) == dimension and not part.is_empty
            ]
            if shapes:
                with rasterio.Env():
                    rasterize(shapes, out=blocks, transform=transform, all_touched=not is_area)
        return np.concatenate([[np.uint16(0)], self.values])[blocks], blocks
