# SPDX-License-Identifier: GPL-2.0-or-later
"""Squares of ground, the blocks of labels that have no numbers of their own or, in several folders, more than one.

Enters: opened chip folders. Leaves: the number of the square that each pixel's centre lies in, the same in every chip that shows the
place, also where the images have other cell sizes or another CRS; else one place could be trained on and held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from ..chips.folder import ChipFolder
from ..chips.index import ChipRecord

SQUARE_CHIPS = 2  # side of a square in chips, the largest ones where they differ
SQUARE_STEP = 1 << 31
EDGE = 1e-6  # of a square: far less than a pixel, far more than rounding
WORLD = CRS.from_epsg(6933)  # an equal-area cylinder: metres everywhere but at the poles
Bounds = tuple[float, float, float, float]


class Squares:
    """The squares under some folders of chips, along the axes of their CRS, or of a world-wide one where they have several.

    Args:
        folders: With one chip at least each.
    """

    def __init__(self, folders: Sequence[ChipFolder]) -> None:
        self._folders = folders
        of_folder = [_read_crs(folder.index.crs_wkt) for folder in folders]
        self._of_source = [
            [_read_crs(source.crs_wkt) for source in folder.index.sources] or [crs]
            for folder, crs in zip(folders, of_folder, strict=True)
        ]
        placed: list[CRS] = []
        for crs in [*of_folder, *(crs for sources in self._of_source for crs in sources)]:
            if crs is not None and crs not in placed:
                placed.append(crs)
        self._crs = placed[0] if len(placed) == 1 else WORLD
        self._bounds = [self._find_bounds(folder, crs) for folder, crs in zip(folders, of_folder, strict=True)]
        self.width, self.height = self._measure_chips(of_folder)

    def number(self, folder: int, record: ChipRecord, transform: Affine, shape: tuple[int, int]) -> NDArray[np.int64]:
        """Number of the square of each pixel of a chip (H, W).

        Args:
            folder: Number of the chip's folder.
            record: The chip.
            transform: Its pixel-to-map matrix.
            shape: Its rows and columns.
        """
        rows, columns = shape
        x, y = transform * (np.arange(columns)[None, :] + 0.5, np.arange(rows)[:, None] + 0.5)
        crs = self._of_source[folder][record.source]
        if crs is not None and crs != self._crs:
            x, y = (np.broadcast_to(part, shape).ravel() for part in (x, y))
            x, y = (np.array(part).reshape(shape) for part in transform_points(crs, self._crs, x, y))
        return number_squares(x, y, (SQUARE_CHIPS * self.width, SQUARE_CHIPS * self.height))

    def overlap(self) -> bool:
        """True when two folders show the same ground."""
        return any(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for a, b in combinations(self._bounds, 2))

    def _find_bounds(self, folder: ChipFolder, crs: CRS | None) -> Bounds:
        """The ground that a folder's chips show, in the common CRS."""
        bounds = np.array([record.bounds for record in folder.chips])
        west, south = bounds[:, :2].min(axis=0).tolist()
        east, north = bounds[:, 2:].max(axis=0).tolist()
        return self._project((west, south, east, north), crs)

    def _measure_chips(self, of_folder: Sequence[CRS | None]) -> tuple[float, float]:
        """Width and height of the folders' first chips, the largest of each, in the common CRS."""
        boxes = [self._project(folder.chips[0].bounds, crs) for folder, crs in zip(self._folders, of_folder, strict=True)]
        return max(east - west for west, _, east, _ in boxes), max(north - south for _, south, _, north in boxes)

    def _project(self, bounds: Bounds, crs: CRS | None) -> Bounds:
        return bounds if crs is None or crs == self._crs else transform_bounds(crs, self._crs, *bounds)


def number_squares(x: NDArray[np.float64], y: NDArray[np.float64], size: tuple[float, float]) -> NDArray[np.int64]:
    """Number of the square that each place lies in.

    Args:
        x: Coordinates of the places from west to east; any shape that goes with that of `y`.
        y: Coordinates from south to north.
        size: Width and height of a square in the same units.
    """
    # A centre exactly on an edge must not fall to either side by rounding, which differs from chip to chip.
    row = np.floor(-y / size[1] + EDGE).astype(np.int64)
    column = np.floor(x / size[0] + EDGE).astype(np.int64)
    return row * SQUARE_STEP + column


def _read_crs(wkt: str | None) -> CRS | None:
    """The CRS; None for images without one, and for one that no place on Earth is known of."""
    crs = CRS.from_wkt(wkt) if wkt else None
    return crs if crs is not None and (crs.is_projected or crs.is_geographic) else None
