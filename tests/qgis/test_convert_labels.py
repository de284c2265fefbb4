# SPDX-License-Identifier: GPL-2.0-or-later
"""Existing features as labels, by the public tool: classes, colours, geometries, and what is left as it was."""

import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRendererCategory,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import CRS, Log, make_labels, make_layer, refusal, run, square, tree

INT, TEXT = QVariant.Type.Int, QVariant.Type.String


def read(path):
    """The label layer with the style that it carries, and the attributes of its features."""
    layer = QgsVectorLayer(str(path), "labels", "ogr")
    assert layer.isValid()
    return layer, [feature.attributes()[1:] for feature in layer.getFeatures()]


def colors(layer):
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.renderer().classAttribute() == "Classvalue"
    # QGIS before 3.24 reads values of a style as text.
    return {int(entry.value()): (entry.label(), entry.symbol().color().name()) for entry in layer.renderer().categories()}


def test_labels_of_arcgis_keep_classes_and_get_the_fields_of_a_label_layer(folder):
    outputs = run("convertlabels", INPUT=make_labels(), OUTPUT=folder / "Flächen neu.gpkg")
    layer, rows = read(outputs["OUTPUT"])
    assert layer.fields().names()[1:] == ["Classname", "Classvalue", "Classcode", "Imagery"]
    assert QgsWkbTypes.flatType(layer.wkbType()) == QgsWkbTypes.Type.MultiPolygon
    assert layer.crs().authid() == CRS
    assert [row[:3] for row in rows] == [["Water", 1, "1"]] * 4 + [["Forest", 4, "4"]] * 4
    assert (outputs["LABELS"], outputs["CLASSES"]) == (8, 2)
    assert {value: name for value, (name, _) in colors(layer).items()} == {1: "Water", 4: "Forest"}


def test_geometries_are_those_of_the_features(folder):
    source = make_labels()
    run("convertlabels", INPUT=source, OUTPUT=folder / "labels.gpkg")
    layer, _ = read(folder / "labels.gpkg")
    pairs = zip(layer.getFeatures(), source.getFeatures())
    assert all(one.geometry().isGeosEqual(other.geometry()) for one, other in pairs)


def test_texts_are_numbered_in_alphabetical_order(folder):
    source = make_layer([(square(0, 0), "wood"), (square(20, 0), "lake"), (square(40, 0), "wood")], [("kind", TEXT)])
    run("convertlabels", INPUT=source, CLASS_VALUE_FIELD="kind", OUTPUT=folder / "labels.gpkg")
    assert [row[:2] for row in read(folder / "labels.gpkg")[1]] == [["wood", 2], ["lake", 1], ["wood", 2]]


def test_colours_come_from_the_style_or_from_colour_fields(folder):
    source = make_labels()
    symbol = QgsFillSymbol.createSimple({"color": "10,20,30"})
    source.setRenderer(QgsCategorizedSymbolRenderer("Classvalue", [QgsRendererCategory(4, symbol, "")]))
    run("convertlabels", INPUT=source, OUTPUT=folder / "styled.gpkg")
    assert colors(read(folder / "styled.gpkg")[0])[4] == ("Forest", "#0a141e")
    fields = [("Classvalue", INT), ("RED", INT), ("GREEN", INT), ("BLUE", INT)]
    run("convertlabels", INPUT=make_layer([(square(0, 0), 3, 255, 0, 16)], fields), OUTPUT=folder / "fields.gpkg")
    assert colors(read(folder / "fields.gpkg")[0]) == {3: ("3", "#ff0010")}


def test_code_and_imagery_are_kept(folder):
    source = make_layer([(square(0, 0), 2, "W-2", "scene.tif")], [("Classvalue", INT), ("CLASSCODE", TEXT), ("Imagery", TEXT)])
    run("convertlabels", INPUT=source, OUTPUT=folder / "labels.gpkg")
    assert read(folder / "labels.gpkg")[1] == [["2", 2, "W-2", "scene.tif"]]


@pytest.mark.parametrize(
    ("kind", "wkt"), [("Point", "POINT(600100 3999900)"), ("LineString", "LINESTRING(600100 3999900,600200 3999900)")]
)
def test_points_and_lines_become_areas_by_their_buffer_and_are_refused_without(folder, kind, wkt):
    source = make_layer([(QgsGeometry.fromWkt(wkt), 1)], [("Classvalue", INT)], kind=kind)
    assert "BUFFER greater than 0" in refusal("convertlabels", INPUT=source, OUTPUT=folder / "labels.gpkg")
    run("convertlabels", INPUT=source, BUFFER=30, OUTPUT=folder / "labels.gpkg")
    area = next(read(folder / "labels.gpkg")[0].getFeatures()).geometry().area()
    assert area == pytest.approx({"Point": 2827, "LineString": 8827}[kind], rel=0.02)


