# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens the rasters of a scene; those of a product only by the drivers that products need."""

from __future__ import annotations

import rasterio
from rasterio.errors import RasterioIOError

from ...errors import ToolboxError
from ..raster import open_raster


def open_source(source: str, drivers: tuple[str, ...]) -> rasterio.DatasetReader:
    """An open raster.

    Args:
        source: What GDAL opens.
        drivers: GDAL drivers that may; empty = all, for the user's own rasters.

    Raises:
        ToolboxError: It cannot be read.
    """
    if not drivers:
        return open_raster(source)
    try:
        # GDAL would look for files beside each band, for which it reads the directory of an archive again and again
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            return rasterio.open(source, driver=list(drivers))
    except RasterioIOError as failure:
        raise ToolboxError(f"{source} cannot be read ({failure}); the file is damaged, download the product again.") from failure
