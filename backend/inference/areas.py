# SPDX-License-Identifier: GPL-2.0-or-later
"""Areas of cells in square metres: those of a projected raster are all alike, those of one in degrees shrink towards the poles.

In degrees they are exact on the WGS 84 ellipsoid. Latitudes are replaced by the heights of Lambert's cylindrical equal-area
projection (Snyder 1987, Map Projections, USGS Professional Paper 1395, equations 3-12 and 10-2): there, an outline along meridians
and parallels is one of straight lines, whose plane area is the one on the ellipsoid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from ..imagery.raster import RasterInfo

SEMI_MAJOR_M = 6_378_137.0
ECCENTRICITY = 0.081_819_190_842_622
ROWS_AT_ONCE = 1024


def equal_area_heights(latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights whose difference is the area, in square metres, between two parallels along one radian of longitude."""
    sine = np.sin(np.radians(np.clip(latitudes, -90, 90)))
    product = ECCENTRICITY * sine
    q = (1 - ECCENTRICITY**2) * (sine / (1 - product**2) + np.arctanh(product) / ECCENTRICITY)
    return SEMI_MAJOR_M**2 * q / 2


@dataclass(frozen=True)
class CellAreas:
    """Areas on the grid of a raster.

    Attributes:
        transform: Pixel-to-map matrix of the grid, in degrees where `cell_m2` is None.
        cell_m2: Square metres of each cell; None = it depends on the latitude.
    """

    transform: Affine
    cell_m2: float | None

    @classmethod
    def of(cls, raster: RasterInfo, transform: Affine) -> CellAreas | None:
        """Those of a grid in a raster's coordinate system; None when that is unknown."""
        if raster.gsd_m is None:
            return None
        return cls(transform, None if raster.is_geographic else raster.gsd_m**2)

    def of_rows(self, first: int, count: int) -> NDArray[np.float64]:
        """Area of a cell of each of ``count`` rows."""
        if self.cell_m2 is not None:
            return np.full(count, self.cell_m2)
        edges = self.transform.f + self.transform.e * np.arange(first, first + count + 1)
        return np.abs(np.diff(equal_area_heights(edges))) * np.radians(abs(self.transform.a))

    def of_outlines(self, outlines: NDArray[np.object_]) -> NDArray[np.float64]:
        """Areas of polygons along the edges of pixels, in pixels from the upper left corner."""
        if self.cell_m2 is not None or not len(outlines):
            return shapely.area(outlines) * (self.cell_m2 or 0.0)

        def project(corners: NDArray[np.float64]) -> NDArray[np.float64]:
            heights = equal_area_heights(self.transform.f + self.transform.e * corners[:, 1])
            return np.column_stack([np.radians(abs(self.transform.a)) * corners[:, 0], heights])

        return shapely.area(shapely.transform(outlines, project))

    def of_classes(self, path: Path, counts: Mapping[int, int]) -> Iterator[dict[int, float]]:
        """Area of each class of a class raster of this grid, whose pixels are counted already.

        Yields:
            The areas that are added up so far; the last time all of them.
        """
        if self.cell_m2 is not None:
            yield {value: count * self.cell_m2 for value, count in counts.items()}
            return
        total = np.zeros(max(counts) + 1)
        with rasterio.open(path) as raster:
            for top in range(0, raster.height, ROWS_AT_ONCE):
                rows = min(ROWS_AT_ONCE, raster.height - top)
                values = raster.read(1, window=Window(0, top, raster.width, rows))
                known = values != raster.nodata
                areas = np.broadcast_to(self.of_rows(top, rows)[:, None], values.shape)
                total += np.bincount(values[known], areas[known], len(total))
                yield {value: float(total[value]) for value in counts}
