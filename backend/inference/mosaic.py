# SPDX-License-Identifier: GPL-2.0-or-later
"""A VRT over class rasters: one layer of many, without copying a pixel.

Written as XML, since rasterio has no tool for it; the form is GDAL's (https://gdal.org/en/stable/drivers/raster/vrt.html).
"""

from __future__ import annotations

import math
import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import rasterio
from affine import Affine

from ..errors import ToolboxError

SAME_CELL = 1e-6  # relative difference of cell sizes that does not count
GDAL_TYPES = {"uint8": "Byte", "uint16": "UInt16"}


def write_mosaic(rasters: Sequence[Path], path: Path) -> None:
    """Writes a VRT over class rasters of one model; where they overlap, the later one shows.

    Style and attribute table of the first are put beside it.

    Raises:
        ToolboxError: The rasters have different coordinate systems or cell sizes.
    """
    opened = [rasterio.open(raster) for raster in rasters]
    try:
        _check_common(opened)
        bounds = [dataset.bounds for dataset in opened]
        left, top = min(box.left for box in bounds), max(box.top for box in bounds)
        width, height = opened[0].res
        columns = round((max(box.right for box in bounds) - left) / width)
        rows = round((top - min(box.bottom for box in bounds)) / height)
        root = ElementTree.Element("VRTDataset", rasterXSize=str(columns), rasterYSize=str(rows))
        if opened[0].crs:
            ElementTree.SubElement(root, "SRS").text = opened[0].crs.to_wkt()
        transform = Affine(width, 0, left, 0, -height, top)
        ElementTree.SubElement(root, "GeoTransform").text = ", ".join(f"{value!r}" for value in transform.to_gdal())
        root.append(_build_band(opened, path.parent, (left, top)))
    finally:
        for dataset in opened:
            dataset.close()
    temporary = path.with_suffix(".partial")
    ElementTree.ElementTree(root).write(temporary, encoding="utf-8")
    temporary.replace(path)
    style = rasters[0].with_suffix(".qml")
    if style.is_file():
        shutil.copyfile(style, path.with_suffix(".qml"))


def _check_common(opened: Sequence[rasterio.DatasetReader]) -> None:
    """Raises ToolboxError unless all rasters can lie on one grid."""
    first = opened[0]
    for other in opened[1:]:
        same_cells = all(math.isclose(a, b, rel_tol=SAME_CELL) for a, b in zip(first.res, other.res, strict=True))
        if other.crs != first.crs or not same_cells:
            what = "cell sizes" if other.crs == first.crs else "coordinate systems"
            raise ToolboxError(
                f"{Path(first.name).name} and {Path(other.name).name} have different {what}, and a mosaic needs one: warp the class "
                "rasters first (Raster > Projections > Warp), or look at them one by one."
            )


def _build_band(opened: Sequence[rasterio.DatasetReader], folder: Path, origin: tuple[float, float]) -> ElementTree.Element:
    """The one band, with every raster as a source."""
    first = opened[0]
    band = ElementTree.Element("VRTRasterBand", dataType=GDAL_TYPES[first.dtypes[0]], band="1")
    ElementTree.SubElement(band, "NoDataValue").text = f"{first.nodata:g}"
    for dataset in opened:
        source = ElementTree.SubElement(band, "ComplexSource")
        name = os.path.relpath(dataset.name, folder)
        ElementTree.SubElement(source, "SourceFilename", relativeToVRT="1").text = name
        ElementTree.SubElement(source, "SourceBand").text = "1"
        size = {"xSize": str(dataset.width), "ySize": str(dataset.height)}
        ElementTree.SubElement(source, "SrcRect", xOff="0", yOff="0", **size)
        place = {
            "xOff": f"{round((dataset.bounds.left - origin[0]) / dataset.res[0])}",
            "yOff": f"{round((origin[1] - dataset.bounds.top) / dataset.res[1])}",
        }
        ElementTree.SubElement(source, "DstRect", **place, **size)
        ElementTree.SubElement(source, "NODATA").text = f"{dataset.nodata:g}"
    return band
