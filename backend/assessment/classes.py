# SPDX-License-Identifier: GPL-2.0-or-later
"""The classes that a map and its reference have between them: values, names, colours, and where the two do not agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ToolboxError
from ..imagery.raster import open_raster
from ..labels.classified import name_classes
from ..labels.schema import LARGEST_VALUE, PALETTE

BACKGROUND_NAME, BACKGROUND_COLOR = "Background", (225, 225, 225)


@dataclass(frozen=True)
class ShownClass:
    """A class or the background: value, name, colour (red, green, blue; 0 to 255)."""

    value: int
    name: str
    color: tuple[int, int, int]


def read_legend(source: str, values: Iterable[int]) -> dict[int, ShownClass]:
    """Names and colours of some values, as far as a raster and its sidecar tell them; the value and the palette where they do not."""
    wanted = sorted(set(values))
    legend = {0: ShownClass(0, BACKGROUND_NAME, BACKGROUND_COLOR)} if 0 in wanted else {}
    classes = [value for value in wanted if value > 0]
    if classes:
        with open_raster(source) as dataset:
            found = name_classes(dataset, source, classes).classes
        legend |= {entry.value: ShownClass(entry.value, entry.name, entry.color) for entry in found}
    return legend


@dataclass(frozen=True)
class ReferenceClasses:
    """The classes of a reference.

    Attributes:
        values: Class value by the code that stands in the file with the reference.
        names: Name by class value.
        warnings: Sentences on what does not fit the map.
    """

    values: Mapping[int, int]
    names: Mapping[int, str]
    warnings: tuple[str, ...]


def match_classes(entries: Iterable[Mapping[str, Any]], legend: Mapping[int, ShownClass]) -> ReferenceClasses:
    """Finds the class values of a reference and compares its names with the map's.

    A class with a value keeps it. One with a name only takes the value of the map's class of that name, in any case of letters; a
    name that the map lacks gets a new value above all others.

    Args:
        entries: ``code``, ``value`` (None where only a name is known) and ``name`` of each class.
        legend: The classes of the map.

    Raises:
        ToolboxError: There are more classes than class values.
    """
    by_name = {entry.name.casefold(): value for value, entry in legend.items()}
    by_name |= {str(value): value for value in legend}
    rows = [(int(entry["code"]), entry["value"], str(entry["name"]).strip()) for entry in entries]
    highest = max([0, *legend, *(value for _, value, _ in rows if value is not None)])
    values: dict[int, int] = {}
    names: dict[int, str] = {}
    unknown: dict[str, int] = {}
    for code, value, name in rows:
        found = by_name.get(name.casefold()) if value is None else int(value)
        if found is None:
            highest += 1
            found = unknown[name] = highest
        values[code] = found
        names.setdefault(found, name or str(found))
    if highest > LARGEST_VALUE:
        raise ToolboxError(f"The reference has classes beyond the value {LARGEST_VALUE:,}; choose another CLASS_VALUE_FIELD.")
    warnings = [
        f"The reference's class “{name}” is not on the map, which has {_listed(legend)}; it counts as a class of its own "
        f"({value}). Correct its name if one of these is meant."
        for name, value in unknown.items()
    ]
    return ReferenceClasses(values, names, (*warnings, *_compare_names(names, legend)))


def _compare_names(names: Mapping[int, str], legend: Mapping[int, ShownClass]) -> list[str]:
    """Sentences on values that bear different names in the reference and in the map."""
    texts = []
    for value, name in sorted(names.items()):
        if value not in legend or name.casefold() == legend[value].name.casefold() or str(value) in (name, legend[value].name):
            continue
        texts.append(
            f"The value {value} is “{legend[value].name}” on the map and “{name}” in the reference; both are taken for one class. "
            "Check CLASS_VALUE_FIELD if they are not."
        )
    return texts


def merge_classes(legend: Mapping[int, ShownClass], names: Mapping[int, str]) -> tuple[ShownClass, ...]:
    """The classes of map and reference together, by ascending value; those that the map lacks get names of the reference."""
    merged = []
    for place, value in enumerate(sorted({*legend, *names})):
        merged.append(legend.get(value) or ShownClass(value, names[value] or str(value), PALETTE[place % len(PALETTE)]))
    return tuple(merged)


def _listed(legend: Mapping[int, ShownClass]) -> str:
    return ", ".join(f"{value} {entry.name}" for value, entry in sorted(legend.items())[:20])
