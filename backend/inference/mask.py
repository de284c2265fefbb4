# SPDX-License-Identifier: GPL-2.0-or-later
"""The mask polygons of a classification: which pixels are wanted, and which tiles need not be computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from ..labels.vector import VectorLabels


class MaskPolygons:
    """Pixels whose centre lies in a polygon. Geometries are held in memory.

    Args:
        path: GeoPackage that the algorithm wrote, in the raster's coordinates.
        transform: Pixel-to-map matrix of the grid that is classified.
    """

    def __init__(self, path: Path, transform: Affine) -> None:
        self._polygons = VectorLabels(path, transform)

    def read(self, window: Window) -> NDArray[np.bool_]:
        """Wanted pixels (rows, columns) of a window of the grid."""
        return self._polygons.burn(window)[0] > 0
