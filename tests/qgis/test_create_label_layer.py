# SPDX-License-Identifier: GPL-2.0-or-later
"""An empty label layer by the public tool: from a text, from our schema, from files of ArcGIS Pro; and what is refused."""

import json

import pytest
from qgis.core import QgsProject, QgsVectorLayer, QgsWkbTypes
from qgis_helpers import CRS, Log, refusal, run, tree


def read(path):
    """The layer, and value → (name, colour) of its classes."""
    layer = QgsVectorLayer(str(path), "labels", "ogr")
    assert layer.isValid()
    return layer, {int(entry.value()): (entry.label(), entry.symbol().color().name()) for entry in layer.renderer().categories()}


def test_a_text_gives_an_empty_layer_with_fields_classes_and_colours(folder):
    outputs = run("createlabellayer", CLASSES="7=Wald=#006300; 1=Wasser=#0000ff", CRS=CRS, OUTPUT=folder / "Flächen.gpkg")
    layer, classes = read(outputs["OUTPUT"])
    assert classes == {7: ("Wald", "#006300"), 1: ("Wasser", "#0000ff")}
    assert layer.fields().names()[1:] == ["Classname", "Classvalue", "Classcode", "Imagery"]
    assert QgsWkbTypes.flatType(layer.wkbType()) == QgsWkbTypes.Type.MultiPolygon
    assert (layer.featureCount(), layer.crs().authid(), outputs["COUNT"]) == (0, CRS, 2)


def test_classes_without_colour_get_different_ones(folder):
    run("createlabellayer", CLASSES="1=a;2=b;3=c", CRS=CRS, OUTPUT=folder / "labels.gpkg")
    assert len({color for _, color in read(folder / "labels.gpkg")[1].values()}) == 3


def test_our_schema_keeps_order_codes_and_shortcuts(folder):
    from deep_learning_toolbox.algorithms.label_schema import SCHEMA_PROPERTY, LabelClass, LabelSchema

    schema = LabelSchema((LabelClass(5, "Field", (1, 2, 3), "F-5", "9"), LabelClass(2, "Road", (4, 5, 6))), "mine")
    schema.write(str(folder / "schema.json"))
    run("createlabellayer", SCHEMA=folder / "schema.json", CRS=CRS, OUTPUT=folder / "labels.gpkg")
    layer, classes = read(folder / "labels.gpkg")
    assert classes == {5: ("Field", "#010203"), 2: ("Road", "#040506")}
    assert LabelSchema.from_json(layer.customProperty(SCHEMA_PROPERTY), "the layer") == schema


ECS = {
    "Schema": {
        "Name": "NLCD2011",
        "Classes": [
            {"ClassName": "Water", "ClassValue": 10, "Color": {"type": "CIMRGBColor", "values": [0, 0, 255, 100]}},
            {
                "Name": "Planted", "Value": "20", "Color": [200, 150, 0],
                "SubClasses": [{"Name": "Crop", "Value": 21, "Color": "#00FF00"}],
            },
            {"Name": "No value"},
            {"Name": "Background", "Value": 0},
        ],
    },
    "Version": 3,
}  # fmt: skip


def test_a_schema_of_arcgis_is_read_as_far_as_it_tells_names_and_values(folder):
    (folder / "classes.ecs").write_text(json.dumps(ECS), encoding="utf-8-sig")
    run("createlabellayer", SCHEMA=folder / "classes.ecs", CRS=CRS, OUTPUT=folder / "labels.gpkg")
    assert read(folder / "labels.gpkg")[1] == {10: ("Water", "#0000ff"), 20: ("Planted", "#c89600"), 21: ("Crop", "#00ff00")}


@pytest.mark.parametrize("text", ["1", "one=Water", "1=", "1=a=blue", "0=Nothing", "1=a; 1=b", "1=a; 2=A", ";;"])
def test_texts_that_are_no_classes_are_refused_with_an_example_or_the_fault(folder, text):
    told = refusal("createlabellayer", CLASSES=text, CRS=CRS, OUTPUT=folder / "labels.gpkg")
    assert "1=Water=#0000ff" in told or "class value 0" in told or "Two classes have the" in told
    assert tree(folder) == []


def test_files_that_are_no_schema_are_refused(folder):
    for name, content in (("a.ecs", "no json"), ("b.ecs", "[1, 2]"), ("c.ecs", "[" * 100_000)):
        (folder / name).write_text(content)
        told = refusal("createlabellayer", SCHEMA=folder / name, CRS=CRS, OUTPUT=folder / "labels.gpkg")
        assert name in told and "choose" in told
    assert not (folder / "labels.gpkg").exists()


def test_either_a_file_or_a_text_must_be_given(folder):
    assert "SCHEMA" in refusal("createlabellayer", CRS=CRS, OUTPUT=folder / "labels.gpkg")
    both = refusal("createlabellayer", SCHEMA=folder / "x.json", CLASSES="1=a", CRS=CRS, OUTPUT=folder / "labels.gpkg")
    assert "not both" in both


def test_a_loaded_layer_is_a_label_layer_for_the_dock(folder):
    import processing
    from deep_learning_toolbox.ui.labelling.store import is_label_layer

    QgsProject.instance().clear()
    parameters = {"CLASSES": "1=a;2=b", "CRS": CRS, "OUTPUT": str(folder / "labels.gpkg")}
    processing.runAndLoadResults("deeplearning:createlabellayer", parameters, feedback=Log())
    layer = QgsProject.instance().mapLayersByName("Label layer")[0]
    assert is_label_layer(layer)
    assert len(layer.renderer().categories()) == 2
