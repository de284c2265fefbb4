# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens the rasters of a scene; those of a product only by the drivers that products need."""

from __future__ import annotations

import rasterio
from rasterio.errors import RasterioIOError

from ...errors import ToolboxError
from ..raster import open_raster


def product_driver(name: str) -> str:
    """The driver for a file of a product: a product comes from elsewhere, and other formats may refer to other files."""
    return "JP2OpenJPEG" if name.lower().endswith(".jp2") else "GTiff"


def open_source(source: str, driver: str) -> rasterio.DatasetReader:
    """An open raster.

    Args:
        source: What GDAL opens.
        driver: The only GDAL driver that may; empty = any, for the user's own rasters.

    Raises:
        ToolboxError: It cannot be read.
    """
    if not driver:
        return open_raster(source)
    try:
        # GDAL would look for files beside each band, for which it reads the directory of an archive again and again
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            return rasterio.open(source, driver=driver)
    except RasterioIOError as failure:
        raise ToolboxError(f"{source} cannot be read ({failure}); the file is damaged, download the product again.") from failure
