# SPDX-License-Identifier: GPL-2.0-or-later
"""The class list of a label layer: values, names and colours."""

import pytest
from deep_learning_toolbox.algorithms.label_classes import LabelClasses, LabelFields, renderer_colors
from deep_learning_toolbox.backend.errors import ToolboxError
from qgis.core import NULL, QgsCategorizedSymbolRenderer, QgsFillSymbol, QgsGeometry, QgsPointXY, QgsRendererCategory
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import make_layer

INT, TEXT, REAL = QVariant.Type.Int, QVariant.Type.String, QVariant.Type.Double


def points(rows, *fields, name="labels"):
    """A point layer with these attributes."""
    geometry = QgsGeometry.fromPointXY(QgsPointXY(0, 0))
    return make_layer([(geometry, *row) for row in rows], fields, kind="Point", name=name)


def classes_of(layer, value_field="", name_field=""):
    fields = LabelFields.find(layer.fields(), value_field, name_field)
    return LabelClasses.read(layer.getFeatures(), fields, layer.name(), renderer_colors(layer, fields))


def values_and_names(classes):
    return [(entry["value"], entry["name"]) for entry in classes.entries]


def test_classes_are_the_distinct_values_in_ascending_order(plugin):
    classes = classes_of(points([[30], [2], [30], [1]], ("kind", INT)), "kind")
    assert values_and_names(classes) == [(1, "1"), (2, "2"), (30, "30")]


def test_texts_are_numbered_in_alphabetical_order_whatever_their_case(plugin):
    layer = points([["water"], ["Forest"], [" forest edge "], ["water"]], ("kind", TEXT))
    classes = classes_of(layer, "kind")
    assert values_and_names(classes) == [(1, "Forest"), (2, "forest edge"), (3, "water")]
    assert [classes.value_of(feature) for feature in layer.getFeatures()] == [3, 1, 2, 3]


def test_texts_that_are_all_whole_numbers_are_taken_as_numbers(plugin):
    classes = classes_of(points([["10"], ["2"]], ("kind", TEXT)), "kind")
    assert values_and_names(classes) == [(2, "2"), (10, "10")]


def test_whole_numbers_in_a_real_field_are_accepted(plugin):
    assert values_and_names(classes_of(points([[3.0], [1.0]], ("kind", REAL)), "kind")) == [(1, "1"), (3, "3")]


@pytest.mark.parametrize(
    ("fields", "used"),
    [
        ([("VALUE", INT), ("ClassValue", INT)], [2]),
        ([("VALUE", INT), ("other", INT)], [1]),
        ([("code", INT), ("other", INT)], [1]),
    ],
)
def test_without_a_named_field_classvalue_comes_before_value_before_a_single_class(plugin, fields, used):
    layer = points([[1, 2]], *fields)
    assert [entry["value"] for entry in classes_of(layer).entries] == used


def test_a_layer_without_class_field_is_one_class_named_after_it(plugin):
    layer = points([["a"], ["b"]], ("note", TEXT), name="Gebäude")
    classes = classes_of(layer)
    assert values_and_names(classes) == [(1, "Gebäude")]
    assert {classes.value_of(feature) for feature in layer.getFeatures()} == {1}


def test_names_come_from_the_named_field_else_from_classname(plugin):
    layer = points([[1, "Wasser", "Water"]], ("value", INT), ("Classname", TEXT), ("english", TEXT))
    assert values_and_names(classes_of(layer)) == [(1, "Wasser")]
    assert values_and_names(classes_of(layer, "", "english")) == [(1, "Water")]


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([[1], [-3]], INT, r"class value -3 is not allowed.*1 to 65,534"),
        ([[0]], INT, r"class value 0 is not allowed"),
        ([[65535]], INT, r"class value 65535 is not allowed"),
        ([[1.5]], REAL, r"class value 1\.5 is not a whole number"),
        ([[NULL]], INT, r"“kind” is empty everywhere"),
        ([["  "]], TEXT, r"“kind” is empty everywhere"),
        ([], INT, r"layer is empty"),
    ],
)
def test_values_that_cannot_be_classes_are_refused_by_name(plugin, rows, kind, message):
    with pytest.raises(ToolboxError, match=message):
        classes_of(points(rows, ("kind", kind)), "kind")


def test_the_largest_value_is_allowed(plugin):
    assert values_and_names(classes_of(points([[65534]], ("kind", INT)), "kind")) == [(65534, "65534")]


def test_a_field_that_is_not_there_is_refused_with_those_that_are(plugin):
    with pytest.raises(ToolboxError, match=r"CLASS_VALUE_FIELD “klass” is not a field of the labels; they have kind, note"):
        classes_of(points([], ("kind", INT), ("note", TEXT)), "klass")


def test_features_without_a_class_have_no_value(plugin):
    layer = points([[7], [NULL]], ("kind", INT))
    classes = classes_of(layer, "kind")
    assert [classes.value_of(feature) for feature in layer.getFeatures()] == [7, None]


def test_colours_come_from_the_categorised_renderer_before_the_colour_fields(plugin):
    layer = points([[1, 9, 9, 9], [2, 8, 8, 8]], ("value", INT), ("RED", INT), ("Green", INT), ("blue", INT))
    assert [entry["color"] for entry in classes_of(layer).entries] == [[9, 9, 9], [8, 8, 8]]
    symbol = QgsFillSymbol.createSimple({"color": "10,20,30"})
    layer.setRenderer(QgsCategorizedSymbolRenderer("value", [QgsRendererCategory(1, symbol, "one")]))
    assert [entry["color"] for entry in classes_of(layer).entries] == [[10, 20, 30], [8, 8, 8]]


def test_colours_of_a_renderer_by_another_field_are_not_used(plugin):
    layer = points([[1, 1]], ("value", INT), ("year", INT))
    symbol = QgsFillSymbol.createSimple({"color": "10,20,30"})
    layer.setRenderer(QgsCategorizedSymbolRenderer("year", [QgsRendererCategory(1, symbol, "one")]))
    assert [entry["color"] for entry in classes_of(layer).entries] == [None]


def test_colours_outside_0_to_255_are_not_used(plugin):
    layer = points([[1, -1, 0, 0]], ("value", INT), ("red", INT), ("green", INT), ("blue", INT))
    assert [entry["color"] for entry in classes_of(layer).entries] == [None]
