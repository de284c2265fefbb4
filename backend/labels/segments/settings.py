# SPDX-License-Identifier: GPL-2.0-or-later
"""What a segmentation is asked to do. Imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import ToolboxError

SMALLEST_SIZE, LARGEST_SIZE = 3, 500
LARGEST_COMPACTNESS = 1000.0


@dataclass(frozen=True)
class SegmentSettings:
    """Settings of one segmentation; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the image.
        output: Polygons to write (.gpkg).
        segment_size: Width of a typical segment in pixels, 3 to 500.
        compactness: How much nearness counts against likeness: 0 follows the image alone, large values give squares. Likeness is
            measured on a scale on which an image spans about 100, as the lightness in the original paper, so 10 is a usual value.
        extent: (xmin, ymin, xmax, ymax) to segment, in map units of the raster; None = the whole raster.
        bands: One-based bands to look at; empty = all but an alpha band.
        has_georeference: False when QGIS shows row r of the raster at y = −r.
    """

    raster: str
    output: str
    segment_size: int = 20
    compactness: float = 10.0
    extent: tuple[float, float, float, float] | None = None
    bands: list[int] = field(default_factory=list)
    has_georeference: bool = True

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        if not SMALLEST_SIZE <= self.segment_size <= LARGEST_SIZE:
            faults.append(f"SEGMENT_SIZE is {self.segment_size}, allowed are {SMALLEST_SIZE} to {LARGEST_SIZE} pixels")
        if not (math.isfinite(self.compactness) and 0 <= self.compactness <= LARGEST_COMPACTNESS):
            faults.append(f"COMPACTNESS is {self.compactness}, allowed are 0 to {LARGEST_COMPACTNESS:g}")
        if not self.output.lower().endswith(".gpkg"):
            faults.append(f"{Path(self.output).name} must end in .gpkg, since a GeoPackage is written")
        if self.extent is not None and not all(map(math.isfinite, self.extent)):
            faults.append("EXTENT is not finite")
        if faults:
            raise ToolboxError(f"The segmentation cannot start: {'; '.join(faults)}.")
