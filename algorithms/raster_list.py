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


def read_raster_list(value: Any, parameter: str, used_otherwise: Iterable[str] = ()) -> list[RasterSource]:
    """The rasters of a value: a path, a folder, or a list of paths or layers; in the order given, in a folder by name.

    Call it in the main thread.

    Args:
        value: The value.
        parameter: Its name, for messages.
        used_otherwise: Sources of rasters that are something else in the request; they are left out of folders.

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
            paths = _expand(str(entry), parameter, [path for path in used_otherwise if os.path.exists(path)])
            sources += [RasterSource.from_layer(_open(path, parameter), parameter) for path in paths]
    return sources


def _open(path: str, parameter: str) -> QgsRasterLayer:
    layer = QgsRasterLayer(path, os.path.splitext(os.path.basename(path))[0])
    if not layer.isValid():
        raise ToolboxError(tr("{}: {} is not a raster that QGIS can read; choose another file.").format(parameter, path))
    return layer


def _expand(path: str, parameter: str, left_out: list[str]) -> list[str]:
    """The path itself, or the rasters in the folder that it is."""
    if not os.path.isdir(path):
        return [path]
    files = sorted(entry.path for entry in os.scandir(path) if entry.is_file() and not entry.name.lower().endswith(SIDECARS))
    files = [file for file in files if not any(os.path.samefile(file, other) for other in left_out)]
    rasters = [file for file in files if _is_raster(file)]
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
