# SPDX-License-Identifier: GPL-2.0-or-later
"""What an export of chips is asked to do. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import ToolboxError

SMALLEST_TILE, LARGEST_TILE = 16, 8192


@dataclass(frozen=True)
class ExportSettings:
    """Settings of one export; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the image.
        output: Folder to write; created, or a previous result of ours that is replaced.
        labels: GeoPackage of labelled features (see `labels.vector`); exactly one of this and `label_raster` is given.
        label_raster: GDAL source of a class raster.
        classes: Class list of the whole label layer (``value``, ``name``, ``color``); empty = read from `label_raster`.
        bands: One-based band numbers in the order wanted; empty = all.
        tile_size_x: Width of a chip in pixels.
        tile_size_y: Height of a chip in pixels.
        stride_x: Distance between the left edges of neighbouring chips in pixels.
        stride_y: Distance between the upper edges in pixels.
        empty_tiles: Also write chips without any label.
        min_labeled_ratio: Leave out chips of which a smaller share, 0 to 1, is labelled.
    """

    raster: str
    output: str
    labels: str | None = None
    label_raster: str | None = None
    classes: list[dict[str, Any]] = field(default_factory=list)
    bands: list[int] = field(default_factory=list)
    tile_size_x: int = 256
    tile_size_y: int = 256
    stride_x: int = 128
    stride_y: int = 128
    empty_tiles: bool = False
    min_labeled_ratio: float = 0.0

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        if (self.labels is None) == (self.label_raster is None):
            faults.append("give either LABELS or LABEL_RASTER, not both and not none")
        if self.labels is not None and not self.classes:
            faults.append("the labels come without a class list")
        for name in ("tile_size_x", "tile_size_y"):
            if not SMALLEST_TILE <= getattr(self, name) <= LARGEST_TILE:
                faults.append(f"{name.upper()} is {getattr(self, name)}, allowed are {SMALLEST_TILE} to {LARGEST_TILE} pixels")
        for name in ("stride_x", "stride_y"):
            if not 1 <= getattr(self, name) <= LARGEST_TILE:
                faults.append(f"{name.upper()} is {getattr(self, name)}, allowed are 1 to {LARGEST_TILE} pixels")
        if not 0 <= self.min_labeled_ratio <= 1:
            faults.append(f"MIN_LABELED_RATIO is {self.min_labeled_ratio}, allowed are 0 to 1")
        if faults:
            raise ToolboxError(f"The export cannot start: {'; '.join(faults)}.")
