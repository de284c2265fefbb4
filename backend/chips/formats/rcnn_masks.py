# SPDX-License-Identifier: GPL-2.0-or-later
"""RCNN Masks: per chip and class a raster of instance numbers in a folder named by the class, for Mask R-CNN.

0 is background, 1 … k are the class's features in their order. Where features overlap, the later one wins, across classes too.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat
from .class_folders import folder_names

LARGEST_BYTE = 255


def number_instances(label: NDArray[np.uint16], blocks: NDArray[np.uint32], value: int) -> NDArray:
    """Instance numbers of one class (rows, columns), 0 = none; uint8, or uint16 with more than 255 instances."""
    found, places = np.unique(np.where(label == value, blocks, 0), return_inverse=True)
    # Blocks ascend, and 0, where the class is not, comes first if the class does not fill the chip.
    numbers = places.reshape(label.shape) + (1 if found[0] > 0 else 0)
    return numbers.astype(np.uint8 if numbers.max() <= LARGEST_BYTE else np.uint16)


class RcnnMasks(MetadataFormat):
    """Rasters of instance numbers, one per class that occurs. A chip without objects (EMPTY_TILES) has no label file."""

    NEEDS_REGIONS = True

    @cached_property
    def class_names(self) -> dict[int, str]:
        return folder_names(self.schema)

    @property
    def class_folders(self) -> tuple[str, ...]:
        return tuple(f"labels/{name}" for name in self.class_names.values())

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        paths = []
        for value in np.unique(chip.label[chip.label > 0]).tolist():
            paths.append(writer.label_path(f"labels/{self.class_names[value]}", name))
            writer.write_label(paths[-1], to_grid, number_instances(chip.label, chip.blocks, value))
        return LabelFiles(labels=tuple(paths))
