# SPDX-License-Identifier: GPL-2.0-or-later
"""Imagenet: no label files, each image in the folder of its class, for classifying objects. Chips as in Labeled Tiles."""

from __future__ import annotations

from functools import cached_property

from affine import Affine

from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat
from .class_folders import folder_names


class Imagenet(MetadataFormat):
    """The class is the folder."""

    FOLDERS = ("images",)
    USES_OBJECTS = True

    @cached_property
    def class_names(self) -> dict[int, str]:
        return folder_names(self.schema)

    @property
    def class_folders(self) -> tuple[str, ...]:
        return tuple(f"images/{name}" for name in self.class_names.values())

    def image_folder(self, chip: Chip) -> str:
        return f"images/{self.class_names[chip.objects[0].value]}"

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        return LabelFiles()
