# SPDX-License-Identifier: GPL-2.0-or-later
"""A small picture of where a map is right and wrong, taken from every n-th pixel of every n-th row. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..imagery.raster import RasterInfo
from .pairs import NOTHING, Classes, widen

LONGEST_SIDE = 900  # pixels
UNKNOWN, RIGHT, WRONG = 0, 1, 2
_OF_ZERO = 2  # added where the reference is 0, of which may be known only later whether it counts


class ErrorPicture:
    """Gathers the picture strip by strip.

    Attributes:
        step: One pixel in so many, in both directions, is shown.
        is_zero_class: Whether the value 0 of the reference counts.
    """

    def __init__(self, info: RasterInfo) -> None:
        self.step = max(1, -(-max(info.width, info.height) // LONGEST_SIDE))
        self.is_zero_class = True
        self._rows: list[NDArray[np.uint8]] = []

    def add(self, window: Window, mapped: Classes, reference: Classes) -> None:
        """Adds a strip of full width (rows, columns)."""
        first = -int(window.row_off) % self.step
        one, other = (widen(values[first :: self.step, :: self.step]) for values in (mapped, reference))
        shown = np.where(one == other, RIGHT, WRONG).astype(np.uint8)
        shown[other == 0] += _OF_ZERO
        shown[(one == NOTHING) | (other == NOTHING)] = UNKNOWN
        self._rows.append(shown)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture (rows, columns) of 0 = unknown, 1 = right, 2 = wrong."""
        zero = [RIGHT, WRONG] if self.is_zero_class else [UNKNOWN, UNKNOWN]
        return np.array([UNKNOWN, RIGHT, WRONG, *zero], np.uint8)[np.vstack(self._rows)]
