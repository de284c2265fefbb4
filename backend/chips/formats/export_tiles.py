# SPDX-License-Identifier: GPL-2.0-or-later
"""Export Tiles: images only, or pairs of images, for translating one kind of image into another. Labels only choose the chips."""

from __future__ import annotations

from affine import Affine

from ..chip import Chip
from ..chip_writer import ChipWriter
from ..index import ChipRecord
from .base import LabelFiles, MetadataFormat


class ExportTiles(MetadataFormat):
    """No label files."""

    FOLDERS = ("images", "images2")

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        return LabelFiles()

    def map_line(self, record: ChipRecord) -> str:
        second = f"  {record.image2}" if record.image2 else ""
        return f"{record.image}{second} ".replace("/", "\\")
