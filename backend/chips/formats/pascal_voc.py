# SPDX-License-Identifier: GPL-2.0-or-later
"""PASCAL Visual Object Classes: beside each image an XML file with the box and the class value of every object, for detectors."""

from __future__ import annotations

from affine import Affine

from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat
from .voc_xml import annotation


class PascalVoc(MetadataFormat):
    """Boxes as XML. A chip without objects (EMPTY_TILES) has a file without objects."""

    USES_OBJECTS = True
    NEEDS_REGIONS = True

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        path = f"labels/{name}.xml"
        writer.write_text(path, annotation(chip, image, ((str(entry.value), entry.box) for entry in chip.objects)))
        return LabelFiles(path)
