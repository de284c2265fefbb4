# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong on a map as polygons, one per connected region of one confusion.

Regions end at the borders of the strips in which the map is read. Only the largest are kept, so that memory stays bounded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.windows import Window
from shapely.geometry import shape

from .pairs import NOTHING

MOST_REGIONS = 50_000


class Region(NamedTuple):
    """A region: its pixels, class value of map and reference, and polygon in map coordinates."""

    pixels: int
    mapped: int
    reference: int
    polygon: shapely.Polygon


class RegionCollector:
    """Collects the regions strip by strip.

    Args:
        transform: Pixel-to-map matrix of the map.

    Attributes:
        left_out: Regions that were not kept because larger ones took their places.
    """

    def __init__(self, transform: Affine) -> None:
        self._transform = transform
        self._regions: list[Region] = []
        self.left_out = 0

    def add(self, window: Window, mapped: NDArray[np.uint16], reference: NDArray[np.uint16]) -> None:
        """Adds the regions of one strip (rows, columns)."""
        wrong = (mapped != reference) & (mapped != NOTHING) & (reference != NOTHING)
        if not wrong.any():
            return
        confusions, index = np.unique(mapped[wrong].astype(np.uint32) << 16 | reference[wrong], return_inverse=True)
        codes = np.zeros(wrong.shape, np.int32)
        codes[wrong] = index.reshape(-1) + 1
        transform = self._transform * Affine.translation(window.col_off, window.row_off)
        cell = abs(transform.a * transform.e)
        with rasterio.Env():
            for geometry, code in shapes(codes, mask=wrong, connectivity=4, transform=transform):
                polygon = shape(geometry)
                pair = int(confusions[int(code) - 1])
                self._regions.append(Region(round(polygon.area / cell), pair >> 16, pair & 0xFFFF, polygon))
                if len(self._regions) > 2 * MOST_REGIONS:
                    self._keep_largest()

    def finish(self) -> list[Region]:
        """The regions, the largest first."""
        self._keep_largest()
        return self._regions

    def _keep_largest(self) -> None:
        self._regions.sort(key=lambda region: -region.pixels)
        self.left_out += len(self._regions[MOST_REGIONS:])
        del self._regions[MOST_REGIONS:]
