# SPDX-License-Identifier: GPL-2.0-or-later
"""What a computation of spectral indices is asked to do. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import ToolboxError
from .catalogue import parse_parameters, parse_selection

OUT_OF_RANGE = ("keep", "clip", "nodata")


@dataclass(frozen=True)
class IndicesSettings:
    """Settings of one computation; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the image.
        output: GeoTIFF to write.
        indices: Names and own formulas, separated by semicolons: ``NDVI;mine=(N-R)/(N+R+0.1)``.
        sensor: ``auto``, ``custom`` or an id of resources/tables/sensors.json.
        band_map: Letters and their bands, ``N=5 R=4``; adds to or overrides what the sensor says.
        parameters: Constants, ``L=0.5 g=2.5``; the others have the catalogue's defaults.
        append: Write the image's own bands first.
        overviews: Add overviews, so that QGIS shows the image quickly at any scale; adds a third to size and time.
        out_of_range: What becomes of reflectance below 0 or above 1: ``keep`` it, ``clip`` it to 0…1, or make the pixel ``nodata``.
    """

    raster: str
    output: str
    indices: str
    sensor: str = "auto"
    band_map: str = ""
    parameters: str = ""
    append: bool = False
    out_of_range: str = "keep"
    overviews: bool = False

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        for read, text in ((parse_selection, self.indices), (parse_parameters, self.parameters)):
            try:
                read(text)
            except ToolboxError as fault:
                faults.append(str(fault))
        if Path(self.output).suffix.lower() not in (".tif", ".tiff"):
            faults.append(f"OUTPUT {Path(self.output).name} must end in .tif, since a GeoTIFF is written.")
        if Path(self.output).absolute() == Path(self.raster).absolute():
            faults.append("OUTPUT is the input raster itself; choose another name.")
        if self.out_of_range not in OUT_OF_RANGE:
            faults.append(f"OUT_OF_RANGE is “{self.out_of_range}”, allowed are {', '.join(OUT_OF_RANGE)}.")
        if faults:
            raise ToolboxError(" ".join(faults))
