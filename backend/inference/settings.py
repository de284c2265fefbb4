# SPDX-License-Identifier: GPL-2.0-or-later
"""What a classification is asked to do. Imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolboxError

LARGEST_TILE = 4096
SMALLEST_MEMORY_MB = 64
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class ClassifySettings:
    """Settings of one classification; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the image.
        model: A .dlpk, or an .emd with its weights beside it.
        output: Class raster to write (.tif).
        confidence: Raster of the winning class's probability in percent; None = not wanted.
        tile_size: Side in pixels of the tiles the network sees; 0 = chosen by the model and the raster.
        overlap: Pixels shared by neighbouring tiles, at most half a tile; −1 = an eighth of the tile, 64 at most.
        batch_size: Tiles per step; 0 = chosen by the device.
        extent: (xmin, ymin, xmax, ymax) to classify, in map units of the raster; None = the whole raster.
        memory_mb: Ceiling in MiB for the blending buffer; wider rasters are worked on in column bands.
        test_time_augmentation: Average over the eight flips and rotations of each tile.
        predict_background: False = class 0 never wins.
        device: ``auto``, ``cpu``, ``mps``, ``cuda``, ``cuda:1``; ``cuda:0,cuda:1`` shares the raster among these.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``; see `precision`.
    """

    raster: str
    model: str
    output: str
    confidence: str | None = None
    tile_size: int = 0
    overlap: int = -1
    batch_size: int = 0
    extent: tuple[float, float, float, float] | None = None
    memory_mb: int = 1024
    test_time_augmentation: bool = False
    predict_background: bool = True
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        outputs = [Path(path).absolute() for path in (self.output, self.confidence) if path]
        if any(path == Path(self.raster).absolute() for path in outputs):
            faults.append("OUTPUT is the input raster itself; choose another name")
        if len(set(outputs)) < len(outputs):
            faults.append("OUTPUT and OUTPUT_CONFIDENCE are the same file")
        for path in outputs:
            if path.suffix.lower() not in (".tif", ".tiff"):
                faults.append(f"{path.name} must end in .tif, since a GeoTIFF is written")
        if self.tile_size and not 32 <= self.tile_size <= LARGEST_TILE:
            faults.append(f"TILE_SIZE is {self.tile_size}, allowed are 0 (automatic) and 32 to {LARGEST_TILE} pixels")
        if self.overlap < -1:
            faults.append(f"OVERLAP is {self.overlap}, allowed are −1 (automatic) and 0 to half a tile")
        if not 0 <= self.batch_size <= 1024:
            faults.append(f"BATCH_SIZE is {self.batch_size}, allowed are 0 (automatic) to 1024")
        if self.precision not in PRECISIONS:
            faults.append(f"PRECISION is “{self.precision}”, allowed are {', '.join(PRECISIONS)}")
        if self.memory_mb < SMALLEST_MEMORY_MB:
            faults.append(f"MEMORY is {self.memory_mb} MB, at least {SMALLEST_MEMORY_MB} MB are needed")
        if self.extent is not None and not all(map(math.isfinite, self.extent)):
            faults.append("EXTENT is not finite")
        elif self.extent is not None and (self.extent[0] >= self.extent[2] or self.extent[1] >= self.extent[3]):
            faults.append(f"EXTENT is empty ({', '.join(f'{edge:g}' for edge in self.extent)})")
        if faults:
            raise ToolboxError(f"The classification cannot start: {'; '.join(faults)}.")
