# SPDX-License-Identifier: GPL-2.0-or-later
"""Panoptic Segmentation: class values of everything in ``labels``, instance numbers of things per class in ``labels2``."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from affine import Affine

from ...labels.schema import ClassSchema
from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat
from .class_folders import folder_names
from .rcnn_masks import number_instances


class Panoptic(MetadataFormat):
    """Rasters of class values, and of instance numbers for each instance class that occurs."""

    FOLDERS = ("images", "labels", "labels2")

    @cached_property
    def instance_names(self) -> dict[int, str]:
        """Names, and folders, of the instance classes."""
        return folder_names(self.instance_schema or ClassSchema(()))

    @property
    def class_folders(self) -> tuple[str, ...]:
        return tuple(f"labels2/{name}" for name in self.instance_names.values())

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        label = writer.label_path("labels", name)
        writer.write_label(label, to_grid, chip.label.astype(self.schema.label_dtype))
        paths = []
        values, numbers = chip.instances if chip.instances is not None else (chip.label * 0, chip.blocks * 0)
        for value in np.unique(values[values > 0]).tolist():
            paths.append(writer.label_path(f"labels2/{self.instance_names[value]}", name))
            writer.write_label(paths[-1], to_grid, number_instances(values, numbers, value))
        return LabelFiles(label, tuple(paths))
