# SPDX-License-Identifier: GPL-2.0-or-later
"""Class schemas taken from layers, and put into a label layer's style, in which they travel with its file."""

from __future__ import annotations

from qgis.core import QgsCategorizedSymbolRenderer, QgsFeatureRequest, QgsMapLayer, QgsRasterLayer, QgsVectorLayer

from ...algorithms.label_classes import LabelClasses, LabelFields, renderer_colors
from ...algorithms.label_layer import label_renderer
from ...algorithms.label_schema import SCHEMA_PROPERTY, LabelSchema
from ...algorithms.raster_legend import read_legend
from ...backend.errors import ToolboxError
from ...backend.labels.schema import LARGEST_VALUE, ClassDefinition, ClassSchema
from .image_view import is_outlined, set_outlined

STYLE_NAMES = ("labels", "labels (new)", "labels (newer)")  # one is free whenever a style is written


def schema_of_layer(layer: QgsVectorLayer) -> LabelSchema:
    """The schema that a label layer carries, with the classes of its style and of its labels that it lacks.

    Raises:
        ToolboxError: A class value is not allowed.
    """
    text = layer.customProperty(SCHEMA_PROPERTY)
    schema = LabelSchema.from_json(str(text), f"the style of “{layer.name()}”") if text else LabelSchema()
    return schema.with_missing(_styled_classes(layer)).with_missing(classes_of_vector(layer)[0])


def classes_of_layer(layer: QgsMapLayer) -> list[ClassDefinition]:
    """The classes of a label layer, of a layer's style, or of a classified raster; raises ToolboxError when there are none."""
    if isinstance(layer, QgsRasterLayer):
        legend = [entry for entry in read_legend(layer) if 1 <= entry["value"] <= LARGEST_VALUE]
        found = list(ClassSchema.from_dicts(legend).with_unique_names()[0].classes)
    else:
        found = list(schema_of_layer(layer).definitions())
    if not found:
        raise ToolboxError(f"“{layer.name()}” has no classes: neither its style nor its contents tell any; choose another layer.")
    return found


def classes_of_vector(layer: QgsVectorLayer) -> tuple[list[ClassDefinition], dict[str, int]]:
    """The classes of a layer's features, in ascending order, and the class values of texts that are no numbers.

    Both are empty when no feature has a class. Raises ToolboxError.
    """
    renderer = layer.renderer()
    fields = LabelFields.find(layer.fields(), "", "")
    if fields.value is None and isinstance(renderer, QgsCategorizedSymbolRenderer):
        attribute = renderer.classAttribute().strip('"')
        fields = LabelFields.find(layer.fields(), attribute if attribute in layer.fields().names() else "", "")
    request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
    request.setSubsetOfAttributes(fields.all, layer.fields())
    features = [feature for feature in layer.getFeatures(request) if not fields.value or feature[fields.value] is not None]
    if not features:
        return [], {}
    classes = LabelClasses.read(features, fields, layer.name(), renderer_colors(layer, fields))
    return list(ClassSchema.from_dicts(classes.entries).with_unique_names()[0].classes), _text_codes(classes)


def _text_codes(classes: LabelClasses) -> dict[str, int]:
    """The class values of texts that are no numbers; empty when the field holds numbers."""
    codes = {str(key): code for key, code in classes.codes.items()}
    return codes if any(text != str(code) for text, code in codes.items()) else {}


def apply_schema(layer: QgsVectorLayer, schema: LabelSchema) -> None:
    """Shows the layer by these classes and lets its style carry the schema."""
    layer.setCustomProperty(SCHEMA_PROPERTY, schema.to_json())
    outlined = is_outlined(layer)
    layer.setRenderer(label_renderer(schema.definitions()))
    if outlined:
        set_outlined(layer, True)
    layer.emitStyleChanged()
    layer.triggerRepaint()


def store_style(layer: QgsVectorLayer) -> None:
    """Writes the style into the layer's GeoPackage as its default; raises ToolboxError when that fails."""
    count, ids, names, _texts, error = layer.listStylesInDatabase()
    known = list(zip(ids[:count], names[:count])) if count > 0 else []  # those of this layer come first
    # The new style is there before the old one goes. It has another name: QGIS 3.22 would ask in a window before it replaces one.
    name = next(one for one in STYLE_NAMES if one not in [taken for _, taken in known])
    failure = layer.saveStyleToDatabase(name, "", True, "")
    if failure or (error and count < 0):
        raise ToolboxError(f"The classes cannot be kept in the file of “{layer.name()}” ({failure or error}); save again later.")
    for identity, taken in known:
        if taken in STYLE_NAMES:
            layer.deleteStyleFromDatabase(identity)
    if not layer.isEditable():
        # The last connection that writes takes SQLite's side files along, without which open connections that read find no features.
        layer.dataProvider().reloadData()


def _styled_classes(layer: QgsVectorLayer) -> list[ClassDefinition]:
    """The classes of a style that is categorised by class value."""
    renderer = layer.renderer()
    fields = LabelFields.find(layer.fields(), "", "")
    if not isinstance(renderer, QgsCategorizedSymbolRenderer) or renderer.classAttribute().strip('"') != fields.value:
        return []
    entries = []
    for category in renderer.categories():
        value = str(category.value())
        if value.isdecimal() and 1 <= int(value) <= LARGEST_VALUE and category.symbol() is not None:
            color = category.symbol().color()
            entries.append({"value": int(value), "name": category.label(), "color": [color.red(), color.green(), color.blue()]})
    unique = {entry["value"]: entry for entry in reversed(entries)}
    return list(ClassSchema.from_dicts(unique.values()).with_unique_names()[0].classes)
