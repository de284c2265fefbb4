# SPDX-License-Identifier: GPL-2.0-or-later
"""A VRT over class rasters: one layer of many, without copying a pixel.

Written as XML, since rasterio has no tool for it; the form is GDAL's (https://gdal.org/en/stable/drivers/raster/vrt.html).
"""

from __future__ import annotations

import math
import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rasterio
from affine import Affine

from ..errors import ToolboxError
from ..imagery.raster import open_raster

SAME_CELL = 1e-6  # relative difference of cell sizes that does not count
GDAL_TYPES = {"uint8": "Byte", "uint16": "UInt16"}
COUNT = "Count"  # column of the attribute table that a mosaic has not: where rasters overlap, nobody has counted


@dataclass(frozen=True)
class Part:
    """One class raster of a mosaic. Read at once, since thousands of files cannot be open together.

    Attributes:
        path: The file.
        width: Its columns.
        height: Its rows.
        transform: Pixel-to-map matrix.
        crs: CRS; None without.
        dtype: ``uint8`` or ``uint16``.
        nodata: Nodata value.
    """

    path: Path
    width: int
    height: int
    transform: Affine
    crs: rasterio.crs.CRS | None
    dtype: str
    nodata: float

    @classmethod
    def read(cls, path: Path) -> Part:
        """Reads the properties of a class raster."""
        with open_raster(str(path)) as dataset:
            size = dataset.width, dataset.height
            return cls(path, *size, dataset.transform, dataset.crs, dataset.dtypes[0], dataset.nodata)

    def offset(self, origin: tuple[float, float]) -> tuple[int, int]:
        """(columns, rows) from an origin in map units to the upper left corner."""
        return round((self.transform.c - origin[0]) / self.transform.a), round((self.transform.f - origin[1]) / self.transform.e)


def write_mosaic(rasters: Sequence[Path], path: Path) -> None:
    """Writes a VRT over class rasters of one model; where they overlap, the later one shows.

    It holds colours, names and attribute table of the first; the style of the first is put beside it.

    Raises:
        ToolboxError: The rasters have no place on the map, different coordinate systems or cell sizes.
    """
    parts = [Part.read(raster) for raster in rasters]
    _check_common(parts)
    width, height = parts[0].transform.a, parts[0].transform.e
    first_of = max if height < 0 else min  # rows run down the map, but for rasters that are stored upside down
    origin = min(part.transform.c for part in parts), first_of(part.transform.f for part in parts)
    columns, rows = (
        max(start + size for start, size in sizes)
        for sizes in zip(*(zip(part.offset(origin), (part.width, part.height), strict=True) for part in parts), strict=True)
    )
    root = ElementTree.Element("VRTDataset", rasterXSize=str(columns), rasterYSize=str(rows))
    if parts[0].crs:
        ElementTree.SubElement(root, "SRS").text = parts[0].crs.to_wkt()
    transform = Affine(width, 0, origin[0], 0, height, origin[1])
    ElementTree.SubElement(root, "GeoTransform").text = ", ".join(f"{value!r}" for value in transform.to_gdal())
    root.append(_build_band(parts, path.parent, origin))
    temporary = path.with_suffix(".partial")
    ElementTree.ElementTree(root).write(temporary, encoding="utf-8")
    temporary.replace(path)
    style = rasters[0].with_suffix(".qml")
    if style.is_file():
        shutil.copyfile(style, path.with_suffix(".qml"))


def _check_common(parts: Sequence[Part]) -> None:
    """Raises ToolboxError unless all rasters can lie on one grid."""
    first = parts[0]
    if first.crs is None and abs(first.transform.a) == abs(first.transform.e) == 1:
        raise ToolboxError("The rasters have no georeference, so they have no places on a map; look at them one by one.")
    for other in parts[1:]:
        pairs = ((first.transform.a, other.transform.a), (first.transform.e, other.transform.e))
        if other.crs != first.crs or not all(math.isclose(a, b, rel_tol=SAME_CELL) for a, b in pairs):
            what = "cell sizes" if other.crs == first.crs else "coordinate systems"
            raise ToolboxError(
                f"{first.path.name} and {other.path.name} have different {what}, and a mosaic needs one: warp the class "
                "rasters first (Raster > Projections > Warp), or look at them one by one."
            )


def _build_band(parts: Sequence[Part], folder: Path, origin: tuple[float, float]) -> ElementTree.Element:
    """The one band, with every raster as a source."""
    first = parts[0]
    band = ElementTree.Element("VRTRasterBand", dataType=GDAL_TYPES[first.dtype], band="1")
    ElementTree.SubElement(band, "NoDataValue").text = f"{first.nodata:g}"
    band.extend(_read_legend(first))
    for part in parts:
        source = ElementTree.SubElement(band, "ComplexSource")
        ElementTree.SubElement(source, "SourceFilename", relativeToVRT="1").text = os.path.relpath(part.path, folder)
        ElementTree.SubElement(source, "SourceBand").text = "1"
        size = {"xSize": str(part.width), "ySize": str(part.height)}
        ElementTree.SubElement(source, "SrcRect", xOff="0", yOff="0", **size)
        column, row = part.offset(origin)
        ElementTree.SubElement(source, "DstRect", xOff=str(column), yOff=str(row), **size)
        ElementTree.SubElement(source, "NODATA").text = f"{part.nodata:g}"
    return band


def _read_legend(part: Part) -> Iterator[ElementTree.Element]:
    """Colour table, category names and attribute table of a class raster, as a VRT holds them."""
    if part.dtype == "uint8":
        yield from _read_colours(part.path)
    sidecar = Path(f"{part.path}.aux.xml")
    band = ElementTree.parse(sidecar).find("PAMRasterBand") if sidecar.is_file() else None
    if band is None:
        return
    yield from band.findall("CategoryNames")
    for table in band.findall("GDALRasterAttributeTable"):
        names = [column.findtext("Name") for column in table.findall("FieldDefn")]
        for place, name in enumerate(names):
            if name == COUNT:
                table.remove(table.findall("FieldDefn")[place])
                for row in table.findall("Row"):
                    row.remove(row.findall("F")[place])
        yield table


def _read_colours(path: Path) -> Iterator[ElementTree.Element]:
    """The colour table; nothing where there is none."""
    with open_raster(str(path)) as dataset:
        try:
            colours = dataset.colormap(1)
        except ValueError:  # rasterio's word for none
            return
    table = ElementTree.Element("ColorTable")  # its entries are those of the values 0, 1, 2 …
    for value in sorted(colours):
        ElementTree.SubElement(table, "Entry", {f"c{number}": str(part) for number, part in enumerate(colours[value], start=1)})
    interpretation = ElementTree.Element("ColorInterp")
    interpretation.text = "Palette"
    yield interpretation
    yield table
