# SPDX-License-Identifier: GPL-2.0-or-later
"""Class schemas: their file form, what is refused, and where classes can be taken from."""

import json

import numpy as np
import pytest
from deep_learning_toolbox.algorithms.label_schema import LabelClass, LabelSchema
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.labels.schema import ClassDefinition
from qgis.core import QgsRasterLayer
from qgis_helpers import make_labels, write_raster

WATER = LabelClass(1, "Wässer", (0, 0, 255), "W", "3")
FOREST = LabelClass(40_000, "Forest", (0, 99, 0))


def test_file_brings_back_order_codes_and_keys(tmp_path):
    schema = LabelSchema((FOREST, WATER), "Land cover")
    schema.write(str(tmp_path / "schema.json"))
    assert LabelSchema.read(str(tmp_path / "schema.json")) == schema
    assert [path.name for path in tmp_path.iterdir()] == ["schema.json"]


@pytest.mark.parametrize(
    ("classes", "fault"),
    [
        ((WATER, LabelClass(1, "Other", (1, 2, 3))), "the value “1”"),
        ((WATER, LabelClass(2, "WÄSSER", (1, 2, 3))), "the name “wässer”"),
        ((WATER, LabelClass(2, "Other", (1, 2, 3), "", "3")), "the shortcut “3”"),
    ],
)
def test_what_occurs_twice_is_named(classes, fault):
    with pytest.raises(ToolboxError, match=fault):
        LabelSchema(classes)


@pytest.mark.parametrize("value", [0, -1, 65_535])
def test_values_out_of_range_are_refused(value):
    with pytest.raises(ToolboxError, match=str(value)):
        LabelClass(value, "x", (0, 0, 0))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("no json", "no class schema"),
        ("[]", "no class schema of this toolbox"),
        ('{"type": "label schema", "version": 2, "classes": []}', "version 2; update"),
        ('{"type": "label schema", "version": 1, "classes": [7]}', "no class with a value"),
        ('{"type": "label schema", "version": 1, "classes": [{"value": 1.5, "color": [0, 0, 0]}]}', "1.5 is not allowed"),
        ('{"type": "label schema", "version": 1, "classes": [{"value": 1, "color": [0, 0, 300]}]}', "300"),
        ('{"type": "label schema", "version": 1, "classes": [{"value": 1e999, "color": [0, 0, 0]}]}', "inf is not allowed"),
    ],
)
def test_hostile_files_are_refused_with_the_reason(tmp_path, content, fault):
    (tmp_path / "schema.json").write_text(content, encoding="utf-8")
    with pytest.raises(ToolboxError, match=fault):
        LabelSchema.read(str(tmp_path / "schema.json"))


def test_new_classes_take_the_first_free_value_name_and_key():
    schema = LabelSchema((LabelClass(1, "Class 2", (0, 0, 0), "", "1"),))
    entry = schema.next_class("Class")
    assert (entry.value, entry.name, entry.shortcut) == (2, "Class 3", "2")
    for _ in range(12):
        schema = schema.with_class(schema.next_class("Class"))
    assert [entry.shortcut for entry in schema.classes][-4:] == ["0", "", "", ""]


def test_missing_classes_are_added_and_known_ones_kept():
    schema = LabelSchema((WATER,)).with_missing([ClassDefinition(1, "other", (1, 1, 1)), ClassDefinition(2, "wässer", (2, 2, 2))])
    assert [(entry.value, entry.name) for entry in schema.classes] == [(1, "Wässer"), (2, "wässer (2)")]


def test_json_is_documented_form():
    content = json.loads(LabelSchema((WATER,), "n").to_json())
    assert content == {
        "type": "label schema",
        "version": 1,
        "name": "n",
        "classes": [{"name": "Wässer", "value": 1, "color": [0, 0, 255], "code": "W", "shortcut": "3"}],
    }


def test_classes_come_from_label_layers_and_class_rasters(plugin, folder):
    from deep_learning_toolbox.backend.inference.sidecars import LegendEntry, build_style
    from deep_learning_toolbox.ui.labelling.schema_source import classes_of_layer

    assert [(entry.value, entry.name) for entry in classes_of_layer(make_labels())] == [(1, "Water"), (4, "Forest")]
    path = write_raster(folder / "map.tif", np.array([[[1, 4], [0, 1]]], np.uint8))
    legend = [LegendEntry(0, "Background", (0, 0, 0)), LegendEntry(1, "Water", (0, 0, 255)), LegendEntry(4, "Forest", (0, 99, 0))]
    path.with_suffix(".qml").write_bytes(build_style(legend))
    found = classes_of_layer(QgsRasterLayer(str(path), "map"))
    assert [(entry.value, entry.name, entry.color) for entry in found] == [(1, "Water", (0, 0, 255)), (4, "Forest", (0, 99, 0))]


def test_layer_without_classes_says_so(plugin, scene):
    from deep_learning_toolbox.ui.labelling.schema_source import classes_of_layer

    with pytest.raises(ToolboxError, match="has no classes"):
        classes_of_layer(QgsRasterLayer(str(scene), "scene"))
