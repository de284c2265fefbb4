# SPDX-License-Identifier: GPL-2.0-or-later
"""Class rasters read in strips as class values, on the grid of the map that is assessed.

A strip is a window of full width. Where a raster has no data or does not reach, it holds no class (see `pairs`). Strips are read one
ahead in threads, so that reading and counting go on at the same time. Memory: two strips per raster, whatever its height.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple, Protocol

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.raster import RasterInfo, describe, open_raster
from ..labels.schema import LARGEST_VALUE
from .pairs import NOTHING, NOTHING_8, Classes

STRIP_PIXELS = 4 * 2**20
SAME_GRID_CELLS = 0.01  # grids whose corners lie closer than this need no warping


class ClassReader(Protocol):
    """Reads class values of windows of the map's grid."""

    def read(self, window: Window) -> Classes:
        """Class values (rows, columns) of a window within the map."""


class Strip(NamedTuple):
    """One strip: its window and the class values (rows, columns) of each raster."""

    window: Window
    values: tuple[Classes, ...]


class ClassMap:
    """The map that is assessed, or a raster on its very grid. A context manager.

    Args:
        source: GDAL source.
        role: What to call it in messages, e.g. ``INPUT``.

    Attributes:
        info: Of the raster.

    Raises:
        ToolboxError: Unreadable, rotated, or more than one band.
    """

    def __init__(self, source: str, role: str) -> None:
        self._source, self._role = source, role
        self.info = describe(source)
        self._dataset = open_raster(source)
        flags = self._dataset.mask_flag_enums[0]
        self._has_mask = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
        if _count_bands(self._dataset) != 1:
            self._dataset.close()
            raise ToolboxError(f"{role} {source} has {self.info.count} bands; a class raster has one: choose another raster.")

    def __enter__(self) -> ClassMap:
        return self

    def __exit__(self, *_: object) -> None:
        self._dataset.close()

    def read(self, window: Window) -> Classes:
        """Class values (rows, columns); raises ToolboxError for a damaged file or a value that is no class."""
        try:
            values = self._dataset.read(1, window=window)
            shown = self._dataset.read_masks(1, window=window) != 0 if self._has_mask else None
        except RasterioIOError as error:
            raise ToolboxError(f"{self._role} {self._source} cannot be read ({error}); the file seems to be damaged.") from error
        return to_classes(values, self.info.nodata[0], shown, self._role)


class WarpedMap:
    """A class raster on another grid or in another coordinate system, brought onto the map's by nearest neighbour."""

    def __init__(self, source: str, role: str, info: RasterInfo) -> None:
        self._source, self._role = source, role
        self._dataset = open_raster(source)
        try:
            self._check(info)
            self._nodata = self._dataset.nodata
            self._has_alpha = self._nodata is None or MaskFlags.per_dataset in self._dataset.mask_flag_enums[0]
            # GDAL heeds either a mask or a nodata value; nodata is left out by its value in any case.
            masking = {"add_alpha": True} if self._has_alpha else {"src_nodata": self._nodata, "nodata": self._nodata}
            self._warped = WarpedVRT(
                self._dataset,
                crs=info.crs_wkt,
                transform=info.transform,
                width=info.width,
                height=info.height,
                resampling=Resampling.nearest,
                **masking,
            )
        except BaseException:
            self._dataset.close()
            raise

    def _check(self, info: RasterInfo) -> None:
        if not self._dataset.crs or info.crs_wkt is None:
            raise ToolboxError(
                f"{self._role} {self._source} lies on another grid than the map, and one of them lacks its coordinate system; "
                "assign it (Raster > Projections > Assign Projection)."
            )

    def __enter__(self) -> WarpedMap:
        return self

    def __exit__(self, *_: object) -> None:
        self._warped.close()
        self._dataset.close()

    def read(self, window: Window) -> Classes:
        """As `ClassMap.read`."""
        try:
            values = self._warped.read(1, window=window)
            shown = self._warped.read(self._warped.count, window=window) != 0 if self._has_alpha else None
        except RasterioIOError as error:
            raise ToolboxError(f"{self._role} {self._source} cannot be read ({error}); the file seems to be damaged.") from error
        return to_classes(values, self._nodata, shown, self._role)


