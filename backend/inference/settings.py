# SPDX-License-Identifier: GPL-2.0-or-later
"""What a classification is asked to do. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ToolboxError

LARGEST_TILE = 4096
LARGEST_REGION = 10_000
# Settings that name a file to write, and the algorithm's parameters.
OUTPUTS = {
    "output": "OUTPUT",
    "confidence": "OUTPUT_CONFIDENCE",
    "uncertainty": "OUTPUT_UNCERTAINTY",
    "probabilities": "OUTPUT_PROBABILITIES",
    "polygons": "OUTPUT_POLYGONS",
}
RASTER_ENDINGS, VECTOR_ENDINGS = (".tif", ".tiff"), (".gpkg",)
SMALLEST_MEMORY_MB = 64
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
POLYGONS_PER = ("region", "class")


@dataclass(frozen=True)
class ClassifySettings:
    """Settings of one classification; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the image.
        model: A .dlpk, or an .emd with its weights beside it.
        output: Class raster to write (.tif).
        confidence: Raster of the winning class's probability in percent; None = not wanted.
        uncertainty: Raster of the entropy of the probabilities in percent; None = not wanted.
        probabilities: Raster with a band per class, its probability in percent; None = not wanted.
        polygons: GeoPackage with the class raster as polygons (.gpkg); None = not wanted.
        polygons_per: ``region`` = a polygon for each connected region of a class; ``class`` = a multipolygon for each class.
        tile_size: Side in pixels of the tiles the network sees; 0 = chosen by the model and the raster.
        overlap: Pixels shared by neighbouring tiles, at most half a tile; −1 = an eighth of the tile, 64 at most.
        batch_size: Tiles per step; 0 = chosen by the device.
        mask: GeoPackage of polygons; pixels whose centre lies outside become nodata. None = no mask.
        band_map: Model's band → one-based band of the raster, for bands that their names do not tell.
        cell_size: Cell size of the result in units of the raster's CRS; the raster is resampled to it. 0 = the raster's.
        min_region: Connected regions with fewer pixels are given to their largest neighbour; 0 = all stay.
        extent: (xmin, ymin, xmax, ymax) to classify, in map units of the raster; None = the whole raster.
        memory_mb: Ceiling in MiB for the blending buffer; wider rasters are worked on in column bands.
        test_time_augmentation: Average over the eight flips and rotations of each tile.
        predict_background: False = class 0 never wins.
        device: ``auto``, ``cpu``, ``mps``, ``cuda``, ``cuda:1``; ``cuda:0,cuda:1`` shares the raster among these.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``; see `precision`.
        has_georeference: False when QGIS shows row r of the raster at y = −r.
    """

    raster: str
    model: str
    output: str
    confidence: str | None = None
    uncertainty: str | None = None
    probabilities: str | None = None
    polygons: str | None = None
    polygons_per: str = "region"
    tile_size: int = 0
    overlap: int = -1
    batch_size: int = 0
    extent: tuple[float, float, float, float] | None = None
    mask: str | None = None
    band_map: dict[str, int] = field(default_factory=dict)
    cell_size: float = 0.0
    min_region: int = 0
    memory_mb: int = 1024
    test_time_augmentation: bool = False
    predict_background: bool = True
    device: str = "auto"
    precision: str = "auto"
    has_georeference: bool = True

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = [*self._output_faults(), *self._number_faults()]
        if faults:
            raise ToolboxError(f"The classification cannot start: {'; '.join(faults)}.")

    def _output_faults(self) -> Iterator[str]:
        """What is wrong with the files to write."""
        seen: dict[Path, str] = {}
        for name, parameter in OUTPUTS.items():
            if not getattr(self, name):
                continue
            path = Path(getattr(self, name)).absolute()
            if path == Path(self.raster).absolute():
                yield f"{parameter} is the input raster itself; choose another name"
            if path in seen:
                yield f"{seen[path]} and {parameter} are the same file"
            seen[path] = parameter
            ending, *others = VECTOR_ENDINGS if name == "polygons" else RASTER_ENDINGS
            if path.suffix.lower() not in (ending, *others):
                yield f"{path.name} must end in {ending}, since a {'GeoPackage' if name == 'polygons' else 'GeoTIFF'} is written"

    def _number_faults(self) -> Iterator[str]:
        """What is wrong with the numbers."""
        if self.tile_size and not 32 <= self.tile_size <= LARGEST_TILE:
            yield f"TILE_SIZE is {self.tile_size}, allowed are 0 (automatic) and 32 to {LARGEST_TILE} pixels"
        if self.overlap < -1:
            yield f"OVERLAP is {self.overlap}, allowed are −1 (automatic) and 0 to half a tile"
        if not 0 <= self.batch_size <= 1024:
            yield f"BATCH_SIZE is {self.batch_size}, allowed are 0 (automatic) to 1024"
        if self.precision not in PRECISIONS:
            yield f"PRECISION is “{self.precision}”, allowed are {', '.join(PRECISIONS)}"
        if self.polygons_per not in POLYGONS_PER:
            yield f"POLYGONS_PER is “{self.polygons_per}”, allowed are {' and '.join(POLYGONS_PER)}"
        if self.memory_mb < SMALLEST_MEMORY_MB:
            yield f"MEMORY is {self.memory_mb} MB, at least {SMALLEST_MEMORY_MB} MB are needed"
        if not (math.isfinite(self.cell_size) and self.cell_size >= 0):
            yield f"CELL_SIZE is {self.cell_size}, allowed are 0 (the raster's) and positive numbers"
        if not 0 <= self.min_region <= LARGEST_REGION:
            yield f"MIN_REGION is {self.min_region}, allowed are 0 (off) to {LARGEST_REGION:,} pixels"
        if self.extent is not None and not all(map(math.isfinite, self.extent)):
            yield "EXTENT is not finite"
        elif self.extent is not None and (self.extent[0] >= self.extent[2] or self.extent[1] >= self.extent[3]):
            yield f"EXTENT is empty ({', '.join(f'{edge:g}' for edge in self.extent)})"
