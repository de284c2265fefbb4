# SPDX-License-Identifier: GPL-2.0-or-later
"""What a metadata format is asked. Formats hold the classes and nothing else, so threads share them."""

from __future__ import annotations

from dataclasses import dataclass

from affine import Affine

from ...labels.schema import ClassSchema
from ..chip import Chip, count_blocks
from ..chip_writer import ChipWriter
from ..index import ChipRecord


@dataclass(frozen=True)
class LabelFiles:
    """Paths, in the folder, of what was written for one chip.

    Attributes:
        label: The label; empty without.
        labels: Further ones.
        blocks: The raster of block numbers.
    """

    label: str = ""
    labels: tuple[str, ...] = ()
    blocks: str | None = None


class MetadataFormat:
    """A metadata format of ArcGIS; subclasses say what differs.

    Args:
        schema: The classes.
        instance_schema: The classes of the instances, where a format has such.

    Attributes:
        FOLDERS: Sub-folders that an export may have, made before the first chip.
        USES_OBJECTS: Whether objects, not labelled pixels, decide that a chip holds something.
        NEEDS_REGIONS: Whether the blocks of a class raster must be its connected regions.
    """

    FOLDERS: tuple[str, ...] = ("images", "images2", "labels")
    USES_OBJECTS = False
    NEEDS_REGIONS = False

    def __init__(self, schema: ClassSchema, instance_schema: ClassSchema | None = None) -> None:
        self.schema = schema
        self.instance_schema = instance_schema

    @property
    def class_names(self) -> dict[int, str]:
        """Names in the metadata by class value."""
        return {entry.value: entry.name for entry in self.schema.classes}

    @property
    def instance_names(self) -> dict[int, str]:
        """Names in the metadata by class value of the instances."""
        return {}

    @property
    def class_folders(self) -> tuple[str, ...]:
        """Sub-folders named by classes, made before the first chip."""
        return ()

    def image_folder(self, chip: Chip) -> str:
        """Sub-folder of the chip's image."""
        return "images"

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        """Writes the label files of a chip.

        Args:
            chip: The chip.
            name: Stem of its files.
            to_grid: From pixels of the chip to those of the raster.
            image: Path of its image, which is already written.
            writer: Writes files.
        """
        raise NotImplementedError

    def list_features(self, chip: Chip, cell_area: float) -> list[tuple[int, int, float]]:
        """(block, class value, area in square map units) of what the statistics count as a feature of the chip."""
        if self.USES_OBJECTS:
            return [(entry.number, entry.value, entry.area) for entry in chip.objects]
        return [(block, value, pixels * cell_area) for block, value, pixels in count_blocks(chip.label, chip.blocks)]

    def map_line(self, record: ChipRecord) -> str:
        """The chip's line in map.txt, as ArcGIS writes it: two blanks between the paths, one after everything."""
        second = f"  {record.image2}" if record.image2 else ""
        labels = " ".join(path for path in (record.label, *record.labels) if path)
        return f"{record.image}{second}{'  ' + labels if labels else ''} ".replace("/", "\\")
