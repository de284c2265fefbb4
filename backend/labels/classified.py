# SPDX-License-Identifier: GPL-2.0-or-later
"""A class raster as labels: brought onto the grid of the image by nearest neighbour, in windows.

Its nodata, NaN, masked pixels and 0 mean unlabelled. Blocks, which the split into training and validation needs, are squares of the
grid.
Names and colours come from the attribute table or the category names beside the raster, or from its colour table.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.raster import RasterInfo, open_raster
from .schema import UNLABELLED, ClassSchema, check_value

MOST_SIDECAR_BYTES = 16 * 2**20
# Usage codes of GDAL's raster attribute tables (GDALRATFieldUsage).
USAGE_NAME, USAGE_VALUE, USAGE_RED, USAGE_GREEN, USAGE_BLUE = 2, 5, 6, 7, 8
USAGE_BY_COLUMN = {"value": USAGE_VALUE, "class": USAGE_NAME, "class_name": USAGE_NAME, "classname": USAGE_NAME}
USAGE_BY_COLUMN |= {"red": USAGE_RED, "green": USAGE_GREEN, "blue": USAGE_BLUE}
SAME_GRID_CELLS = 0.01  # grids whose corners lie closer than this need no warping


class RasterLabels:
    """Labels from a class raster. A context manager, since it keeps the raster open.

    Args:
        source: The class raster.
        info: The image whose grid is wanted.
        block_side: Side of a block in pixels of the image.
        first_block: Added to the blocks' numbers.

    Raises:
        ToolboxError: Unreadable, more than one band, or without CRS on another grid.
    """

    kind = "raster"

    def __init__(self, source: str, info: RasterInfo, block_side: int, first_block: int = 0) -> None:
        self._source = source
        self._block_side = block_side
        self._first_block = first_block
        self._blocks_across = -(-info.width // block_side)
        self._dataset = open_raster(source)
        self._warped: rasterio.DatasetReader | WarpedVRT = self._dataset
        try:
            self._check(info)
            nodata = self._dataset.nodata if self._dataset.nodata is not None else UNLABELLED
            self._is_masked = MaskFlags.per_dataset in self._dataset.mask_flag_enums[0]
            if not self._has_grid_of(info):
                # GDAL heeds either a mask or a nodata value; nodata is left out by its value in any case.
                masking = {"add_alpha": True} if self._is_masked else {"nodata": nodata}
                self._warped = WarpedVRT(
                    self._dataset,
                    crs=info.crs_wkt,
                    transform=info.transform,
                    width=info.width,
                    height=info.height,
                    resampling=Resampling.nearest,
                    src_nodata=None if self._is_masked else nodata,
                    **masking,
                )
        except ToolboxError:
            self._dataset.close()
            raise
        self._nodata = nodata

    def __enter__(self) -> RasterLabels:
        return self

    def __exit__(self, *_: object) -> None:
        self._warped.close()
        self._dataset.close()

    def _has_grid_of(self, info: RasterInfo) -> bool:
        same_size = (self._dataset.width, self._dataset.height) == (info.width, info.height)
        # The same numbers in another CRS are another place; a raster that lacks its CRS is taken at its word.
        crs = self._dataset.crs
        same_crs = not crs or info.crs_wkt is None or crs == CRS.from_wkt(info.crs_wkt)
        return same_size and same_crs and _corner_shift(self._dataset.transform, info) < SAME_GRID_CELLS

    def _check(self, info: RasterInfo) -> None:
        if self._dataset.count != 1:
            raise ToolboxError(f"The label raster {self._source} has {self._dataset.count} bands; a class raster has one.")
        if (not self._dataset.crs or info.crs_wkt is None) and not self._has_grid_of(info):
            raise ToolboxError(
                f"The label raster {self._source} and the image can only be matched by coordinate system, which one lacks; "
                "assign it (Raster > Projections > Assign Projection)."
            )

    def _read(self, raster: rasterio.DatasetReader | WarpedVRT, window: Window) -> NDArray[np.uint16]:
        """Class values of a window, 0 = unlabelled; raises ToolboxError for a damaged file and for a value that is not allowed."""
        try:
            values = raster.read(1, window=window)
            shown = raster.read_masks(1, window=window) != 0 if self._is_masked else np.True_
        except RasterioIOError as error:
            raise ToolboxError(f"The label raster {self._source} cannot be read ({error}); the file seems to be damaged.") from error
        known = np.isfinite(values) & (values != self._nodata) & (values != UNLABELLED) & shown
        for value in np.unique(values[known]):
            check_value(float(value))
        return np.where(known, values, 0).astype(np.uint16)

    def burn(self, window: Window) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
        """Labels of a window, which may reach beyond the image.

        Returns:
            Class value (rows, columns), 0 = unlabelled; block (rows, columns), number of the square, 0 = unlabelled.
        """
        shape = int(window.height), int(window.width)
        labels = np.zeros(shape, np.uint16)
        rows = min(shape[0], self._warped.height - int(window.row_off))
        columns = min(shape[1], self._warped.width - int(window.col_off))
        if rows > 0 and columns > 0:
            inside = Window(window.col_off, window.row_off, columns, rows)
            labels[:rows, :columns] = self._read(self._warped, inside)
        row = (int(window.row_off) + np.arange(shape[0])) // self._block_side
        column = (int(window.col_off) + np.arange(shape[1])) // self._block_side
        blocks = (row[:, None] * self._blocks_across + column[None, :] + 1 + self._first_block).astype(np.uint32)
        return labels, np.where(labels > 0, blocks, np.uint32(0))

    def find_values(self) -> Iterator[set[int]]:
        """The class values of each block of the whole raster, also where the image does not reach.

        An iterator because it reads the whole file, which the caller may have to break off.

        Raises:
            ToolboxError: A damaged file, or a value that is not allowed.
        """
        for _, window in self._dataset.block_windows(1):
            yield set(np.flatnonzero(np.bincount(self._read(self._dataset, window).ravel())).tolist()) - {UNLABELLED}

    def build_schema(self, values: Iterable[int], legend: Iterable[dict[str, Any]] = ()) -> ClassSchema:
        """Classes of these values.

        Args:
            values: The class values.
            legend: ``value``, ``name``, ``color`` that somebody knows; what they lack is taken from the raster's own tables.

        Raises:
            ToolboxError: No values.
        """
        values = sorted(values)
        if not values:
            raise ToolboxError(f"The label raster {self._source} holds no class: every pixel is nodata or 0.")
        return name_classes(self._dataset, self._source, values, legend)


def name_classes(
    dataset: rasterio.DatasetReader, source: str, values: Iterable[int], known: Iterable[dict[str, Any]] = ()
) -> ClassSchema:
    """The classes of some values of an open class raster.

    Args:
        dataset: The class raster.
        source: Its source, beside which the sidecar lies.
        values: The class values.
        known: ``value``, ``name``, ``color`` that somebody knows; what they lack is told by the raster and its sidecar.
    """
    legend: dict[int, dict[str, Any]] = {}
    try:
        for value, color in dataset.colormap(1).items():
            legend[value] = {"color": list(color[:3])}
    except ValueError:  # rasterio's way to say that there is no colour table
        legend = {}
    sidecar = Path(f"{source}.aux.xml")
    if sidecar.is_file() and sidecar.stat().st_size <= MOST_SIDECAR_BYTES:
        for value, entry in read_sidecar(sidecar.read_bytes()).items():
            legend.setdefault(value, {}).update(entry)
    for entry in known:
        legend.setdefault(entry["value"], {}).update({key: content for key, content in entry.items() if content})
    return ClassSchema.from_dicts([{**legend.get(value, {}), "value": value} for value in values])


def _corner_shift(transform: Affine, info: RasterInfo) -> float:
    """Largest distance, in cells of the image, between the corners of its grid and of one with another transform."""
    to_cells = ~info.transform * transform
    corners = [(x, y) for x in (0, info.width) for y in (0, info.height)]
    return max(max(abs(a - x), abs(b - y)) for x, y in corners for a, b in [to_cells * (x, y)])


def read_sidecar(content: bytes) -> dict[int, dict[str, Any]]:
    """Names and colours by value, in GDAL's .aux.xml of a raster; empty when it tells none or is damaged.

    Reads the first band's category names, then its attribute table, which wins.
    """
    try:
        band = ElementTree.fromstring(content).find("PAMRasterBand")
    except ElementTree.ParseError:
        return {}
    if band is None:
        return {}
    names = [element.text or "" for element in band.iterfind("CategoryNames/Category")]
    legend: dict[int, dict[str, Any]] = {value: {"name": name} for value, name in enumerate(names) if name}
    table = band.find("GDALRasterAttributeTable")
    if table is not None:
        for value, entry in _read_table(table).items():
            legend.setdefault(value, {}).update(entry)
    return legend


def _read_table(table: ElementTree.Element) -> dict[int, dict[str, Any]]:
    """Rows of an attribute table by value."""
    usages = []
    for definition in table.iterfind("FieldDefn"):
        usage = definition.findtext("Usage", "0")
        usages.append((int(usage) if usage.isdecimal() else 0) or USAGE_BY_COLUMN.get(definition.findtext("Name", "").lower(), 0))
    rows: dict[int, dict[str, Any]] = {}
    for row in table.iterfind("Row"):
        cells = {usage: cell.text or "" for usage, cell in zip(usages, row.iterfind("F"), strict=False)}
        try:
            value = int(float(cells[USAGE_VALUE]))
            color = [int(float(cells[usage])) for usage in (USAGE_RED, USAGE_GREEN, USAGE_BLUE) if usage in cells]
        except (KeyError, ValueError, OverflowError):
            continue
        entry: dict[str, Any] = {"name": cells[USAGE_NAME]} if cells.get(USAGE_NAME) else {}
        rows[value] = entry | ({"color": color} if len(color) == 3 else {})
    return rows
