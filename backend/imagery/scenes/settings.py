# SPDX-License-Identifier: GPL-2.0-or-later
"""What the preparation of a scene is asked to do. Imports nothing heavy."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import ToolboxError

SCALES = ("reflectance", "toa", "none")
RESAMPLINGS = ("nearest", "bilinear", "cubic")
OUTPUT_TYPES = ("float32", "int16")
MASK_CLASSES = ("cloud", "cirrus", "shadow", "snow", "saturation")


@dataclass(frozen=True)
class SceneSettings:
    """Settings of one preparation; the defaults are the tool's.

    Attributes:
        inputs: One product (folder, .zip, .tar, or its metadata file), or the rasters to stack in their order.
        output: GeoTIFF to write.
        bands: Names (red, nir) or codes (B4, B8A) in the order wanted, separated by semicolons, commas or lines, or, without
            any of these, by blanks; empty = the product's usual bands,
            all bands of a list of rasters; ``all`` = everything.
        scale: ``reflectance`` as the level gives it (surface, or top of atmosphere for Level-1), ``toa`` (Level-1 only), ``none`` =
            stored numbers.
        mask_clouds: Make the pixels of `mask_classes` nodata.
        mask_classes: Which of cloud, cirrus, shadow, snow, saturation, separated by semicolons.
        extent: (xmin, ymin, xmax, ymax) to clip to; None = everything.
        extent_crs: CRS of the extent as WKT or EPSG code; None = that of the scene.
        resolution: Cell size in units of the scene's CRS; 0 = that of the finest band used, or of the first raster of a list.
        resampling: How bands of another grid are brought to that of the output. Masks are taken by nearest; where bilinear or cubic
            average finer cells, a cell of the output is masked if any of them is.
        overviews: Add overviews, so that QGIS shows the image quickly at any scale; adds a third to size and time.
        output_type: ``float32``, or ``int16`` with a scale of 0.0001, which takes half the space.
    """

    inputs: list[str]
    output: str
    bands: str = ""
    scale: str = "reflectance"
    mask_clouds: bool = False
    mask_classes: str = ";".join(MASK_CLASSES)
    extent: tuple[float, float, float, float] | None = None
    extent_crs: str | None = None
    resolution: float = 0.0
    resampling: str = "bilinear"
    output_type: str = "float32"
    overviews: bool = True

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        if not self.inputs:
            faults.append("INPUT is empty; give a product or some rasters")
        if Path(self.output).suffix.lower() not in (".tif", ".tiff"):
            faults.append(f"OUTPUT {Path(self.output).name} must end in .tif, since a GeoTIFF is written")
        if any(Path(self.output).absolute() == Path(path).absolute() for path in self.inputs):
            faults.append("OUTPUT is one of the input rasters; choose another name")
        for name, value, allowed in (
            ("SCALE", self.scale, SCALES),
            ("RESAMPLING", self.resampling, RESAMPLINGS),
            ("OUTPUT_TYPE", self.output_type, OUTPUT_TYPES),
        ):
            if value not in allowed:
                faults.append(f"{name} is “{value}”, allowed are {', '.join(allowed)}")
        unknown = sorted(set(self.wanted_classes) - set(MASK_CLASSES))
        if unknown:
            faults.append(f"MASK_CLASSES holds “{unknown[0]}”, allowed are {', '.join(MASK_CLASSES)}")
        names = [name.casefold() for name in self.wanted_bands]
        twice = next((name for name in self.wanted_bands if names.count(name.casefold()) > 1), "")
        if twice:
            faults.append(f"BANDS names “{twice}” twice; leave one out")
        if self.bands.strip() and not names:
            faults.append(f"BANDS is “{self.bands.strip()}” and names no band; give names such as red;nir, or leave it empty")
        if self.mask_clouds and not self.wanted_classes:
            faults.append(f"MASK_CLASSES is empty; name some of {', '.join(MASK_CLASSES)}, or switch MASK_CLOUDS off")
        if not (math.isfinite(self.resolution) and self.resolution >= 0):
            faults.append(f"RESOLUTION is {self.resolution}, it must be 0 (automatic) or a cell size")
        if self.extent is not None and not all(map(math.isfinite, self.extent)):
            faults.append("EXTENT is not finite")
        elif self.extent is not None and (self.extent[0] >= self.extent[2] or self.extent[1] >= self.extent[3]):
            faults.append(f"EXTENT is empty ({', '.join(f'{edge:g}' for edge in self.extent)})")
        if self.output_type == "int16" and self.scale == "none":
            faults.append("OUTPUT_TYPE int16 stores reflectance; with SCALE none the stored numbers keep their own type")
        if faults:
            raise ToolboxError(f"The preparation cannot start: {'; '.join(faults)}.")

    @property
    def wanted_bands(self) -> list[str]:
        """Names or codes of the bands, as given."""
        separator = r"[;,\n]+" if re.search(r"[;,\n]", self.bands.strip()) else r"\s+"  # names may hold blanks
        return [text.strip() for text in re.split(separator, self.bands.strip()) if text.strip()]

    @property
    def wanted_classes(self) -> list[str]:
        """The classes to mask."""
        return [text for text in re.split(r"[;,\s]+", self.mask_classes.strip().lower()) if text]
