# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes reference points or polygons, whatever their provider, into the one form in which the worker assesses a map.

That is a GeoPackage with the layer ``labels``: coordinates of the raster, fields ``value`` (a code), ``name``, ``stratum`` and
``stratum_pixels`` (what "Create accuracy assessment points" noted; −1 and a blank where nothing is known). The classes themselves
go into the request: a class given as a number keeps it, a class given as a text is matched with the map's names by the worker.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsProcessingFeatureSource,
    QgsVectorFileWriter,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QVariant

from ..backend.errors import ToolboxError
from .label_classes import LARGEST_VALUE, LabelClasses, LabelFields
from .label_source import LAYER, LabelSource, LabelWriter

# In the order of preference; ArcGIS's accuracy assessment points first.
REFERENCE_FIELDS = ("grndtruth", "classvalue", "value", "classname")
SHOWN_NAMES = 5
NAME_FIELD, STRATUM_FIELD, SIZE_FIELD = "classname", "classified", "stratumpix"


@dataclass(frozen=True)
class ReferenceFields:
    """Which fields of a reference layer say what; empty where there is none.

    Attributes:
        value: True class: a number, or a name.
        name: Name of the true class.
        stratum: Class of the map from which a point was drawn.
        size: Pixels of that class.
    """

    value: str
    name: str
    stratum: str
    size: str

    @classmethod
    def find(cls, fields: QgsFields, value_field: str) -> ReferenceFields:
        """The field named by the user, else those with the usual names, in any case of letters.

        Raises:
            ToolboxError: The named field is not there.
        """
        names = {name.lower(): name for name in reversed(fields.names())}
        if value_field and value_field not in fields.names():
            raise ToolboxError(
                f"CLASS_VALUE_FIELD “{value_field}” is not a field of the reference; it has {', '.join(fields.names())}."
            )
        value = value_field or next((names[name] for name in REFERENCE_FIELDS if name in names), "")
        return cls(value, names.get(NAME_FIELD, ""), names.get(STRATUM_FIELD, ""), names.get(SIZE_FIELD, ""))

    @property
    def all(self) -> list[str]:
        """All fields that are read."""
        return [name for name in (self.value, self.name, self.stratum, self.size) if name]