def to_classes(values: NDArray, nodata: float | None, shown: NDArray[np.bool_] | None, role: str) -> Classes:
    """Stored values of any type as class values.

    Args:
        values: (rows, columns); uint8 may be changed in place and returned.
        nodata: Nodata value; None without.
        shown: Where the raster's mask shows the values; None without a mask.
        role: What to call the raster in messages.

    Raises:
        ToolboxError: A value that is neither nodata, NaN nor masked is not a whole number from 0 to 65,534.
    """
    if values.dtype == np.uint8 and shown is None and nodata == NOTHING_8:
        return values
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    if nodata is not None:
        valid &= values != nodata
    if shown is not None:
        valid &= shown
    if values.dtype == np.uint8 and not (valid & (values == NOTHING_8)).any():
        values[~valid] = NOTHING_8
        return values
    if values.dtype != np.uint8:
        known = values[valid]
        bad = known[(known < 0) | (known > LARGEST_VALUE) | (known != np.floor(known))]
        if bad.size:
            raise ToolboxError(
                f"{role} holds the value {bad[0]}, but class values are whole numbers from 0 to {LARGEST_VALUE:,}; "
                "is it a class raster, and is its nodata value set?"
            )
    classes = np.where(valid, values, values.dtype.type(0)).astype(np.uint16)
    classes[~valid] = NOTHING
    return classes


def _count_bands(dataset: rasterio.DatasetReader) -> int:
    """Bands without an alpha band, which says what is shown."""
    return sum(kind != ColorInterp.alpha for kind in dataset.colorinterp)


def open_on_grid(source: str, role: str, info: RasterInfo) -> ClassMap | WarpedMap:
    """A class raster that is read on the map's grid, warped when it lies on another; raises ToolboxError as the two classes do."""
    same = ClassMap(source, role)
    other = same.info
    # The same numbers in another CRS are another place; a raster that lacks its CRS is taken at its word.
    is_same_crs = other.crs_wkt is None or info.crs_wkt is None or CRS.from_wkt(other.crs_wkt) == CRS.from_wkt(info.crs_wkt)
    if (other.width, other.height) == (info.width, info.height) and is_same_crs and _corner_shift(other, info) < SAME_GRID_CELLS:
        return same
    same.__exit__()
    return WarpedMap(source, role, info)


def _corner_shift(other: RasterInfo, info: RasterInfo) -> float:
    """Largest distance, in cells of the map, between the corners of two grids of one size."""
    to_cells = ~info.transform * other.transform
    corners = [(x, y) for x in (0, info.width) for y in (0, info.height)]
    return max(max(abs(a - x), abs(b - y)) for x, y in corners for a, b in [to_cells * (x, y)])


def strip_windows(info: RasterInfo) -> list[Window]:
    """Windows of full width, from the top, of whole rows of blocks where those are small enough."""
    block = info.block_shape[0]
    rows = max(1, STRIP_PIXELS // info.width)
    rows = min(info.height, max(block, rows // block * block) if block * info.width <= 4 * STRIP_PIXELS else rows)
    return [Window(0, top, info.width, min(rows, info.height - top)) for top in range(0, info.height, rows)]


def read_strips(windows: Sequence[Window], readers: Sequence[ClassReader]) -> Iterator[Strip]:
    """The strips in order, read one ahead.

    Every reader has a thread of its own, since a GDAL dataset is not to be used by two at a time.
    """
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="read")) for _ in readers]
        ahead = [thread.submit(reader.read, windows[0]) for thread, reader in zip(threads, readers, strict=True)]
        for place, window in enumerate(windows):
            values = tuple(step.result() for step in ahead)
            if place + 1 < len(windows):
                ahead = [thread.submit(reader.read, windows[place + 1]) for thread, reader in zip(threads, readers, strict=True)]
            yield Strip(window, values)
