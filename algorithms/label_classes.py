# SPDX-License-Identifier: GPL-2.0-or-later
"""The class list of a label layer, and the class value of each of its features.

The list is made of all features of the layer, whatever is selected or lies within the raster, so that two exports of the same
layer agree. Values are taken from the named field, else from ``classvalue``, else from ``value`` (in any case of letters), else all
features are of one class 1. Texts that are not all whole numbers are numbered from 1 in alphabetical order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from qgis.core import QgsCategorizedSymbolRenderer, QgsFeature, QgsFields, QgsVectorLayer
from qgis.PyQt.QtCore import QVariant

from ..backend.errors import ToolboxError

LARGEST_VALUE = 65_534
VALUE_FIELDS = ("classvalue", "value")
NAME_FIELDS = ("classname",)
COLOR_FIELDS = ("red", "green", "blue")
SHOWN_NAMES = 5

Color = tuple[int, int, int]
Key = Optional[object]  # int or str; None for a feature without a class


@dataclass(frozen=True)
class LabelFields:
    """Which fields of a layer say what; None where there is none.

    Attributes:
        value: Field of the class value.
        name: Field of the class name.
        color: Fields of red, green and blue; all or none.
    """

    value: str | None
    name: str | None
    color: tuple[str, ...] = ()

    @classmethod
    def find(cls, fields: QgsFields, value_field: str, name_field: str) -> LabelFields:
        """The fields named by the user, else those with the usual names.

        Raises:
            ToolboxError: A named field is not there.
        """
        names = {name.lower(): name for name in reversed(fields.names())}
        for parameter, wanted in (("CLASS_VALUE_FIELD", value_field), ("CLASS_NAME_FIELD", name_field)):
            if wanted and wanted not in fields.names():
                raise ToolboxError(f"{parameter} “{wanted}” is not a field of the labels; they have {', '.join(fields.names())}.")
        colors = tuple(names[color] for color in COLOR_FIELDS if color in names)
        return cls(
            value_field or next((names[name] for name in VALUE_FIELDS if name in names), None),
            name_field or next((names[name] for name in NAME_FIELDS if name in names), None),
            colors if len(colors) == len(COLOR_FIELDS) else (),
        )

    @property
    def all(self) -> list[str]:
        """All fields that are read."""
        return [name for name in (self.value, self.name, *self.color) if name]


@dataclass
class LabelClasses:
    """The classes of a layer.

    Attributes:
        fields: Where they come from.
        entries: ``value``, ``name``, ``color`` (None where the layer gives none) of each class, ascending; plain JSON.
        codes: Class value by what stands in the field; empty when all features are of class 1.
        notes: Sentences on what the user should know of the classes.
    """

    fields: LabelFields
    entries: list[dict[str, Any]]
    codes: dict[object, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def single(cls, name: str) -> LabelClasses:
        """One class 1 for features whose class does not matter."""
        return cls(LabelFields(None, None), [{"value": 1, "name": name, "color": None}])

    @classmethod
    def read(
        cls,
        features: Iterable[QgsFeature],
        fields: LabelFields,
        title: str,
        style: dict[str, Color],
        known: dict[str, int] | None = None,
    ) -> LabelClasses:
        """Makes the class list.

        Args:
            features: All features of the layer.
            fields: From `LabelFields.find`.
            title: Name of the single class of a layer without class field.
            style: Colours by class, from `renderer_colors`.
            known: Class values by name that texts keep, of an export that is added to.

        Raises:
            ToolboxError: There are no features, none has a class, or a value is not allowed.
        """
        first: dict[object, QgsFeature] = {}
        names_of: dict[object, dict[str, None]] = {}  # in the order in which they are found
        any_feature = False
        for feature in features:
            any_feature = True
            key = _key(feature[fields.value]) if fields.value else 1
            if key is not None:
                first.setdefault(key, QgsFeature(feature))
                name = text_of(feature[fields.name]) if fields.name else ""
                names_of.setdefault(key, {}).update({name: None} if name else {})
        if not any_feature:
            raise ToolboxError("The label layer is empty; draw labels first, or choose another layer.")
        if not first:
            raise ToolboxError(f"No feature of the labels has a class: the field “{fields.value}” is empty everywhere; fill it.")
        names = {key: next(iter(found), "") or (str(key) if fields.value else title) for key, found in names_of.items()}
        codes = _codes(names, known or {}) if fields.value else {1: 1}
        entries = {}
        for key, value in sorted(codes.items(), key=lambda item: item[1]):
            name = names[key]
            color = style.get(str(key)) or style.get(name) or _field_color(first[key], fields.color)
            entries.setdefault(value, {"value": value, "name": name, "color": list(color) if color else None})
        return cls(fields, list(entries.values()), codes if fields.value else {}, _tell_names(names_of, fields))

    def value_of(self, feature: QgsFeature) -> int | None:
        """Class value of a feature; None when it has none."""
        if not self.fields.value:
            return 1
        key = _key(feature[self.fields.value])
        return None if key is None else self.codes[key]


def renderer_colors(layer: QgsVectorLayer | None, fields: LabelFields) -> dict[str, Color]:
    """Colours by class value or name as text, from a layer categorised by one of the class fields; else nothing.

    Call it in the thread of the layer.
    """
    renderer = layer.renderer() if layer is not None else None
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return {}
    if renderer.classAttribute().strip('"') not in (fields.value, fields.name):
        return {}
    colors = {}
    for category in renderer.categories():
        values = category.value() if isinstance(category.value(), (list, tuple)) else [category.value()]
        for value in values:
            key = _key(value)
            if key is not None and category.symbol() is not None:
                color = category.symbol().color()
                colors[str(key)] = (color.red(), color.green(), color.blue())
    return colors


def _tell_names(names_of: dict[object, dict[str, None]], fields: LabelFields) -> list[str]:
    """A sentence for each class that has several names."""
    told = []
    for key, found in names_of.items():
        if len(found) > 1:
            first, *others = found
            listed = ", ".join(f"“{name}”" for name in others[:SHOWN_NAMES]) + (", …" if len(others) > SHOWN_NAMES else "")
            told.append(
                f"Features of class {key} (“{fields.value}”) have several names in “{fields.name}”: "
                f"it is called “{first}”, not {listed}."
            )
    return told


def _key(value: Any) -> Key:
    """A field's content as whole number or trimmed text; None for NULL, NaN and blank texts.

    Raises:
        ToolboxError: A number that is not whole.
    """
    if value is None or (isinstance(value, QVariant) and value.isNull()):
        return None
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if not value.is_integer():
            raise ToolboxError(
                f"The class value {value} is not a whole number; choose a field with whole numbers or texts as CLASS_VALUE_FIELD."
            )
        return int(value)
    return text_of(value) or None


def _codes(names: dict[object, str], known: dict[str, int]) -> dict[object, int]:
    """Class value of each key: the number itself; for texts the known value of its name, else the next numbers in alphabetical order.

    Args:
        names: Name of the class by what stands in the value field.
        known: Class values by name of an export that is added to.

    Raises:
        ToolboxError: A number out of range, or more classes than there are class values.
    """
    try:
        codes = {key: int(str(key)) for key in names}
    except ValueError:
        codes, largest = {}, max(known.values(), default=0)
        for key in sorted(names, key=lambda key: (str(key).casefold(), str(key))):
            # Of two classes with one name, an export calls the second “name (value)”.
            same = sorted(value for name, value in known.items() if name in (names[key], f"{names[key]} ({value})"))
            codes[key] = next((value for value in same if value not in codes.values()), largest + 1)
            largest = max(largest, codes[key])
        if max(codes.values()) > LARGEST_VALUE:
            raise ToolboxError(
                f"The labels have {len(codes):,} different classes, more than the {LARGEST_VALUE:,} that there may be; "
                "choose another CLASS_VALUE_FIELD."
            ) from None
        return codes
    for value in codes.values():
        if not 1 <= value <= LARGEST_VALUE:
            raise ToolboxError(
                f"The class value {value} is not allowed: class values are whole numbers from 1 to {LARGEST_VALUE:,} "
                "(0 means unlabelled); change it in the labels, or choose another CLASS_VALUE_FIELD."
            )
    return codes


def text_of(value: Any) -> str:
    """A field's content as trimmed text; empty for NULL."""
    return "" if value is None or (isinstance(value, QVariant) and value.isNull()) else str(value).strip()


def _field_color(feature: QgsFeature, fields: tuple[str, ...]) -> Color | None:
    """The colour in a feature's colour fields; None without such fields, or when one is not a whole number from 0 to 255."""
    if not fields:
        return None
    try:
        red, green, blue = (int(text_of(feature[name])) for name in fields)
    except ValueError:
        return None
    return (red, green, blue) if all(0 <= part <= 255 for part in (red, green, blue)) else None