@dataclass
class ReferenceClasses:
    """The classes of a reference, numbered as they turn up.

    Attributes:
        entries: ``code``, ``value`` (None for a text) and ``name`` of each class; plain JSON.
        without_class: Features without an answer so far.
        unanswered_strata: Strata of points without an answer, and their pixels: the worker, which gets the others, must know of them.
        off_map: Polygons and lines that do not meet the map.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    without_class: int = 0
    unanswered_strata: set[tuple[int, int]] = field(default_factory=set)
    off_map: int = 0
    _codes: dict[object, int] = field(default_factory=dict)
    _other_names: dict[int, dict[str, str]] = field(default_factory=dict)  # code → further names, as they are written

    def code_of(self, content: Any, name: str) -> int | None:
        """Code of a feature's class; None, and counted, when it has none (empty, or negative as in ArcGIS).

        Args:
            content: What stands in the field of the class.
            name: What stands in the field of its name.

        Raises:
            ToolboxError: A number that is not whole or too large.
        """
        found = _read_class(content)
        if found is None:
            self.without_class += 1
            return None
        key = found if isinstance(found, int) else found.casefold()
        if key not in self._codes:
            code = self._codes[key] = len(self.entries) + 1
            if code > LARGEST_VALUE:
                raise ToolboxError(f"The reference has more than {LARGEST_VALUE:,} classes; choose another CLASS_VALUE_FIELD.")
            number = key if isinstance(key, int) else None
            self.entries.append({"code": code, "value": number, "name": name or str(found)})
        code = self._codes[key]
        if name and name.casefold() != self.entries[code - 1]["name"].casefold() and isinstance(key, int):
            self._other_names.setdefault(code, {}).setdefault(name.casefold(), name)
        return code

    def notes(self) -> list[str]:
        """Sentences on what the user should know."""
        told = []
        for code, others in self._other_names.items():
            entry = self.entries[code - 1]
            if entry["name"] != str(entry["value"]):
                listed = ", ".join(f"“{name}”" for name in list(others.values())[:SHOWN_NAMES])
                told.append(
                    f"The value {entry['value']} has several names in the reference: “{entry['name']}” is taken, not {listed}."
                )
        if self.off_map:
            told.append(f"{self.off_map} features of the reference lie off the map and are left out.")
        return told


class ReferenceWriter(LabelWriter):
    """Writes a reference in the coordinates of the map; see `LabelWriter`, whose buffer radius is 0 here."""

    def write_reference(self, source: QgsProcessingFeatureSource, fields: ReferenceFields, path: Path) -> ReferenceClasses:
        """Writes the GeoPackage and returns the classes.

        Points outside of the map are written, too: the worker counts them.

        Raises:
            ToolboxError: No feature is selected, a class is not allowed, or the file cannot be written.
        """
        if source.featureCount() == 0:
            raise ToolboxError("The reference layer is empty or nothing of it is selected; choose another one.")
        classes = ReferenceClasses()
        attributes = QgsFields()
        # The unscoped names are the only ones that Qt 5 and QGIS's bridge to Qt 6 share; a text holds numbers of any length.
        for name, kind in (
            ("value", QVariant.Int),
            ("name", QVariant.String),
            ("stratum", QVariant.Int),
            ("stratum_pixels", QVariant.String),
        ):
            attributes.append(QgsField(name, kind))
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GPKG"
        options.layerName = LAYER
        writer = QgsVectorFileWriter.create(
            str(path), attributes, QgsWkbTypes.Type.Unknown, self.raster.crs, self.context, options
        )
        if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
            raise ToolboxError(f"The reference cannot be written to {path}: {writer.errorMessage()}.")
        written = 0
        for values, geometry in self._reference(source, fields, classes):
            feature = QgsFeature(attributes)
            feature.setAttributes(values)
            feature.setGeometry(geometry)
            if not writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
                raise ToolboxError(f"The reference cannot be written to {path}: {writer.errorMessage()}.")
            written += 1
        del writer  # closes the file
        if not written:
            raise ToolboxError(
                f"No feature of the reference can be used: {classes.without_class} have no class in the field “{fields.value}”, the "
                f"others do not meet the map “{self.raster.name}”; check the field, and both places and coordinate systems."
            )
        return classes

    def _reference(
        self, source: QgsProcessingFeatureSource, fields: ReferenceFields, classes: ReferenceClasses
    ) -> Iterator[tuple[list[Any], QgsGeometry]]:
        """Attributes and geometry, in the raster's coordinates, of each part that counts, by feature id."""
        transform = self._transform(source, "reference")
        is_point = QgsWkbTypes.geometryType(source.wkbType()) == QgsWkbTypes.GeometryType.PointGeometry
        request = QgsFeatureRequest().setSubsetOfAttributes(fields.all, source.fields())
        request.addOrderBy("$id")
        without_place = 0
        for feature in source.getFeatures(request, QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks):
            self.check_cancelled()
            name = _text(feature[fields.name]) if fields.name else ""
            code = classes.code_of(feature[fields.value] if fields.value else 1, name)
            if code is None:
                stratum, pixels = _read_stratum(feature, fields)
                if stratum >= 0 and pixels:
                    classes.unanswered_strata.add((stratum, int(pixels)))
                continue
            geometry = self._project(feature.geometry(), transform)
            if geometry is None:
                without_place += 1
                continue
            if not is_point and not geometry.boundingBox().intersects(self.raster.extent):
                classes.off_map += 1
                continue
            values = [code, name, *_read_stratum(feature, fields)]
            for part in geometry.asGeometryCollection() if is_point else [geometry]:
                yield values, self._place(part)
        if without_place:
            self.feedback.pushWarning(f"{without_place} features of the reference without a usable geometry are left out.")


def write_mask(writer: LabelWriter, mask: QgsProcessingFeatureSource, path: Path) -> None:
    """Writes the polygons of a mask as labels of one class; raises ToolboxError when none meets the raster."""
    fields = LabelFields(None, None)
    try:
        writer.write(LabelSource(mask, None, fields, {}), LabelClasses(fields, [{"value": 1, "name": "mask", "color": None}]), path)
    except ToolboxError as failure:
        raise ToolboxError(f"MASK cannot be used. {failure}") from failure


def _read_class(content: Any) -> int | str | None:
    """A field's content as class value or name; None for NULL, blanks and negative numbers.

    Raises:
        ToolboxError: A number that is not whole, or too large.
    """
    if content is None or (isinstance(content, QVariant) and content.isNull()):
        return None
    if isinstance(content, float) and math.isnan(content):
        return None
    number: Any = content
    if not isinstance(content, (int, float)):
        text = _text(content)
        try:
            number = float(text.replace(",", "."))
        except ValueError:
            return text or None
        if not math.isfinite(number):  # float() reads words such as "nan", which here are names
            return text
    if number < 0:
        return None
    if number != int(number) or number > LARGEST_VALUE:
        raise ToolboxError(
            f"The reference holds the class value {number}; class values are whole numbers up to {LARGEST_VALUE:,}: choose a field "
            "with such numbers, or with names, as CLASS_VALUE_FIELD."
        )
    return int(number)


def _read_stratum(feature: QgsFeature, fields: ReferenceFields) -> tuple[int, str]:
    """Stratum of a point and its number of pixels; −1 and a blank where the layer does not tell."""
    try:
        stratum = int(_text(feature[fields.stratum])) if fields.stratum else -1
        pixels = str(int(_text(feature[fields.size]))) if fields.size else ""
    except ValueError:
        return -1, ""
    return (stratum, pixels) if 0 <= stratum <= LARGEST_VALUE else (-1, "")


def _text(value: Any) -> str:
    """A field's content as trimmed text; empty for NULL."""
    return "" if value is None or (isinstance(value, QVariant) and value.isNull()) else str(value).strip()
