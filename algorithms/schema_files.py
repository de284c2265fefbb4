# SPDX-License-Identifier: GPL-2.0-or-later
"""Class schemas from files and texts: our own JSON, ArcGIS Pro's ``.ecs`` as far as it can be understood, and a line of text.

The form of ``.ecs`` is not documented. It is JSON, so classes are looked for in it: objects with a name and a whole number as value,
wherever they lie, with a colour if there is one. Whatever else it holds is passed over.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..backend.errors import ToolboxError
from .label_schema import LARGEST_FILE, TYPE, Color, LabelClass, LabelSchema, palette_color

NAME_KEYS = ("name", "classname", "label", "title")
VALUE_KEYS = ("value", "classvalue", "code", "classcode")
COLOR_KEYS = ("color", "colour", "rgb")
DEEPEST = 50
EXAMPLE = "1=Water=#0000ff; 2=Forest"


def read_schema_file(path: str) -> LabelSchema:
    """The schema in a file of this toolbox or of ArcGIS Pro; raises ToolboxError when it holds none."""
    try:
        if os.path.getsize(path) > LARGEST_FILE:
            raise ToolboxError(f"{path} is larger than {LARGEST_FILE:,} bytes, so it is no class schema; choose another file.")
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as failure:
        raise ToolboxError(f"{path} cannot be read as a class schema ({failure}); choose a .json or .ecs file.") from failure
    if isinstance(content, dict) and content.get("type") == TYPE:
        return LabelSchema.read(path)
    found: dict[int, LabelClass] = {}
    for name, value, color in _find_classes(content, 0):
        found.setdefault(value, LabelClass(value, name, color or palette_color(len(found))))
    if not found:
        raise ToolboxError(f"{Path(path).name} holds no classes with a name and a value; choose another file.")
    return LabelSchema((), Path(path).stem).with_missing(entry for entry in LabelSchema(_unique(found)).definitions())


def read_classes_text(text: str) -> LabelSchema:
    """The schema of a text such as ``1=Water=#0000ff; 2=Forest``: value, name, and perhaps a colour; raises ToolboxError."""
    classes = []
    for place, part in enumerate(filter(None, (part.strip() for part in re.split(r"[;\n]", text)))):
        pieces = [piece.strip() for piece in part.split("=")]
        color = _read_color(pieces[2]) if len(pieces) == 3 else palette_color(place)
        if len(pieces) not in (2, 3) or not pieces[0].isdecimal() or not pieces[1] or color is None:
            raise ToolboxError(f"CLASSES takes {EXAMPLE}, and got “{part}”.")
        classes.append(LabelClass(int(pieces[0]), pieces[1], color))
    if not classes:
        raise ToolboxError(f"CLASSES names no class; give some, such as {EXAMPLE}.")
    return LabelSchema().with_missing(LabelSchema(tuple(classes)).definitions())


def _find_classes(content: Any, depth: int) -> Iterator[tuple[str, int, Color | None]]:
    """Name, value and colour of everything in a piece of JSON that looks like a class."""
    if depth > DEEPEST:
        return
    if isinstance(content, list):
        for entry in content:
            yield from _find_classes(entry, depth + 1)
    elif isinstance(content, dict):
        lower = {str(key).lower(): entry for key, entry in content.items()}
        name = next((lower[key] for key in NAME_KEYS if isinstance(lower.get(key), str) and lower[key].strip()), None)
        value = next((value for value in (_whole(lower.get(key)) for key in VALUE_KEYS) if value is not None), None)
        if name is not None and value is not None:
            yield name.strip(), value, next(filter(None, (_read_color(lower.get(key)) for key in COLOR_KEYS)), None)
        for entry in content.values():
            if isinstance(entry, (list, dict)):
                yield from _find_classes(entry, depth + 1)


def _whole(value: Any) -> int | None:
    """A class value, also as text; None for anything else, 0 and negative numbers included."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, (int, float)) and value == int(value) and 1 <= value <= 65_534:
        return int(value)
    return None


def _read_color(value: Any) -> Color | None:
    """A colour from ``#rrggbb``, three numbers, or an object with r, g and b (ArcGIS: a list named ``values``); None for others."""
    if isinstance(value, str):
        match = re.fullmatch(r"#?([0-9a-fA-F]{6})", value.strip())
        if match:
            return tuple(int(match.group(1)[place : place + 2], 16) for place in (0, 2, 4))
        parts = re.findall(r"\d+", value)
        value = [int(part) for part in parts] if len(parts) >= 3 else None
    if isinstance(value, dict):
        lower = {str(key).lower(): entry for key, entry in value.items()}
        value = lower.get("values") or [lower.get(key) for key in ("r", "g", "b")]
    if isinstance(value, list) and len(value) >= 3:
        parts = value[:3]
        if all(isinstance(part, (int, float)) and not isinstance(part, bool) and 0 <= part <= 255 for part in parts):
            return tuple(int(part) for part in parts)
    return None


def _unique(found: dict[int, LabelClass]) -> tuple[LabelClass, ...]:
    """The classes with each name once: the later of two gets its value behind it."""
    taken: set[str] = set()
    classes = []
    for value, entry in found.items():
        name = entry.name if entry.name.casefold() not in taken else f"{entry.name} ({value})"
        taken.add(name.casefold())
        classes.append(LabelClass(value, name, entry.color))
    return tuple(classes)
