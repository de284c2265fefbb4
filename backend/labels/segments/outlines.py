# SPDX-License-Identifier: GPL-2.0-or-later
"""Outlines of segments from strips of segment numbers: a segment that goes on in the next strip waits for it.

Memory: the segments on the border of two strips.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely.geometry import shape


class OutlineTracer:
    """Traces strips from top to bottom. Polygons are in pixels of the image."""

    def __init__(self) -> None:
        self._top = 0
        self._waiting: dict[int, list[shapely.Polygon]] = {}

    def add(self, strip: NDArray[np.int32]) -> Iterator[tuple[int, shapely.Polygon]]:
        """Adds the next strip (rows, columns) of segment numbers, 0 = none; yields number and polygon of those that are complete.

        A segment in several unconnected pieces gives a polygon for each.
        """
        top, bottom = self._top, self._top + len(strip)
        upper, self._waiting, self._top = self._waiting, {}, bottom
        for number, polygon in self._trace(strip, top):
            reaches_up, reaches_down = polygon.bounds[1] == top and number in upper, polygon.bounds[3] == bottom
            if reaches_up:
                upper[number].append(polygon)
            elif reaches_down:
                self._waiting.setdefault(number, []).append(polygon)
            else:
                yield number, polygon
        for number, pieces in upper.items():
            for polygon in shapely.get_parts(shapely.union_all(pieces)):
                if polygon.bounds[3] == bottom:
                    self._waiting.setdefault(number, []).append(polygon)
                else:
                    yield number, polygon

    def finish(self) -> Iterator[tuple[int, shapely.Polygon]]:
        """Yields those that reach the lower edge of the last strip."""
        for number, pieces in self._waiting.items():
            yield from ((number, polygon) for polygon in pieces)
        self._waiting = {}

    @staticmethod
    def _trace(strip: NDArray[np.int32], top: int) -> Iterator[tuple[int, shapely.Polygon]]:
        with rasterio.Env():
            for geometry, number in shapes(strip, mask=strip > 0, connectivity=4, transform=Affine.translation(0, top)):
                yield int(number), shape(geometry)
