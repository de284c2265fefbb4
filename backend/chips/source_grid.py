# SPDX-License-Identifier: GPL-2.0-or-later
"""The grid that the chips of one raster are cut from: the raster itself, or a virtual copy with another cell size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.extent import choose_window
from ..imagery.raster import RasterInfo, RasterReader
from ..imagery.virtual_copy import SAME_GRID_CELLS, describe_copy, has_cell_size, with_cell_size, write_copy
from . import names
from .settings import ExportSettings

# In columns and rows of the image, counted upwards like QGIS shows an image without georeference.
PIXEL_SPACE_TRANSFORM = Affine(1, 0, 0, 0, -1, 0)


@dataclass(frozen=True)
class SourceGrid:
    """A raster as the chips see it.

    Attributes:
        name: GDAL source that the user named.
        opened: GDAL source that is opened: the same, or a virtual copy.
        info: Properties of what is opened.
        bands: One-based bands to read.
        window: The part that may be used; the rest counts as nodata.
        placed: `info` with the coordinate system and transform that chips carry.
        alpha: Band of a virtual copy that is 0 where nothing is known; None without.
    """

    name: str
    opened: str
    info: RasterInfo
    bands: list[int]
    window: Window
    placed: RasterInfo
    alpha: int | None = None

    def open(self) -> RasterReader:
        """A reader for `read`; each thread needs its own."""
        return RasterReader(self.opened, [*self.bands, self.alpha] if self.alpha else self.bands, allow_rotation=True)

    def read(self, reader: RasterReader, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Stored values (bands, rows, columns) and validity (rows, columns) of a window inside the grid."""
        image, valid = reader.read_raw(window)
        if self.alpha:
            image, valid = image[:-1], valid & (image[-1] > 0)
        left, top = int(self.window.col_off) - int(window.col_off), int(self.window.row_off) - int(window.row_off)
        right, bottom = left + int(self.window.width), top + int(self.window.height)
        if left > 0 or top > 0 or right < window.width or bottom < window.height:
            used = np.zeros_like(valid)
            used[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
            valid = valid & used
        return image, valid


def open_grid(
    source: str, settings: ExportSettings, folder: Path, number: int, extent: tuple[float, float, float, float] | None
) -> SourceGrid:
    """The grid of a raster.

    Args:
        source: GDAL source.
        settings: The request.
        folder: For virtual copies.
        number: Of the raster, for their names.
        extent: In map units of this raster; None = all of it.

    Raises:
        ToolboxError: Unreadable, rotated in map space, a band that is not there, or an extent beside the raster.
    """
    pixel_space = settings.reference_system == names.PIXEL_SPACE
    with RasterReader(source, settings.bands, allow_rotation=pixel_space) as reader:
        info, bands = reader.info, reader.bands
    window = choose_window(info, extent)
    opened, alpha = source, None
    if settings.cell_size > 0 and not has_cell_size(info, settings.cell_size):
        opened = str(folder / f"grid_{number}.vrt")
        write_copy(source, bands, Path(opened), with_cell_size(info, settings.cell_size, window))
        info, alpha = describe_copy(opened)
        window = Window(0, 0, info.width, info.height)
    placed = replace(info, transform=PIXEL_SPACE_TRANSFORM, crs_wkt=None, is_geographic=False) if pixel_space else info
    return SourceGrid(source, opened, info, bands, window, placed, alpha)


def open_second(source: str, grid: SourceGrid, folder: Path, number: int) -> SourceGrid:
    """A second raster on the grid of the first; raises ToolboxError when they cannot be laid over each other."""
    with RasterReader(source) as reader:
        info, bands, alpha, opened = reader.info, reader.bands, None, source
    if not _is_same_grid(info, grid.info):
        if info.crs_wkt is None or grid.info.crs_wkt is None:
            raise ToolboxError(
                f"INPUT2 {source} and {grid.name} lie on different grids and can only be matched by coordinate system, which one "
                "lacks; assign it (Raster > Projections > Assign Projection)."
            )
        opened = str(folder / f"second_{number}.vrt")
        write_copy(source, bands, Path(opened), grid.info)
        info, alpha = describe_copy(opened)
    placed = replace(info, transform=grid.placed.transform, crs_wkt=grid.placed.crs_wkt)
    return SourceGrid(source, opened, info, bands, grid.window, placed, alpha)


def move_extent(extent: tuple[float, float, float, float] | None, of: RasterInfo, to: RasterInfo) -> tuple[float, ...] | None:
    """An extent in the coordinates of another raster; unchanged where a coordinate system is missing."""
    if extent is None or of.crs_wkt is None or to.crs_wkt is None or CRS.from_wkt(of.crs_wkt) == CRS.from_wkt(to.crs_wkt):
        return extent
    return transform_bounds(CRS.from_wkt(of.crs_wkt), CRS.from_wkt(to.crs_wkt), *extent)


def _is_same_grid(one: RasterInfo, other: RasterInfo) -> bool:
    if (one.width, one.height) != (other.width, other.height):
        return False
    if one.crs_wkt and other.crs_wkt and CRS.from_wkt(one.crs_wkt) != CRS.from_wkt(other.crs_wkt):
        return False
    to_other = ~other.transform * one.transform
    corners = ((0, 0), (one.width, 0), (0, one.height), (one.width, one.height))
    return all(abs(a - x) < SAME_GRID_CELLS and abs(b - y) < SAME_GRID_CELLS for x, y in corners for a, b in [to_other * (x, y)])
