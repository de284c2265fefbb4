# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of a raster that an extent in map units stands for."""

from __future__ import annotations

import math

from rasterio.windows import Window

from ..errors import ToolboxError
from .raster import RasterInfo

# An edge of an extent that lies on the grid, but for rounding, must not take in the next row; in pixels.
GRID_TOLERANCE = 1e-3


def choose_window(raster: RasterInfo, extent: tuple[float, float, float, float] | None) -> Window:
    """The pixels that an extent touches, cut to the raster; raises ToolboxError when there are none."""
    if extent is None:
        return Window(0, 0, raster.width, raster.height)
    inverse = ~raster.transform
    corners = [inverse * (x, y) for x in extent[::2] for y in extent[1::2]]
    left, top = (max(math.floor(min(corner[axis] for corner in corners) + GRID_TOLERANCE), 0) for axis in (0, 1))
    right = min(math.ceil(max(corner[0] for corner in corners) - GRID_TOLERANCE), raster.width)
    bottom = min(math.ceil(max(corner[1] for corner in corners) - GRID_TOLERANCE), raster.height)
    if left >= right or top >= bottom:
        raise ToolboxError("EXTENT lies outside the raster; choose an extent that meets it.")
    return Window(left, top, right - left, bottom - top)
