# SPDX-License-Identifier: GPL-2.0-or-later
"""A list of raster files, or a folder of them, as a parameter value."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from osgeo import gdal
from qgis.core import QgsMapLayer, QgsRasterLayer

from ..backend.errors import ToolboxError
from .raster_source import RasterSource
from .texts import tr
from .values import is_given

# Files that lie beside rasters and are none of their own, though GDAL may open them.
SIDECARS = (".ovr", ".msk", ".xml", ".tfw", ".vat.dbf")
# A file with such a name is meant to be a raster, so one that GDAL does not read is damaged.
RASTER_ENDINGS = (".tif", ".tiff", ".vrt", ".img", ".jp2", ".ecw", ".sid", ".asc", ".dem", ".bil", ".nc")


def read_raster_list(
    value: Any, parameter: str, used_otherwise: Iterable[str] = (), damaged: list[str] | None = None
) -> list[RasterSource]:
    """The rasters of a value: a path, a folder, or a list of paths or layers; in the order given, in a folder by name.

    Call it in the main thread.

    Args:
        value: The value.
        parameter: Its name, for messages.
        used_otherwise: Sources of rasters that are something else in the request; they are left out of folders.
        damaged: Receives a sentence for each raster that cannot be read, which is left out then; None = it is an error.

    Raises:
        ToolboxError: A raster that cannot be read, or a folder without rasters.
    """
    if not is_given(value):
        return []
    entries = value if isinstance(value, (list, tuple)) else [value]
    others = [path for path in used_otherwise if os.path.exists(path)]
    sources = []
    for entry in entries:
        parts = [entry] if isinstance(entry, QgsMapLayer) else _expand(str(entry), parameter, others, damaged is not None)
        for part in parts:
            try:
                sources.append(RasterSource.from_layer(_open(part, parameter), parameter))
            except ToolboxError as failure:
                if damaged is None:
                    raise
                damaged.append(str(failure))
    if damaged and not sources:
        raise ToolboxError(damaged[0])
    return sources


def _open(path: str | QgsMapLayer, parameter: str) -> QgsRasterLayer | None:
    if isinstance(path, QgsMapLayer):
        return path if isinstance(path, QgsRasterLayer) else None
    layer = QgsRasterLayer(path, os.path.splitext(os.path.basename(path))[0])
    if not layer.isValid():
        raise ToolboxError(tr("{}: {} is not a raster that QGIS can read; choose another file.").format(parameter, path))
    return layer


def _expand(path: str, parameter: str, left_out: list[str], with_damaged: bool) -> list[str]:
    """The path itself, or the rasters in the folder that it is, maybe with files that only have the name of one."""
    if not os.path.isdir(path):
        return [path]
    files = sorted(entry.path for entry in os.scandir(path) if entry.is_file() and not entry.name.lower().endswith(SIDECARS))
    files = [file for file in files if not any(os.path.samefile(file, other) for other in left_out)]
    rasters = [file for file in files if _is_raster(file) or (with_damaged and file.lower().endswith(RASTER_ENDINGS))]
    if not rasters:
        text = tr("{}: the folder {} holds no raster that GDAL reads; choose another folder.")
        raise ToolboxError(text.format(parameter, path))
    return rasters


def _is_raster(path: str) -> bool:
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        return gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY) is not None
    except RuntimeError:  # another plugin may have switched GDAL's exceptions on
        return False
    finally:
        gdal.PopErrorHandler()
