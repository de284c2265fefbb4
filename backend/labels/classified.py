# SPDX-License-Identifier: GPL-2.0-or-later
"""A class raster as labels: brought onto the grid of the image by nearest neighbour, in windows.

Its nodata, NaN and 0 mean unlabelled. Blocks, which the split into training and validation needs, are squares of the grid.
Names and colours come from the attribute table or the category names beside the raster, or from its colour table.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
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


class RasterLabels:
    """Labels from a class raster. A context manager, since it keeps the raster open.

    Args:
        source: The class raster.
        info: The image whose grid is wanted.
        block_side: Side of a block in pixels of the image.

    Raises:
        ToolboxError: Unreadable, more than one band, or without CRS on another grid.
    """

    kind = "raster"

    def __init__(self, source: str, info: RasterInfo, block_side: int) -> None:
        self._source = source
        self._block_side = block_side
        self._blocks_across = -(-info.width // block_side)
        self._dataset = open_raster(source)
        self._warped: rasterio.DatasetReader | WarpedVRT = self._dataset
        try:
            self._check(info)
            nodata = self._dataset.nodata if self._dataset.nodata is not None else UNLABELLED
            if not self._has_grid_of(info):
                self._warped = WarpedVRT(
                    self._dataset,
                    crs=info.crs_wkt,
                    transform=info.transform,
                    width=info.width,
                    height=info.height,
                    resampling=Resampling.nearest,
                    src_nodata=nodata,
                    nodata=nodata,
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
        return same_size and self._dataset.transform.almost_equals(info.transform, precision=1e-6)

    def _check(self, info: RasterInfo) -> None:
        if self._dataset.count != 1:
            raise ToolboxError(f"The label raster {self._source} has {self._dataset.count} bands; a class raster has one.")
        if (not self._dataset.crs or info.crs_wkt is None) and not self._has_grid_of(info):
            raise ToolboxError(
                f"The label raster {self._source} and the image can only be matched by coordinate system, which one lacks; "
                "assign it (Raster > Projections > Assign Projection)."
            )

    def _clean(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Class values; raises ToolboxError naming the first that is not allowed."""
        known = np.isfinite(values) & (values != self._nodata) & (values != UNLABELLED)
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
            labels[:rows, :columns] = self._clean(self._warped.read(1, window=inside))
        row = (int(window.row_off) + np.arange(shape[0])) // self._block_side
        column = (int(window.col_off) + np.arange(shape[1])) // self._block_side
        blocks = (row[:, None] * self._blocks_across + column[None, :] + 1).astype(np.uint32)
        return labels, np.where(labels > 0, blocks, np.uint32(0))

    def read_classes(self) -> ClassSchema:
        """All distinct class values of the whole raster with names and colours; one pass over the file.

        Raises:
            ToolboxError: No class at all, or a value that is not allowed.
        """
        values: set[int] = set()
        for _, window in self._dataset.block_windows(1):
            values.update(np.unique(self._clean(self._dataset.read(1, window=window))).tolist())
        values.discard(UNLABELLED)
        if not values:
            raise ToolboxError(f"The label raster {self._source} holds no class: every pixel is nodata or 0.")
        entries = {value: {"value": value, **entry} for value, entry in self._legend().items()}
        return ClassSchema.from_dicts([entries.get(value, {"value": value}) for value in sorted(values)])

    def _legend(self) -> dict[int, dict[str, Any]]:
        """Names and colours by value, as far as the raster tells them."""
        legend: dict[int, dict[str, Any]] = {}
        try:
            for value, color in self._dataset.colormap(1).items():
                legend[value] = {"color": list(color[:3])}
        except ValueError:  # rasterio's way to say that there is no colour table
            legend = {}
        sidecar = Path(f"{self._source}.aux.xml")
        if sidecar.is_file() and sidecar.stat().st_size <= MOST_SIDECAR_BYTES:
            for value, entry in read_sidecar(sidecar.read_bytes()).items():
                legend.setdefault(value, {}).update(entry)
        return legend


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
        usage = int(definition.findtext("Usage", "0"))
        usages.append(usage or USAGE_BY_COLUMN.get(definition.findtext("Name", "").lower(), 0))
    rows: dict[int, dict[str, Any]] = {}
    for row in table.iterfind("Row"):
        cells = {usage: cell.text or "" for usage, cell in zip(usages, row.iterfind("F"), strict=False)}
        try:
            value = int(float(cells[USAGE_VALUE]))
            color = [int(float(cells[usage])) for usage in (USAGE_RED, USAGE_GREEN, USAGE_BLUE) if usage in cells]
        except (KeyError, ValueError):
            continue
        entry: dict[str, Any] = {"name": cells[USAGE_NAME]} if cells.get(USAGE_NAME) else {}
        rows[value] = entry | ({"color": color} if len(color) == 3 else {})
    return rows
