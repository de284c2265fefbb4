# SPDX-License-Identifier: GPL-2.0-or-later
"""KITTI Labels: beside each image a text file with a line of 15 columns per object, for detectors.

Columns: class value, truncated, occluded, angle, left, top, right, bottom, then seven of the 3-D box that are 0 here
(Geiger, Lenz and Urtasun 2012, doi:10.1109/CVPR.2012.6248074).
"""

from __future__ import annotations

from affine import Affine

from ..chip import Chip
from ..chip_writer import ChipWriter
from .base import LabelFiles, MetadataFormat

UNUSED_COLUMNS = 7


class Kitti(MetadataFormat):
    """Boxes as text. A chip without objects (EMPTY_TILES) has no label file, as in ArcGIS, whose reader cannot take an empty one."""

    USES_OBJECTS = True
    NEEDS_REGIONS = True

    def write(self, chip: Chip, name: str, to_grid: Affine, image: str, writer: ChipWriter) -> LabelFiles:
        if not chip.objects:
            return LabelFiles()
        path = f"labels/{name}.txt"
        rest = " ".join(["0.0"] * UNUSED_COLUMNS)
        lines = (f"{entry.value} 0.0 0 0.0 {' '.join(f'{edge:.2f}' for edge in entry.box)} {rest}\n" for entry in chip.objects)
        writer.write_text(path, "".join(lines))
        return LabelFiles(path)
