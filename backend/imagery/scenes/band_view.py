# SPDX-License-Identifier: GPL-2.0-or-later
"""One band of a raster as a raster of its own, as a virtual one (VRT) in memory.

Warping several bands together, GDAL interpolates across a pixel that is nodata in some of them only; warped alone, each band keeps
its holes. And a value that means no measurement, such as saturation, can be turned into nodata before its neighbours are averaged.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

import rasterio

GDAL_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32", "float32": "Float32",
              "float64": "Float64"}  # fmt: skip


def open_view(source: rasterio.DatasetReader, number: int, nodata: float, saturated: float | None = None) -> rasterio.DatasetReader:
    """A band as a raster of one band.

    Args:
        source: An open raster, of one of `GDAL_TYPES`.
        number: Its one-based band.
        nodata: The view's nodata value.
        saturated: The largest stored value, which becomes nodata; None = leave all values.
    """
    transform = ", ".join(str(value) for value in source.transform.to_gdal())
    kind = "SimpleSource" if saturated is None else "ComplexSource"
    table = "" if saturated is None else f"<LUT>0:0,{saturated - 1:.0f}:{saturated - 1:.0f},{saturated:.0f}:{nodata:.0f}</LUT>"
    size = f'xSize="{source.width}" ySize="{source.height}"'
    crs = f"<SRS>{escape(source.crs.to_wkt())}</SRS>" if source.crs else ""
    return rasterio.open(
        f'<VRTDataset rasterXSize="{source.width}" rasterYSize="{source.height}">{crs}<GeoTransform>{transform}</GeoTransform>'
        f'<VRTRasterBand dataType={quoteattr(GDAL_TYPES[source.dtypes[number - 1]])} band="1"><NoDataValue>{nodata}</NoDataValue>'
        f'<{kind}><SourceFilename relativeToVRT="0">{escape(source.name)}</SourceFilename><SourceBand>{number}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" {size}/><DstRect xOff="0" yOff="0" {size}/>{table}</{kind}></VRTRasterBand></VRTDataset>'
    )
