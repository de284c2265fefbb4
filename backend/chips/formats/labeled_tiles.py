# SPDX-License-Identifier: GPL-2.0-or-later
"""Labeled Tiles: one class per chip, in an XML file beside it, for classifying objects.

With features as labels there is a chip per feature; with a class raster a chip of the grid has its most frequent class.
"""

from __future__ import annotations

from affine import Affine

from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat
from .voc_xml import annotation


class LabeledTiles(MetadataFormat):
    """One box with a class value per chip."""

    USES_OBJECTS = True

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        path = f"labels/{name}.xml"
        writer.write_text(path, annotation(chip, image, ((str(entry.value), entry.box) for entry in chip.objects[:1])))
        return LabelFiles(path)