def test_crossing_outlines_are_repaired_and_features_without_class_or_area_counted(folder):
    bow = QgsGeometry.fromWkt("POLYGON((600000 3999000,600100 3999100,600100 3999000,600000 3999100,600000 3999000))")
    flat = QgsGeometry.fromWkt("POLYGON((600000 3999000,600100 3999000,600000 3999000))")
    source = make_layer([(bow, 1), (flat, 1), (QgsGeometry(), 1), (square(0, 0), None)], [("Classvalue", INT)])
    log = Log()
    outputs = run("convertlabels", log, INPUT=source, OUTPUT=folder / "labels.gpkg")
    layer, _ = read(outputs["OUTPUT"])
    assert [round(feature.geometry().area()) for feature in layer.getFeatures()] == [5000]
    told = "\n".join(log.warnings)
    assert "1 features have no class" in told and "2 features have no area" in told and "crossing outlines" in told


def test_only_the_selection_is_taken_but_all_its_classes_are_known(folder):
    source = make_labels()
    source.selectByExpression('"Classvalue" = 4')
    QgsProject.instance().addMapLayer(source)
    run("convertlabels", INPUT=QgsProcessingFeatureSourceDefinition(source.id(), True), OUTPUT=folder / "labels.gpkg")
    layer, rows = read(folder / "labels.gpkg")
    assert {row[1] for row in rows} == {4}
    assert set(colors(layer)) == {1, 4}


def test_a_shapefile_is_left_as_it_is(folder):
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "ESRI Shapefile"
    path = folder / "samples.shp"
    QgsVectorFileWriter.writeAsVectorFormatV2(make_labels(), str(path), QgsProject.instance().transformContext(), options)
    before = {name: (folder / name).read_bytes() for name in tree(folder)}
    run("convertlabels", INPUT=path, OUTPUT=folder / "out" / "labels.gpkg")
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert len(read(folder / "out" / "labels.gpkg")[1]) == 8


def test_refusals_name_the_fault_and_leave_nothing_behind(folder):
    labels = make_labels()
    assert ".gpkg" in refusal("convertlabels", INPUT=labels, OUTPUT=folder / "labels.shp")
    assert "INPUT" in refusal("convertlabels", INPUT=folder / "missing.gpkg", OUTPUT=folder / "labels.gpkg")
    empty = make_layer([], [("Classvalue", INT)])
    assert "empty" in refusal("convertlabels", INPUT=empty, OUTPUT=folder / "labels.gpkg")
    fraction = make_layer([(square(0, 0), 1.5)], [("Classvalue", QVariant.Type.Double)])
    assert "1.5 is not a whole number" in refusal("convertlabels", INPUT=fraction, OUTPUT=folder / "labels.gpkg")
    hollow = make_layer([(QgsGeometry(), 1)], [("Classvalue", INT)])
    assert "both a class and an area" in refusal("convertlabels", INPUT=hollow, OUTPUT=folder / "labels.gpkg")
    assert tree(folder) == []


def test_the_input_itself_is_never_overwritten(folder):
    run("convertlabels", INPUT=make_labels(), OUTPUT=folder / "labels.gpkg")
    before = read(folder / "labels.gpkg")[1]
    assert "is a file that is read" in refusal("convertlabels", INPUT=folder / "labels.gpkg", OUTPUT=folder / "labels.gpkg")
    assert read(folder / "labels.gpkg")[1] == before


def test_an_export_takes_the_result_with_its_classes(folder):
    run("convertlabels", INPUT=make_labels(), OUTPUT=folder / "labels.gpkg")
    again = run("convertlabels", INPUT=folder / "labels.gpkg", OUTPUT=folder / "again.gpkg")
    assert (again["LABELS"], again["CLASSES"]) == (8, 2)
    assert colors(read(folder / "again.gpkg")[0]) == colors(read(folder / "labels.gpkg")[0])


def test_a_layer_that_is_loaded_shows_its_classes(folder):
    import processing

    QgsProject.instance().clear()
    processing.runAndLoadResults(
        "deeplearning:convertlabels", {"INPUT": make_labels(), "OUTPUT": str(folder / "labels.gpkg")}, feedback=Log()
    )
    layer = QgsProject.instance().mapLayersByName("Label layer")[0]
    assert set(colors(layer)) == {1, 4}
    assert isinstance(next(layer.getFeatures()), QgsFeature)
