# SPDX-License-Identifier: GPL-2.0-or-later
"""The grid that all bands of a scene are brought to, and reading a band on it window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from ...errors import ToolboxError
from ..image_writer import ImageGrid
from .band_view import GDAL_TYPES, open_view

LARGEST_SIDE = 1_000_000  # pixels
EDGES = 21  # points along each edge of an extent that is brought to another CRS
GROWTH = 0.01  # of the scene's sides
METRES_PER_DEGREE = 111_320  # along a meridian and the equator, for messages
ALIGNED = 1e-3  # of a cell: differences below are rounding of the files


def plan_grid(
    reference: rasterio.DatasetReader,
    resolution: float,
    extent: Sequence[float] | None = None,
    extent_crs: str | None = None,
) -> ImageGrid:
    """The output's grid: origin and CRS of the reference, its cell size or another one, clipped to the extent.

    Args:
        reference: The band that sets the grid.
        resolution: Cell size in units of its CRS; 0 = its own.
        extent: (xmin, ymin, xmax, ymax); grown to whole cells.
        extent_crs: CRS of the extent; None = that of the reference.

    Raises:
        ToolboxError: Extent or resolution do not fit the reference.
    """
    own = reference.transform
    _check_resolution(reference, resolution)
    # a raster without georeference counts its rows upwards: its y_size is negative
    x_size, y_size = (resolution, math.copysign(resolution, -own.e)) if resolution else (own.a, -own.e)
    left, top = own.c, own.f
    columns = _count_cells(reference.width * own.a, x_size)
    rows = _count_cells(reference.height * -own.e, y_size)
    first_column = first_row = 0
    if extent is not None:
        xmin, ymin, xmax, ymax = _to_crs(extent, extent_crs, reference)
        if y_size < 0:
            ymin, ymax = ymax, ymin
        first_column = max(math.floor((xmin - left) / x_size + ALIGNED), 0)
        first_row = max(math.floor((top - ymax) / y_size + ALIGNED), 0)
        # an extent smaller than the tolerance still lies in a cell
        last_column = math.ceil(max((xmax - left) / x_size - ALIGNED, (xmin - left) / x_size + 2 * ALIGNED))
        last_row = math.ceil(max((top - ymin) / y_size - ALIGNED, (top - ymax) / y_size + 2 * ALIGNED))
        columns, rows = min(last_column, columns), min(last_row, rows)
        if columns <= first_column or rows <= first_row:
            raise _outside(reference)
    width, height = columns - first_column, rows - first_row
    if max(width, height) > LARGEST_SIDE:
        raise ToolboxError(
            f"RESOLUTION {resolution:g} gives {width:,} × {height:,} pixels; it is in {describe_units(reference.crs)}, in which the "
            f"cells of the scene measure {own.a:g}."
        )
    transform = Affine(x_size, 0, left + first_column * x_size, 0, -y_size, top - first_row * y_size)
    return ImageGrid(width, height, transform, reference.crs.to_wkt() if reference.crs else None)


def _check_resolution(reference: rasterio.DatasetReader, resolution: float) -> None:
    """Raises ToolboxError for a cell larger than the raster: metres were given where the CRS has degrees."""
    sides = reference.width * abs(reference.transform.a), reference.height * abs(reference.transform.e)
    if resolution <= max(sides):
        return
    is_geographic = reference.crs is not None and reference.crs.is_geographic
    degrees = f" {resolution:g} m are about {resolution / METRES_PER_DEGREE:.2g} degrees." if is_geographic else ""
    raise ToolboxError(
        f"RESOLUTION {resolution:g} is in {describe_units(reference.crs)} and larger than the whole scene ({sides[0]:g} × "
        f"{sides[1]:g}), whose cells measure {abs(reference.transform.a):g}; give a cell size in these units.{degrees}"
    )


def describe_units(crs: CRS | None) -> str:
    """What the coordinates of a CRS are counted in, such as metres or degrees; pixels without one."""
    if crs is None:
        return "pixels"
    if crs.is_geographic:
        return "degrees"
    plural = {"metre": "metres", "meter": "metres", "foot": "feet", "US survey foot": "US survey feet"}
    return plural.get(crs.linear_units, "map units")


def _count_cells(length: float, size: float) -> int:
    return max(math.ceil(length / size - ALIGNED), 1)


def _outside(reference: rasterio.DatasetReader) -> ToolboxError:
    bounds = ", ".join(f"{edge:g}" for edge in reference.bounds)
    return ToolboxError(f"EXTENT lies outside the scene, which covers {bounds} in its coordinates; choose another extent.")


def _to_crs(extent: Sequence[float], extent_crs: str | None, reference: rasterio.DatasetReader) -> Sequence[float]:
    """The extent in the reference's CRS; what reaches beyond the reference is cut first, since a projection holds near it only."""
    crs: CRS | None = reference.crs
    if extent_crs is None or crs is None:
        return extent
    x0, y0, x1, y1 = reference.bounds
    own = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    try:
        given = CRS.from_user_input(extent_crs)
        if given == crs:
            return extent
        near = _cut(extent, transform_bounds(crs, given, *own, densify_pts=EDGES))
        if near[0] >= near[2] or near[1] >= near[3]:
            raise _outside(reference)
        brought = transform_bounds(given, crs, *near, densify_pts=EDGES)
    except (CRSError, RasterioError) as fault:
        raise ToolboxError(f"EXTENT cannot be brought to the scene's coordinate system ({fault}); give it in that one.") from fault
    return [edge if math.isfinite(edge) else limit for edge, limit in zip(brought, own, strict=True)]


