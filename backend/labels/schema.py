# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of classes: values, names and colours. Standard library only.

Class values are integers from 1 to 65,534; 0 means unlabelled and is not a class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ToolboxError

LARGEST_VALUE = 65_534
UNLABELLED = 0

# Told apart in print and by most colour-blind readers where neighbours in the list; repeated when there are more classes.
PALETTE: tuple[tuple[int, int, int], ...] = (
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (140, 86, 75),
    (227, 119, 194),
    (188, 189, 34),
    (23, 190, 207),
    (255, 217, 47),
    (0, 90, 50),
    (166, 206, 227),
    (251, 154, 153),
    (178, 223, 138),
    (202, 178, 214),
    (177, 89, 40),
    (106, 61, 154),
    (255, 190, 125),
    (86, 180, 160),
    (120, 120, 120),
)


def check_value(value: float) -> int:
    """A class value as an integer; raises ToolboxError, naming the value, unless it is a whole number from 1 to 65,534."""
    # Infinity and NaN, which is how an empty field arrives, have no integer to compare with.
    is_whole = math.isfinite(value) and value == int(value)
    if not is_whole or not 1 <= value <= LARGEST_VALUE:
        shown = int(value) if is_whole else value
        raise ToolboxError(
            f"The class value {shown} is not allowed: class values are whole numbers from 1 to {LARGEST_VALUE:,} "
            "(0 means unlabelled); change it in the labels."
        )
    return int(value)


@dataclass(frozen=True)
class ClassDefinition:
    """A class: its value in rasters, its name, its colour (red, green, blue; 0 to 255)."""

    value: int
    name: str
    color: tuple[int, int, int]

    def __post_init__(self) -> None:
        check_value(self.value)
        if len(self.color) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in self.color):
            raise ToolboxError(f"The colour {self.color} of class {self.value} is not three numbers from 0 to 255.")


@dataclass(frozen=True)
class ClassSchema:
    """The classes by ascending value, each value once; raises ToolboxError otherwise."""

    classes: tuple[ClassDefinition, ...]

    def __post_init__(self) -> None:
        values = self.values
        if list(values) != sorted(set(values)):
            raise ToolboxError(f"The class values {list(values)} must be ascending and each occur once.")

    @property
    def values(self) -> tuple[int, ...]:
        """The class values, ascending."""
        return tuple(entry.value for entry in self.classes)

    @property
    def label_dtype(self) -> str:
        """The smallest type for label chips and class rasters: uint8 up to value 254, else uint16."""
        return "uint8" if max(self.values, default=0) <= 254 else "uint16"

    def with_unique_names(self) -> tuple[ClassSchema, list[str]]:
        """The classes with every name once, and a sentence for each that was changed.

        A name is what people, and formats with a folder per class, know a class by; the later class of two gets its value behind it.
        Names that differ in case only stay, but are told, since that is mostly a slip.
        """
        taken: dict[str, int] = {}
        folded: dict[str, ClassDefinition] = {}
        classes, told = [], []
        for entry in self.classes:
            if entry.name in taken:
                other = f"{entry.name} ({entry.value})"
                told.append(
                    f"Classes {taken[entry.name]} and {entry.value} are both named “{entry.name}”; the latter is called “{other}”."
                )
                entry = ClassDefinition(entry.value, other, entry.color)
            alike = folded.setdefault(entry.name.casefold(), entry)
            if alike is not entry:
                told.append(
                    f"Classes {alike.value} “{alike.name}” and {entry.value} “{entry.name}” differ in case only and stay two classes; "
                    "if one is meant, correct the labels and export again."
                )
            taken[entry.name] = entry.value
            classes.append(entry)
        return ClassSchema(tuple(classes)), told

    def name_of(self, value: int) -> str:
        """Name of a class value."""
        return next(entry.name for entry in self.classes if entry.value == value)

    @classmethod
    def from_dicts(cls, entries: Iterable[Mapping[str, Any]]) -> ClassSchema:
        """Reads ``value``, ``name`` and ``color`` of each entry, in any order.

        A name that is missing or blank becomes the value as text; a colour that is missing or not three numbers from 0 to 255
        (ArcGIS writes −1 for unknown) is taken from the palette by the place in the list.

        Raises:
            ToolboxError: A value that is not allowed or occurs twice.
        """
        ordered = sorted(entries, key=lambda entry: entry["value"])
        classes = []
        for place, entry in enumerate(ordered):
            value = check_value(entry["value"])
            name = str(entry.get("name") or "").strip() or str(value)
            classes.append(ClassDefinition(value, name, _color(entry.get("color"), place)))
        return cls(tuple(classes))

    def to_dicts(self) -> list[dict[str, Any]]:
        """The classes as plain JSON."""
        return [{"value": entry.value, "name": entry.name, "color": list(entry.color)} for entry in self.classes]


def _color(given: Any, place: int) -> tuple[int, int, int]:
    """A colour as three integers, the palette's where none is given."""
    if isinstance(given, (list, tuple)) and len(given) == 3 and all(isinstance(part, int) and 0 <= part <= 255 for part in given):
        return (given[0], given[1], given[2])
    return PALETTE[place % len(PALETTE)]
