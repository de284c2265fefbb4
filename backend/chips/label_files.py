# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads label files that name objects instead of painting pixels: PASCAL VOC, KITTI, Labeled Tiles and Multi-labeled Tiles.

ArcGIS writes boxes as floats with two decimals, in pixels from the chip's upper left corner, and the class as its value or its name.
The files are data from elsewhere: their size is limited and a document type, which could define entities, is refused. Standard
library only.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from ..errors import ToolboxError

MOST_LABEL_BYTES = 16 * 2**20
KITTI_COLUMNS = 8  # type, three columns of no use here, left, top, right, bottom; more may follow
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class NamedBox(NamedTuple):
    """One object: its class as written, and (left, top, right, bottom) in pixels; None where the file gives no box."""

    name: str
    box: tuple[float, float, float, float] | None


class _NoDocumentType(ElementTree.TreeBuilder):
    """Builds a tree and stops at a document type, before any entity in it is read."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("it has a document type, which labels have no use for")


def read_objects(path: Path) -> list[NamedBox]:
    """The objects of an .xml (PASCAL VOC) or .txt (KITTI) file, in its order.

    Raises:
        ToolboxError: Missing, too large, or not of that form.
    """
    try:
        if path.stat().st_size > MOST_LABEL_BYTES:
            raise ValueError(f"it is larger than {MOST_LABEL_BYTES >> 20} MB")
        content = path.read_bytes()
        return _parse_kitti(content) if path.suffix.lower() == ".txt" else _parse_voc(content)
    except (OSError, ValueError, ElementTree.ParseError) as failure:
        raise ToolboxError(f"The label {path} cannot be read ({failure}); export the training data again.") from failure


def _parse_voc(content: bytes) -> list[NamedBox]:
    root = ElementTree.fromstring(content, ElementTree.XMLParser(target=_NoDocumentType()))
    objects = []
    for element in root.iter("object"):
        name = (element.findtext("name") or "").strip()
        box = element.find("bndbox")
        objects.append(NamedBox(name, None if box is None else _box([box.findtext(corner) or "" for corner in CORNERS])))
    return objects


def _parse_kitti(content: bytes) -> list[NamedBox]:
    objects = []
    for line in content.decode("utf-8-sig").splitlines():
        columns = line.split()
        if not columns:
            continue
        # A class name may hold blanks; the columns after it are numbers, so they are counted from the first of them.
        start = next((place for place in range(1, len(columns)) if _are_numbers(columns[place:])), len(columns))
        numbers = columns[start:]
        if len(numbers) < KITTI_COLUMNS - 1:
            raise ValueError(f"a line has {len(numbers)} numbers after the class instead of 14")
        objects.append(NamedBox(" ".join(columns[:start]), _box(numbers[3:7])))
    return objects


def _are_numbers(texts: list[str]) -> bool:
    try:
        return all(math.isfinite(float(text)) for text in texts)
    except ValueError:
        return False


def _box(texts: list[str]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(text) for text in texts)
    if not all(math.isfinite(value) for value in (left, top, right, bottom)):
        raise ValueError(f"a box is {' '.join(texts)}")
    return left, top, right, bottom
