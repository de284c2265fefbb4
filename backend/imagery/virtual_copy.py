# SPDX-License-Identifier: GPL-2.0-or-later
"""A raster on another grid without writing its pixels: a small VRT file, so that every thread can open it like any raster.

Values are averaged when the cells become larger and interpolated (bilinear) when they become smaller; nodata takes no part in either.
Names, scale and offset of the bands stay.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import rasterio.shutil
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import ToolboxError
from .raster import RasterInfo, describe, open_raster

SAME_GRID_CELLS = 0.01  # grids whose corners lie closer than this are one
SAME_CELL = 1e-6  # relative difference of cell sizes that does not count
LARGEST_GRID = 2_000_000  # cells a side: the whole Earth at 20 m


def has_cell_size(info: RasterInfo, cell_size: float) -> bool:
    """Whether a raster has this cell size, in units of its CRS, already."""
    return all(math.isclose(size, cell_size, rel_tol=SAME_CELL) for size in info.cell_size)


def refuse_large_cell(info: RasterInfo, cell_size: float) -> None:
    """Raises ToolboxError for a cell that is larger than the whole raster, so that a unit was mistaken."""
    x, y = info.cell_size
    if cell_size > max(info.width * x, info.height * y):
        raise ToolboxError(
            f"CELL_SIZE {cell_size:g} is larger than all of {info.source}, {info.width * x:g} × {info.height * y:g}; it counts in "
            "units of the raster's coordinate system (degrees or metres), so choose a smaller one."
        )


def with_cell_size(info: RasterInfo, cell_size: float, window: Window) -> RasterInfo:
    """The grid of cells of this size that begins at the window's upper left corner and covers the window.

    Raises:
        ToolboxError: So many cells that a unit was mistaken.
    """
    left, top = info.transform * (window.col_off, window.row_off)
    signs = math.copysign(1, info.transform.a), math.copysign(1, info.transform.e)
    x, y = info.cell_size
    width = math.ceil(window.width * x / cell_size - SAME_GRID_CELLS)
    height = math.ceil(window.height * y / cell_size - SAME_GRID_CELLS)
    _check_size(width, height, info.source, cell_size)
    transform = Affine(signs[0] * cell_size, 0, left, 0, signs[1] * cell_size, top)
    return replace(info, transform=transform, width=max(width, 1), height=max(height, 1))


def _check_size(width: int, height: int, source: str, cell_size: float) -> None:
    """Raises ToolboxError for a grid that is so large that a unit was mistaken."""
    if max(width, height) > LARGEST_GRID:
        raise ToolboxError(
            f"CELL_SIZE {cell_size:g} makes a grid of {width:,} × {height:,} cells of {source}, more than {LARGEST_GRID:,} a side; it "
            "counts in units of the raster's coordinate system (degrees or metres), so choose a larger one."
        )


def write_copy(source: str, bands: list[int], path: Path, grid: RasterInfo) -> None:
    """Writes a VRT that shows bands of a raster on another grid (width, height, transform and CRS of ``grid``).

    Raises:
        ToolboxError: No coordinate system, bands with different nodata values, or GDAL refuses.
    """
    with open_raster(source) as dataset:
        if not dataset.crs or grid.crs_wkt is None:
            raise ToolboxError(f"{source} has no coordinate system, so it cannot be resampled; assign one, or set CELL_SIZE to 0.")
        nodata = {str(dataset.nodatavals[band - 1]): dataset.nodatavals[band - 1] for band in bands}  # NaN differs from itself
        if len(nodata) > 1:
            raise ToolboxError(
                f"The bands of {source} have different nodata values ({', '.join(nodata)}), so they cannot be resampled "
                "together; give them one value (Raster > Conversion > Translate), or set CELL_SIZE to 0."
            )
        (value,) = nodata.values()
        is_float = all(dataset.dtypes[band - 1].startswith("float") for band in bands)
        if value is None and is_float and not _has_mask(dataset):
            value = math.nan
        # GDAL heeds either a nodata value or a mask; without both, the alpha band marks what lies beyond the raster. rasterio would
        # have GDAL take a pixel for valid as long as one of its bands is, and average the nodata value of the others.
        masking: dict[str, object] = {"UNIFIED_SRC_NODATA": "NO"}
        if value is not None:
            masking |= {"src_nodata": value, "nodata": value}
        elif ColorInterp.alpha not in dataset.colorinterp:
            masking |= {"add_alpha": True}
        coarser = abs(grid.transform.a * grid.transform.e) > abs(dataset.transform.a * dataset.transform.e) * (1 + SAME_CELL)
        same_crs = dataset.crs == CRS.from_wkt(grid.crs_wkt)
        method = Resampling.average if coarser and same_crs else Resampling.bilinear
        shape = {"transform": grid.transform, "width": grid.width, "height": grid.height}
        try:
            with WarpedVRT(dataset, crs=CRS.from_wkt(grid.crs_wkt), resampling=method, **shape, **masking) as copy:
                rasterio.shutil.copy(copy, path, driver="VRT")
            _keep_bands(path, dataset)
        except (RasterioError, CPLE_BaseError) as failure:
            raise ToolboxError(f"{source} cannot be brought onto another grid ({failure}).") from failure


def _keep_bands(path: Path, source: rasterio.DatasetReader) -> None:
    """Gives the bands of a VRT the names, scales and offsets of its source, which GDAL leaves out."""
    tree = ElementTree.parse(path)
    for band in tree.getroot().iter("VRTRasterBand"):
        number = int(band.get("band", "0"))
        if number > source.count:  # the alpha band
            continue
        texts = {
            "Description": source.descriptions[number - 1],
            "Offset": source.offsets[number - 1] or None,
            "Scale": None if source.scales[number - 1] == 1 else source.scales[number - 1],
        }
        for place, (name, text) in enumerate((name, text) for name, text in texts.items() if text is not None):
            for old in band.findall(name):
                band.remove(old)
            element = ElementTree.Element(name)
            element.text = str(text)
            band.insert(place, element)
    tree.write(path, encoding="utf-8")


def _has_mask(dataset: rasterio.DatasetReader) -> bool:
    flags = dataset.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags or MaskFlags.alpha in flags or ColorInterp.alpha in dataset.colorinterp


def describe_copy(opened: str) -> tuple[RasterInfo, int | None]:
    """Properties of a virtual copy, and the number of its alpha band."""
    with open_raster(opened) as dataset:
        alpha = [band for band, kind in zip(dataset.indexes, dataset.colorinterp, strict=True) if kind == ColorInterp.alpha]
    return describe(opened), alpha[-1] if alpha else None
