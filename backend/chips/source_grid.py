# SPDX-License-Identifier: GPL-2.0-or-later
"""The grid that the chips of one raster are cut from: the raster itself, or a virtual copy with another cell size.

A virtual copy is a small VRT file, so that every thread can open it like any raster. Values are averaged when the cells become
larger and interpolated (bilinear) when they become smaller; nodata takes no part in either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.extent import choose_window
from ..imagery.raster import RasterInfo, RasterReader, describe, open_raster
from . import names
from .settings import ExportSettings

SAME_GRID_CELLS = 0.01  # grids whose corners lie closer than this are one
SAME_CELL = 1e-6  # relative difference of cell sizes that does not count
# In columns and rows of the image, counted upwards like QGIS shows an image without georeference.
LARGEST_GRID = 2_000_000  # cells a side: the whole Earth at 20 m
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
    if settings.cell_size > 0 and not _has_cell_size(info, settings.cell_size):
        opened = str(folder / f"grid_{number}.vrt")
        left, top = info.transform * (window.col_off, window.row_off)
        signs = math.copysign(1, info.transform.a), math.copysign(1, info.transform.e)
        x, y = info.cell_size
        width = math.ceil(window.width * x / settings.cell_size - SAME_GRID_CELLS)
        height = math.ceil(window.height * y / settings.cell_size - SAME_GRID_CELLS)
        _check_size(width, height, source, settings.cell_size)
        transform = Affine(signs[0] * settings.cell_size, 0, left, 0, signs[1] * settings.cell_size, top)
        write_copy(source, bands, Path(opened), replace(info, transform=transform, width=max(width, 1), height=max(height, 1)))
        info, alpha = _describe_copy(opened)
        window = Window(0, 0, info.width, info.height)
    placed = replace(info, transform=PIXEL_SPACE_TRANSFORM, crs_wkt=None, is_geographic=False) if pixel_space else info
    return SourceGrid(source, opened, info, bands, window, placed, alpha)


def _check_size(width: int, height: int, source: str, cell_size: float) -> None:
    """Raises ToolboxError for a grid that is so large that a unit was mistaken."""
    if max(width, height) > LARGEST_GRID:
        raise ToolboxError(
            f"CELL_SIZE {cell_size:g} makes a grid of {width:,} × {height:,} cells of {source}, more than {LARGEST_GRID:,} a side; it "
            "counts in units of the raster's coordinate system (degrees or metres), so choose a larger one."
        )


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
        info, alpha = _describe_copy(opened)
    placed = replace(info, transform=grid.placed.transform, crs_wkt=grid.placed.crs_wkt)
    return SourceGrid(source, opened, info, bands, grid.window, placed, alpha)


def move_extent(extent: tuple[float, float, float, float] | None, of: RasterInfo, to: RasterInfo) -> tuple[float, ...] | None:
    """An extent in the coordinates of another raster; unchanged where a coordinate system is missing."""
    if extent is None or of.crs_wkt is None or to.crs_wkt is None or CRS.from_wkt(of.crs_wkt) == CRS.from_wkt(to.crs_wkt):
        return extent
    return transform_bounds(CRS.from_wkt(of.crs_wkt), CRS.from_wkt(to.crs_wkt), *extent)


def _has_cell_size(info: RasterInfo, cell_size: float) -> bool:
    return all(math.isclose(size, cell_size, rel_tol=SAME_CELL) for size in info.cell_size)


def _is_same_grid(one: RasterInfo, other: RasterInfo) -> bool:
    if (one.width, one.height) != (other.width, other.height):
        return False
    if one.crs_wkt and other.crs_wkt and CRS.from_wkt(one.crs_wkt) != CRS.from_wkt(other.crs_wkt):
        return False
    to_other = ~other.transform * one.transform
    corners = ((0, 0), (one.width, 0), (0, one.height), (one.width, one.height))
    return all(abs(a - x) < SAME_GRID_CELLS and abs(b - y) < SAME_GRID_CELLS for x, y in corners for a, b in [to_other * (x, y)])


def write_copy(source: str, bands: list[int], path: Path, grid: RasterInfo) -> None:
    """Writes a VRT that shows bands of a raster on another grid (width, height, transform and CRS of ``grid``).

    Raises:
        ToolboxError: No coordinate system, bands with different nodata values, or GDAL refuses.
    """
    with open_raster(source) as dataset:
        if not dataset.crs or grid.crs_wkt is None:
            raise ToolboxError(f"{source} has no coordinate system, so it cannot be resampled; assign one, or leave CELL_SIZE empty.")
        nodata = {dataset.nodatavals[band - 1] for band in bands}
        if len(nodata) > 1:
            raise ToolboxError(
                f"The bands of {source} have different nodata values ({', '.join(map(str, nodata))}), so they cannot be resampled "
                "together; give them one value (Raster > Conversion > Translate), or leave CELL_SIZE empty."
            )
        (value,) = nodata
        is_float = all(dataset.dtypes[band - 1].startswith("float") for band in bands)
        if value is None and is_float and not _has_mask(dataset):
            value = math.nan
        # GDAL heeds either a nodata value or a mask; without both, the alpha band marks what lies beyond the raster.
        masking = {"src_nodata": value, "nodata": value} if value is not None else {"add_alpha": True}
        coarser = abs(grid.transform.a * grid.transform.e) > abs(dataset.transform.a * dataset.transform.e) * (1 + SAME_CELL)
        same_crs = dataset.crs == CRS.from_wkt(grid.crs_wkt)
        method = Resampling.average if coarser and same_crs else Resampling.bilinear
        shape = {"transform": grid.transform, "width": grid.width, "height": grid.height}
        try:
            with WarpedVRT(dataset, crs=CRS.from_wkt(grid.crs_wkt), resampling=method, **shape, **masking) as copy:
                rasterio.shutil.copy(copy, path, driver="VRT")
        except (RasterioError, CPLE_BaseError) as failure:
            raise ToolboxError(f"{source} cannot be brought onto the grid of the chips ({failure}).") from failure


def _has_mask(dataset: rasterio.DatasetReader) -> bool:
    flags = dataset.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags or MaskFlags.alpha in flags or ColorInterp.alpha in dataset.colorinterp


def _describe_copy(opened: str) -> tuple[RasterInfo, int | None]:
    """Properties of a virtual copy, and the number of its alpha band."""
    with open_raster(opened) as dataset:
        alpha = [band for band, kind in zip(dataset.indexes, dataset.colorinterp, strict=True) if kind == ColorInterp.alpha]
    return describe(opened), alpha[-1] if alpha else None
