# SPDX-License-Identifier: GPL-2.0-or-later
"""The classes that a reviewer chooses from, with the key of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from qgis.core import QgsPalettedRasterRenderer, QgsRasterLayer
from qgis.PyQt.QtGui import QColor

# Without S (skip), B (back), N (next) and C (comment). A class from 0 to 9 has the key of its value.
DIGITS, LETTERS = "1234567890", "QWERTYUIOPADFGHJKLZXVM"
UNKNOWN_COLOR = (150, 150, 150)


class ReviewClass(NamedTuple):
    """A class: its value, name and colour, and the key that chooses it; blank when the keys are used up."""

    value: int
    name: str
    color: QColor
    key: str


def classes_of_raster(layer: QgsRasterLayer | None) -> list[tuple[int, str, QColor]]:
    """Value, name and colour of each class that a class raster shows; nothing for another raster or none."""
    renderer = layer.renderer() if layer is not None else None
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return []
    return [(int(entry.value), entry.label or str(int(entry.value)), QColor(entry.color)) for entry in renderer.classes()]


def list_classes(shown: Iterable[tuple[int, str, QColor]], used: Iterable[int]) -> list[ReviewClass]:
    """The classes by ascending value.

    Args:
        shown: Value, name and colour of the classes of the map.
        used: Values that occur in the points; those that the map does not show are named by their value.
    """
    found = {value: (name, color) for value, name, color in shown}
    for value in used:
        found.setdefault(value, (str(value), QColor(*UNKNOWN_COLOR)))
    own = {str(value) for value in found} & set(DIGITS)
    free = [key for key in (*DIGITS, *LETTERS) if key not in own]
    keys = {}
    for value in sorted(found):
        keys[value] = str(value) if str(value) in own else free.pop(0) if free else ""
    return [ReviewClass(value, *found[value], keys[value]) for value in sorted(found)]
