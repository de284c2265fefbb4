# SPDX-License-Identifier: GPL-2.0-or-later
"""The class schema of a label dock: classes in the user's order, with code and shortcut, and its own JSON form.

The form is ``{"type": "label schema", "version": 1, "name": …, "classes": [{"name", "value", "color": [r, g, b], "code",
"shortcut"}]}``. The same text lies in a label layer's style as the property `SCHEMA_PROPERTY`, so the schema travels with the layer.
Schemas never change; each edit makes a new one.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..backend.errors import ToolboxError
from ..backend.labels.schema import LARGEST_VALUE, PALETTE, ClassDefinition, check_value

SCHEMA_PROPERTY = "deep_learning_toolbox/schema"
TYPE, VERSION = "label schema", 1
SHORTCUTS = "1234567890"  # in the order in which keyboards have them
LARGEST_FILE = 4_000_000  # bytes; thousands of classes are far below

Color = tuple[int, int, int]


@dataclass(frozen=True)
class LabelClass:
    """A class as the labeller sees it.

    Attributes:
        value: In rasters, 1 to 65,534.
        name: Never blank.
        color: Red, green, blue; 0 to 255.
        code: ArcGIS's Classcode; the value as text unless the user says otherwise.
        shortcut: A digit that chooses the class, or empty.
    """

    value: int
    name: str
    color: Color
    code: str = ""
    shortcut: str = ""

    def __post_init__(self) -> None:
        ClassDefinition(self.value, self.name, self.color)  # checks both
        if not self.name.strip():
            raise ToolboxError(f"The class of value {self.value} has no name; give it one.")
        if len(self.shortcut) > 1 or self.shortcut not in SHORTCUTS:
            raise ToolboxError(f"The shortcut “{self.shortcut}” is not allowed; choose a digit from 0 to 9, or none.")

    @property
    def class_code(self) -> str:
        """What is written as Classcode."""
        return self.code or str(self.value)


@dataclass(frozen=True)
class LabelSchema:
    """Classes in the user's order; raises ToolboxError when a value, name or shortcut occurs twice."""

    classes: tuple[LabelClass, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        for what, found in (
            ("value", [entry.value for entry in self.classes]),
            ("name", [entry.name.casefold() for entry in self.classes]),
            ("shortcut", [entry.shortcut for entry in self.classes if entry.shortcut]),
        ):
            twice = next((one for one in found if found.count(one) > 1), None) if len(set(found)) < len(found) else None
            if twice is not None:
                raise ToolboxError(f"Two classes have the {what} “{twice}”; choose another one.")

    def get(self, value: int) -> LabelClass | None:
        """The class of a value; None when there is none."""
        return next((entry for entry in self.classes if entry.value == value), None)

    def by_shortcut(self, shortcut: str) -> LabelClass | None:
        """The class that a key chooses; None when there is none."""
        return next((entry for entry in self.classes if entry.shortcut == shortcut), None)

    def definitions(self) -> list[ClassDefinition]:
        """The classes in this order, as the label layer's style takes them."""
        return [ClassDefinition(entry.value, entry.name, entry.color) for entry in self.classes]

    def next_class(self, name: str) -> LabelClass:
        """A new class with the first free value, colour and key; ``name`` gets a number if it is taken."""
        values = {entry.value for entry in self.classes}
        value = next(value for value in range(1, LARGEST_VALUE + 1) if value not in values)
        colors = {entry.color for entry in self.classes}
        color = next((color for color in PALETTE if color not in colors), PALETTE[value % len(PALETTE)])
        names = {entry.name.casefold() for entry in self.classes}
        wanted = (f"{name} {number}" for number in range(value, LARGEST_VALUE * 2))
        return LabelClass(value, next(one for one in wanted if one.casefold() not in names), color, "", self._free_shortcut())

    def with_class(self, entry: LabelClass) -> LabelSchema:
        """With a class more, at the end."""
        return replace(self, classes=(*self.classes, entry))

    def with_changed(self, value: int, entry: LabelClass) -> LabelSchema:
        """With the class of ``value`` exchanged for another."""
        return replace(self, classes=tuple(entry if known.value == value else known for known in self.classes))

    def without(self, value: int) -> LabelSchema:
        """Without a class."""
        return replace(self, classes=tuple(entry for entry in self.classes if entry.value != value))

    def with_order(self, values: Iterable[int]) -> LabelSchema:
        """With the classes in the order of these values; those not named keep their order at the end."""
        place = {value: number for number, value in enumerate(values)}
        return replace(self, classes=tuple(sorted(self.classes, key=lambda entry: place.get(entry.value, len(place)))))

    def with_missing(self, classes: Iterable[ClassDefinition]) -> LabelSchema:
        """With those of some classes whose values are not there yet; names that are taken get their value behind them."""
        schema = self
        for known in classes:
            if schema.get(known.value) is None:
                taken = {entry.name.casefold() for entry in schema.classes}
                name = known.name if known.name.casefold() not in taken else f"{known.name} ({known.value})"
                schema = schema.with_class(LabelClass(known.value, name, known.color, "", schema._free_shortcut()))
        return schema

    def _free_shortcut(self) -> str:
        taken = {entry.shortcut for entry in self.classes}
        return next((key for key in SHORTCUTS if key not in taken), "")

    def to_json(self) -> str:
        """The schema as text."""
        classes = [
            {
                "name": entry.name,
                "value": entry.value,
                "color": list(entry.color),
                "code": entry.class_code,
                "shortcut": entry.shortcut,
            }
            for entry in self.classes
        ]
        return json.dumps({"type": TYPE, "version": VERSION, "name": self.name, "classes": classes}, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str, what: str) -> LabelSchema:
        """Reads `to_json`'s text.

        Args:
            text: The text.
            what: What it was read from, for the message.

        Raises:
            ToolboxError: It is no schema, is of a later version, or has a fault, which is named.
        """
        try:
            content = json.loads(text)
        except ValueError as failure:
            raise ToolboxError(f"{what} is no class schema ({failure}); choose another file.") from failure
        if not isinstance(content, dict) or content.get("type") != TYPE or not isinstance(content.get("classes"), list):
            raise ToolboxError(f"{what} is no class schema of this toolbox; choose another file.")
        if not isinstance(content.get("version"), int) or content["version"] > VERSION:
            raise ToolboxError(f"{what} is a class schema of version {content.get('version')}; update the plugin to read it.")
        try:
            return cls(tuple(_read_class(entry) for entry in content["classes"]), str(content.get("name") or ""))
        except ToolboxError as failure:
            raise ToolboxError(f"{what} is not usable: {failure}") from failure

    @classmethod
    def read(cls, path: str) -> LabelSchema:
        """The schema in a file; raises ToolboxError when it cannot be read."""
        try:
            if os.path.getsize(path) > LARGEST_FILE:
                raise ToolboxError(f"{path} is larger than {LARGEST_FILE:,} bytes, so it is no class schema; choose another file.")
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as failure:
            raise ToolboxError(f"{path} cannot be read ({failure}); choose another file.") from failure
        return cls.from_json(text, Path(path).name)

    def write(self, path: str) -> None:
        """Writes the schema into a file, which appears once it is whole; raises ToolboxError when that fails."""
        partial = Path(f"{path}.{uuid.uuid4().hex[:8]}.partial")
        try:
            partial.write_text(self.to_json(), encoding="utf-8")
            os.replace(partial, path)
        except OSError as failure:
            raise ToolboxError(f"The schema cannot be written to {path} ({failure.strerror}); choose another place.") from failure
        finally:
            if partial.exists():
                partial.unlink()


def palette_color(place: int) -> Color:
    """The colour of the class at a place in a list, where nothing else tells one."""
    return PALETTE[place % len(PALETTE)]


def _read_class(entry: Any) -> LabelClass:
    """A class of the JSON form; raises ToolboxError."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("value"), (int, float)) or isinstance(entry["value"], bool):
        raise ToolboxError(f"“{json.dumps(entry)[:80]}” is no class with a value.")
    value = check_value(entry["value"])
    color = entry.get("color")
    if not isinstance(color, list) or len(color) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in color):
        raise ToolboxError(f"the colour {color} of class {value} is not three numbers from 0 to 255.")
    code = str(entry.get("code") or "")
    name = str(entry.get("name") or "").strip() or str(value)
    shortcut = str(entry.get("shortcut") or "")
    return LabelClass(value, name, (color[0], color[1], color[2]), "" if code == str(value) else code, shortcut)
