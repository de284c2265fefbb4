# SPDX-License-Identifier: GPL-2.0-or-later
"""Multi-labeled Tiles: all classes of a chip in an XML file beside it.

ArcGIS's reader takes the object's name, split at commas, for the class names themselves, so names are written, not values.
"""

from __future__ import annotations

from affine import Affine

from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat
from .voc_xml import annotation


class MultilabeledTiles(MetadataFormat):
    """One object that covers the chip and is named by all its classes."""

    USES_OBJECTS = True
    NEEDS_REGIONS = True

    @property
    def class_names(self) -> dict[int, str]:
        return {value: name.replace(",", "_") for value, name in super().class_names.items()}

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        path, class_names = f"labels/{name}.xml", self.class_names
        present = ",".join(class_names[value] for value in sorted({entry.value for entry in chip.objects}))
        rows, columns = chip.label.shape
        writer.write_text(path, annotation(chip, image, [(present, (0, 0, columns, rows))]))
        return LabelFiles(path)
