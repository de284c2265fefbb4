# SPDX-License-Identifier: GPL-2.0-or-later
"""A small picture of where a map is right and wrong, taken from every n-th pixel of every n-th row. numpy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..imagery.raster import RasterInfo
from .pairs import NOTHING

LONGEST_SIDE = 900  # pixels
UNKNOWN, RIGHT, WRONG = 0, 1, 2


class ErrorPicture:
    """Gathers the picture strip by strip.

    Attributes:
        step: One pixel in so many, in both directions, is shown.
    """

    def __init__(self, info: RasterInfo) -> None:
        self.step = max(1, -(-max(info.width, info.height) // LONGEST_SIDE))
        self._rows: list[NDArray[np.uint8]] = []

    def add(self, window: Window, mapped: NDArray[np.uint16], reference: NDArray[np.uint16]) -> None:
        """Adds a strip of full width (rows, columns)."""
        first = -int(window.row_off) % self.step
        one, other = mapped[first :: self.step, :: self.step], reference[first :: self.step, :: self.step]
        shown = np.where(one == other, RIGHT, WRONG).astype(np.uint8)
        shown[(one == NOTHING) | (other == NOTHING)] = UNKNOWN
        self._rows.append(shown)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture (rows, columns) of 0 = unknown, 1 = right, 2 = wrong."""
        return np.vstack(self._rows)
