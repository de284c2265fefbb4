# SPDX-License-Identifier: GPL-2.0-or-later
"""A list of raster files, or a folder of them, as a parameter value."""

from __future__ import annotations

import os
from typing import Any

from osgeo import gdal
from qgis.core import QgsMapLayer, QgsRasterLayer

from ..backend.errors import ToolboxError
from .raster_source import RasterSource
from .values import is_given

# Files that lie beside rasters and are none of their own, though GDAL may open them.
SIDECARS = (".ovr", ".msk", ".xml", ".tfw", ".vat.dbf")


def read_raster_list(value: Any, parameter: str) -> list[RasterSource]:
    """The rasters of a value: a path, a folder, or a list of paths or layers; in the order given, in a folder by name.

    Call it in the main thread.

    Raises:
        ToolboxError: A raster that cannot be read, or a folder without rasters.
    """
    if not is_given(value):
        return []
    entries = value if isinstance(value, (list, tuple)) else [value]
    sources = []
    for entry in entries:
        if isinstance(entry, QgsMapLayer):
            sources.append(RasterSource.from_layer(entry if isinstance(entry, QgsRasterLayer) else None, parameter))
        else:
            sources += [RasterSource.from_layer(_open(path), parameter) for path in _expand(str(entry), parameter)]
    return sources


def _open(path: str) -> QgsRasterLayer:
    return QgsRasterLayer(path, os.path.splitext(os.path.basename(path))[0])


def _expand(path: str, parameter: str) -> list[str]:
    """The path itself, or the rasters in the folder that it is."""
    if not os.path.isdir(path):
        return [path]
    files = sorted(entry.path for entry in os.scandir(path) if entry.is_file() and not entry.name.lower().endswith(SIDECARS))
    rasters = [file for file in files if _is_raster(file)]
    if not rasters:
        raise ToolboxError(f"{parameter}: the folder {path} holds no raster that GDAL reads; choose another folder.")
    return rasters


def _is_raster(path: str) -> bool:
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        return gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY) is not None
    except RuntimeError:  # another plugin may have switched GDAL's exceptions on
        return False
    finally:
        gdal.PopErrorHandler()
