# SPDX-License-Identifier: GPL-2.0-or-later
"""The XML that three formats share: Pascal VOC annotations in ArcGIS's form, boxes with two decimals."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from ... import __version__
from ..chip import Chip

Box = Sequence[float]


def annotation(chip: Chip, image: str, objects: Iterable[tuple[str, Box]]) -> str:
    """The annotation of a chip.

    Args:
        chip: The chip.
        image: Path of its image.
        objects: Name, and box (left, top, right, bottom in pixels from the upper left corner), of each object.
    """
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = PurePosixPath(image).name
    source = ElementTree.SubElement(root, "source")
    ElementTree.SubElement(source, "annotation").text = f"Deep Learning Toolbox {__version__}"
    bands, height, width = chip.image.image.shape
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", width), ("height", height), ("depth", bands)):
        ElementTree.SubElement(size, name).text = str(value)
    for name, box in objects:
        entry = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(entry, "name").text = name
        bounds = ElementTree.SubElement(entry, "bndbox")
        for corner, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            ElementTree.SubElement(bounds, corner).text = f"{value:.2f}"
    ElementTree.indent(root)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
