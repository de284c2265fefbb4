# SPDX-License-Identifier: GPL-2.0-or-later
"""What a preview is asked to do. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ToolboxError


@dataclass(frozen=True)
class PreviewSettings:
    """Settings of one preview; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the image.
        labels: GeoPackage that the algorithm wrote, in coordinates of the raster.
        classes: ``value``, ``name``, ``color`` of each class.
        output: Class raster to write (.tif).
        uncertainty: Raster of the uncertainty in percent to write (.tif); None = not wanted.
        extent: (xmin, ymin, xmax, ymax) to show, in map units of the raster; None = the whole raster.
        bands: One-based bands to look at; empty = all but an alpha band.
        seed: The same seed and labels give the same result.
    """

    raster: str
    labels: str
    classes: Sequence[dict[str, Any]]
    output: str
    uncertainty: str | None = None
    extent: tuple[float, float, float, float] | None = None
    bands: list[int] = field(default_factory=list)
    seed: int = 42

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        outputs = [Path(path).absolute() for path in (self.output, self.uncertainty) if path]
        for path in outputs:
            if path.suffix.lower() not in (".tif", ".tiff"):
                faults.append(f"{path.name} must end in .tif, since a GeoTIFF is written")
        if len(set(outputs)) < len(outputs):
            faults.append("OUTPUT and OUTPUT_UNCERTAINTY are the same file")
        if len(self.classes) < 2:
            faults.append("there is only one class, so nothing can be told apart; draw a label of a second class")
        if self.extent is not None and not all(map(math.isfinite, self.extent)):
            faults.append("EXTENT is not finite")
        if not 0 <= self.seed < 2**31:
            faults.append(f"SEED is {self.seed}, allowed are 0 to {2**31 - 1}")
        if faults:
            raise ToolboxError(f"The preview cannot start: {'; '.join(faults)}.")
