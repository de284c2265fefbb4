# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong on a map as polygons, one per connected region of one confusion.

Regions end at the borders of the strips in which the map is read. Of very many only the largest are kept, so that time and memory
stay bounded: the smallest are taken out of a strip before any polygon is made, and the rest compete for a fixed number of places.
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
MOST_PER_STRIP = 10_000  # about; a polygon takes some 50 µs


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
        wrong_pixels: All pixels that are wrong, in regions that were kept or not.
    """

    def __init__(self, transform: Affine) -> None:
        self._transform = transform
        self._regions: list[Region] = []
        self.wrong_pixels = 0

    def add(self, window: Window, mapped: NDArray[np.uint16], reference: NDArray[np.uint16]) -> None:
        """Adds the regions of one strip (rows, columns)."""
        wrong = (mapped != reference) & (mapped != NOTHING) & (reference != NOTHING)
        if not wrong.any():
            return
        self.wrong_pixels += int(np.count_nonzero(wrong))
        confusions, index = np.unique(mapped[wrong].astype(np.uint32) << 16 | reference[wrong], return_inverse=True)
        codes = np.zeros(wrong.shape, np.int32)
        codes[wrong] = index.reshape(-1) + 1
        codes = _open(codes)
        transform = self._transform * Affine.translation(window.col_off, window.row_off)
        cell = abs(transform.a * transform.e)
        with rasterio.Env():
            for geometry, code in shapes(codes, mask=codes > 0, connectivity=4, transform=transform):
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
        del self._regions[MOST_REGIONS:]


def _open(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The codes (rows, columns; 0 = right) without the smallest regions, when there are very many.

    Kept are the pixels of straight runs of one code along a row or a column (a union of line openings), of a larger and larger
    length until few enough regions are left; so long thin errors, such as borders, stay. Unlike a sieve by area it takes a few passes
    over the array, however many regions there are.
    """
    length = 2
    opened = codes
    while _count_corners(opened) > MOST_PER_STRIP and length <= max(codes.shape):
        opened = _keep_runs(codes, length)
        length += max(length // 2, 1)
    return opened


def _keep_runs(codes: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """The codes of pixels that lie in a run of so many pixels of the same code, along a row or a column; 0 elsewhere."""
    kept = np.zeros_like(codes)
    for axis in (0, 1):
        if codes.shape[axis] < length:
            continue
        low, high = (_reduce(codes, length, axis, function) for function in (np.minimum, np.maximum))
        runs = np.where(low == high, low, 0)  # at the first pixel of each run
        padding = [(length - 1, length - 1) if this == axis else (0, 0) for this in (0, 1)]
        runs = _reduce(np.pad(runs, padding), length, axis, np.maximum)
        np.copyto(kept, codes, where=(runs == codes) & (codes > 0))
    return kept


def _reduce(values: NDArray[np.int32], side: int, axis: int, function: np.ufunc) -> NDArray[np.int32]:
    """Minimum or maximum of every ``side`` neighbours along an axis, which becomes ``side`` − 1 shorter."""
    reach = 1
    while reach < side:  # each pass doubles the reach
        step = min(reach, side - reach)
        length = values.shape[axis] - step
        values = function(values.take(range(length), axis), values.take(range(step, step + length), axis))
        reach += step
    return values


def _count_corners(codes: NDArray[np.int32]) -> int:
    """Pixels with another code on the left and above; every region has at least one."""
    padded = np.pad(codes, ((1, 0), (1, 0)))
    return int(np.count_nonzero((codes > 0) & (codes != padded[1:, :-1]) & (codes != padded[:-1, 1:])))
