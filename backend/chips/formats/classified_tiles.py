# SPDX-License-Identifier: GPL-2.0-or-later
"""Classified Tiles: beside each image a raster of class values, for pixel classification; with a second image, change detection.

0 means unlabelled. Our own raster of block numbers, which tell the polygons apart for an honest split, lies in ``blocks``.
"""

from __future__ import annotations

from affine import Affine

from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat

BLOCKS = "blocks"


class ClassifiedTiles(MetadataFormat):
    """Rasters of class values."""

    FOLDERS = ("images", "images2", "labels", BLOCKS)

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        label, blocks = writer.label_path("labels", name), f"{BLOCKS}/{name}.tif"
        writer.write_label(label, to_grid, chip.label.astype(self.schema.label_dtype))
        writer.write_blocks(blocks, chip.blocks)
        return LabelFiles(label, blocks=blocks)