def _cut(extent: Sequence[float], scene: Sequence[float]) -> Sequence[float]:
    """The part of an extent on the scene's bounds, which are grown a little, since the points along their edges are few."""
    if not all(map(math.isfinite, scene)) or scene[0] > scene[2]:  # across the antimeridian
        return extent
    grow_x, grow_y = GROWTH * (scene[2] - scene[0]), GROWTH * (scene[3] - scene[1])
    return (
        max(extent[0], scene[0] - grow_x),
        max(extent[1], scene[1] - grow_y),
        min(extent[2], scene[2] + grow_x),
        min(extent[3], scene[3] + grow_y),
    )


class GridReader:
    """Reads bands of one source on a grid. A context manager.

    Args:
        source: The open source; closed with the reader.
        numbers: One-based bands.
        grid: Where to read.
        resampling: For sources of another grid.
        nodata: Stored value without data, besides the source's own; None if there is none.
        saturated: Stored value of a saturated detector, which is not averaged with its neighbours; None if it is as any other.

    Raises:
        ToolboxError: Source and grid cannot be brought together.
    """

    def __init__(
        self,
        source: rasterio.DatasetReader,
        numbers: Sequence[int],
        grid: ImageGrid,
        resampling: Resampling,
        nodata: float | None = None,
        saturated: float | None = None,
    ) -> None:
        self._source = source
        self._numbers = list(numbers)
        self._shift = _find_shift(source, grid)
        self._nodata = source.nodatavals[self._numbers[0] - 1] if nodata is None else nodata
        kinds = zip(source.indexes, source.colorinterp, strict=True)
        self._alpha = next((band for band, kind in kinds if kind == ColorInterp.alpha), 0)
        self._saturated = saturated
        self._warped: WarpedVRT | None = None
        self._nearest: WarpedVRT | None = None  # tells which cells are saturated
        self._views = ExitStack()
        if self._shift is None:
            self._warped = self._warp(grid, resampling)
            if saturated is not None:
                shape = {"width": grid.width, "height": grid.height, "transform": grid.transform}
                self._nearest = self._views.enter_context(WarpedVRT(source, crs=grid.crs_wkt or source.crs, **shape))

    @property
    def is_resampled(self) -> bool:
        """Whether values are interpolated or moved to other cells."""
        return self._warped is not None

    def __enter__(self) -> GridReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._warped is not None:
            self._warped.close()
        self._views.close()
        self._source.close()

    def _warp(self, grid: ImageGrid, resampling: Resampling) -> WarpedVRT:
        if (self._source.crs is None) != (grid.crs_wkt is None):
            raise ToolboxError(
                f"{self._source.name} and the first raster do not both have a coordinate system, so they cannot be brought together; "
                "assign one (Raster > Projections > Assign Projection)."
            )
        is_float = self._source.dtypes[self._numbers[0] - 1].startswith("float")
        options = {} if self._nodata is None and not is_float else {"src_nodata": math.nan if self._nodata is None else self._nodata}
        source = self._source
        dtype = source.dtypes[self._numbers[0] - 1]
        is_several = source.count > 1 and len(self._numbers) == 1
        if options and dtype in GDAL_TYPES and (is_several or self._saturated is not None):
            source = self._views.enter_context(open_view(source, self._numbers[0], options["src_nodata"], self._saturated))
            self._numbers = [1]
        try:
            return WarpedVRT(
                source,
                crs=grid.crs_wkt or self._source.crs,
                transform=grid.transform,
                width=grid.width,
                height=grid.height,
                resampling=resampling,
                dtype=None if resampling == Resampling.nearest else "float32",
                num_threads="ALL_CPUS",
                # else a pixel without data in some bands would count as valid in all, and its nodata value be interpolated
                UNIFIED_SRC_NODATA="NO",
                **(options | {"nodata": options["src_nodata"]} if options else {"add_alpha": not self._alpha}),
            )
        except RasterioError as failure:
            raise ToolboxError(f"{self._source.name} cannot be brought to the grid of the first raster ({failure}).") from failure

    def read(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Stored values (bands, rows, columns) of a window of the grid, and where they are valid (rows, columns) in all bands.

        Raises:
            ToolboxError: The file is damaged.
        """
        try:
            if self._warped is not None:
                return self._read_warped(self._warped, window)
            return self._read_aligned(window)
        except RasterioError as failure:
            raise ToolboxError(f"{self._source.name} cannot be read ({failure}); the file is damaged, get it again.") from failure

    def find_saturated(self, values: NDArray[np.generic], window: Window) -> NDArray[np.bool_] | None:
        """Where the detector was saturated (rows, columns), given the values that were read; None if no value means that."""
        if self._saturated is None:
            return None
        return (values[0] if self._nearest is None else self._nearest.read(1, window=window)) == self._saturated

    def _read_warped(self, warped: WarpedVRT, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        values = warped.read(self._numbers, window=window)
        valid = self._differs(values)
        # the alpha band tells what lies outside: the source's own, or the one that was added
        alpha = self._alpha or (warped.count if warped.count > self._source.count else 0)
        if self._nodata is None and alpha:
            valid &= warped.read(alpha, window=window) != 0
        return values, valid

    def _read_aligned(self, window: Window) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        columns, rows = self._shift or (0, 0)
        shifted = Window(window.col_off + columns, window.row_off + rows, window.width, window.height)
        values = np.zeros((len(self._numbers), window.height, window.width), self._source.dtypes[self._numbers[0] - 1])
        valid = np.zeros((window.height, window.width), bool)
        left, top = max(shifted.col_off, 0), max(shifted.row_off, 0)
        right = min(shifted.col_off + shifted.width, self._source.width)
        bottom = min(shifted.row_off + shifted.height, self._source.height)
        if right <= left or bottom <= top:
            return values, valid
        inside = Window(left, top, right - left, bottom - top)
        place = (
            slice(top - shifted.row_off, bottom - shifted.row_off),
            slice(left - shifted.col_off, right - shifted.col_off),
        )
        read = self._source.read(self._numbers, window=inside)
        values[(slice(None), *place)] = read
        valid[place] = self._differs(read)
        if self._nodata is None:
            valid[place] &= self._source.read_masks(self._numbers[0], window=inside) != 0
        return values, valid

    def _differs(self, values: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Where no band is nodata or not finite."""
        valid = np.ones(values.shape[1:], bool)
        for band in values:
            if band.dtype.kind == "f":
                valid &= np.isfinite(band)
            if self._nodata is not None and not math.isnan(self._nodata):
                valid &= band != self._nodata
        return valid


def _find_shift(source: rasterio.DatasetReader, grid: ImageGrid) -> tuple[int, int] | None:
    """Whole columns and rows from the grid's corner to the source's; None when the cells are not the same."""
    mine, theirs = grid.transform, source.transform
    same_crs = (source.crs is None and grid.crs_wkt is None) or (
        source.crs and grid.crs_wkt and source.crs == CRS.from_wkt(grid.crs_wkt)
    )
    if not same_crs or theirs.b or theirs.d:
        return None
    longest = max(grid.width, grid.height)
    if abs(mine.a / theirs.a - 1) * longest > ALIGNED or abs(mine.e / theirs.e - 1) * longest > ALIGNED:
        return None
    columns, rows = (mine.c - theirs.c) / theirs.a, (mine.f - theirs.f) / theirs.e
    if abs(columns - round(columns)) > ALIGNED or abs(rows - round(rows)) > ALIGNED:
        return None
    return round(columns), round(rows)
