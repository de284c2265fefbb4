# SPDX-License-Identifier: GPL-2.0-or-later
"""Accuracy assessment by the public tool, up to the published example of Olofsson et al. (2014)."""

import math

import numpy as np
import processing
import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import LEFT, PIXEL, TOP, Log, make_layer, read_array, refusal, run, square, write_raster

INT, TEXT = QVariant.Type.Int, QVariant.Type.String
# Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015, table 8; the pixels are made a thousand times larger, and as many times fewer.
COUNTS = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
PIXELS = (200, 150, 3200, 6450)
SIDE = math.sqrt(900_000)  # metres; 90 hectares


def table(path):
    """Rows of the table by the content of ClassValue, each as values by column."""
    layer = QgsVectorLayer(str(path), "table", "ogr")
    assert layer.isValid()
    names = layer.fields().names()
    rows = [dict(zip(names, feature.attributes())) for feature in layer.getFeatures()]
    return {row["ClassValue"]: {name: None if value == QVariant() else value for name, value in row.items()} for row in rows}


def point(column, row, side=PIXEL):
    return QgsGeometry.fromPointXY(QgsPointXY(LEFT + (column + 0.5) * side, TOP - (row + 0.5) * side))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The map of the published example and its 640 points, which do not tell how they were drawn."""
    values = np.repeat([1, 2, 3, 4], PIXELS).astype(np.uint8).reshape(1, 100, 100)
    raster = write_raster(tmp_path_factory.mktemp("map") / "map.tif", values, transform=(LEFT, SIDE, 0, TOP, 0, -SIDE))
    features = []
    for place, counts in enumerate(COUNTS):
        start = sum(PIXELS[:place])
        truths = np.repeat([1, 2, 3, 4], counts).tolist()
        features += [(point((start + k) % 100, (start + k) // 100, SIDE), truth) for k, truth in enumerate(truths)]
    return raster, make_layer(features, [("GrndTruth", INT)], kind="Point")


def test_published_example_reproduces_to_the_digits_printed(published, folder):
    raster, points = published
    outputs = run("assessaccuracy", INPUT=raster, REFERENCE=points, OUTPUT=folder / "Matrix.gpkg", OUTPUT_HTML=folder / "ü.html")
    rows = table(outputs["OUTPUT"])
    classes = [rows[f"C_{value}"] for value in (1, 2, 3, 4)]
    assert [[row[f"C_{value}"] for value in (1, 2, 3, 4)] for row in classes] == COUNTS
    assert [(round(row["U_Accuracy"], 2), round(row["U_Margin"], 2)) for row in classes] == [
        (0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02),
    ]  # fmt: skip
    assert [round(row["P_Accuracy"], 2) for row in classes] == [0.75, 0.85, 0.93, 0.96]
    assert [(round(row["Area_ha"]), round(row["Area_Margin"])) for row in classes] == [
        (21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_282),
    ]  # fmt: skip
    assert (round(outputs["OVERALL_ACCURACY"], 2), round(outputs["OVERALL_MARGIN"], 2)) == (0.95, 0.02)
    page = (folder / "ü.html").read_text(encoding="utf-8")
    assert "0.947 ± 0.018" in page
    assert "21,158 ± 6,158" in page
    assert page.count("data:image/png;base64,") == 4
    assert "<script" not in page
    assert "http://" not in page


def test_without_weighting_the_figures_are_those_of_the_points(published, folder):
    raster, points = published
    outputs = run("assessaccuracy", INPUT=raster, REFERENCE=points, AREA_WEIGHTED=False, OUTPUT=folder / "t.gpkg")
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(587 / 640)
    assert outputs["UNITS"] == 640
    assert "Area_ha" not in table(outputs["OUTPUT"])["C_1"]


@pytest.fixture(scope="module")
def rasters(tmp_path_factory):
    """Truth in squares of three classes; a map that is wrong at a tenth of the pixels; a worse one. 40 × 60 pixels, with nodata."""
    place = tmp_path_factory.mktemp("rasters")
    generator = np.random.default_rng(5)
    truth = np.kron(generator.choice([1, 2, 5], (4, 6)), np.ones((10, 10))).astype(np.uint8)[None]
    paths = {"truth": write_raster(place / "truth.tif", truth)}
    for name, share in (("map", 0.1), ("worse", 0.4)):
        noise = generator.choice([1, 2, 5], truth.shape)
        values = np.where(generator.random(truth.shape) < share, noise, truth).astype(np.uint8)
        values[:, :2] = 255
        paths[name] = write_raster(place / f"{name}.tif", values, nodata=255)
    return paths


def share_right(rasters, name="map", where=None):
    mapped, truth = read_array(rasters[name]), read_array(rasters["truth"])
    known = mapped != 255 if where is None else (mapped != 255) & where
    return float((mapped == truth)[known].mean())


def test_raster_in_another_crs_and_grid_is_compared_pixel_by_pixel(rasters, folder):
    parameters = {"INPUT": str(rasters["truth"]), "TARGET_CRS": "EPSG:32616", "RESAMPLING": 0, "NODATA": 99}
    moved = processing.run("gdal:warpreproject", {**parameters, "TARGET_RESOLUTION": 1, "OUTPUT": str(folder / "moved.tif")})["OUTPUT"]
    outputs = run("assessaccuracy", INPUT=rasters["map"], REFERENCE_RASTER=moved, OUTPUT=folder / "t.gpkg")
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(share_right(rasters), abs=0.003)
    assert outputs["UNITS"] == pytest.approx(38 * 60, abs=5)


def test_polygons_count_by_pixels_and_by_objects(rasters, folder):
    truth = read_array(rasters["truth"])
    corners = [(column, row) for row in (10, 20) for column in range(0, 60, 10)]
    features = [(square(column, row, 10), int(truth[row, column])) for column, row in corners]
    features += [(square(0, 30, 10), None), (square(10, 30, 10), -1)]
    layer = make_layer(features, [("Classvalue", INT)])
    log = Log()
    report = folder / "report.html"
    outputs = run("assessaccuracy", log, INPUT=rasters["map"], REFERENCE=layer, OUTPUT=folder / "t.gpkg", OUTPUT_HTML=report)
    inside = np.zeros(truth.shape, bool)
    inside[10:30] = True
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(share_right(rasters, where=inside))
    assert outputs["UNITS"] == 1200
    assert "OVERALL_MARGIN" not in outputs
    assert "Overall accuracy 1.000 of 12 objects" in report.read_text(encoding="utf-8")
    assert any("2 features of the reference have no class" in text for text in log.warnings)
    assert any("Polygons are no random sample" in text for text in log.warnings)


def test_names_serve_as_classes_and_are_matched_with_the_map(trained, scene, model, folder):
    run("classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "map.tif", DEVICE="cpu")
    values = read_array(folder / "map.tif")
    features = [(square(column, 8), name) for column, name in ((4, "water"), (52, "FOREST"), (74, "Clouds"))]
    layer = make_layer(features, [("Art", TEXT)])
    log = Log()
    outputs = run(
        "assessaccuracy", log, INPUT=folder / "map.tif", REFERENCE=layer, CLASS_VALUE_FIELD="Art", OUTPUT=folder / "t.gpkg"
    )
    right = (values[8:24, 4:20] == 1).sum() + (values[8:24, 52:68] == 4).sum()
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(right / (3 * 256))
    assert any("“Clouds” is not on the map, which has 1 Water, 4 Forest" in text for text in log.warnings)


def test_points_carry_their_strata_from_drawing_to_the_estimate(rasters, folder):
    """With all pixels of the mask as points the estimate is the truth, also where the map changed since."""
    mask = make_layer([(square(0, 10, 20),)], [])
    run("accuracypoints", INPUT=rasters["worse"], COUNT=10_000, MASK=mask, OUTPUT=folder / "points.gpkg")
    layer = QgsVectorLayer(str(folder / "points.gpkg"), "points", "ogr")
    truth = read_array(rasters["truth"])
    index = layer.fields().indexOf("GrndTruth")
    changes = {}
    for feature in layer.getFeatures():
        place = feature.geometry().asPoint()
        changes[feature.id()] = {index: int(truth[int((TOP - place.y()) // PIXEL), int((place.x() - LEFT) // PIXEL)])}
    assert layer.dataProvider().changeAttributeValues(changes)
    inside = np.zeros(truth.shape, bool)
    inside[10:30, :20] = True
    log = Log()
    outputs = run(
        "assessaccuracy", log, INPUT=rasters["map"], REFERENCE=layer, SECOND_MAP=rasters["worse"], OUTPUT=folder / "t.gpkg"
    )
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(share_right(rasters, where=inside))
    change = share_right(rasters, "worse", inside) - share_right(rasters, where=inside)
    assert outputs["ACCURACY_CHANGE"] == pytest.approx(change)
    assert outputs["MCNEMAR_P"] < 0.001
    assert any("the points come from another map" in text for text in log.warnings)


def test_points_that_cannot_be_compared_are_counted_and_said(rasters, folder):
    features = [
        (point(5, 5), 1), (point(7, 9), 2), (point(9, 9), -1), (point(11, 9), None),
        (point(5, 0), 1), (point(500, 5), 1), (point(-3, 5), 1),
    ]  # fmt: skip
    log = Log()
    layer = make_layer(features, [("GrndTruth", INT)], kind="Point")
    outputs = run("assessaccuracy", log, INPUT=rasters["map"], REFERENCE=layer, OUTPUT=folder / "t.gpkg")
    told = "\n".join(log.warnings)
    assert outputs["UNITS"] == 2
    assert "2 reference points have no class yet" in told
    assert "2 reference points lie outside of the map" in told
    assert "1 reference points lie where the map has no data" in told


def test_layer_of_errors_is_a_label_layer_with_the_truth(rasters, folder):
    QgsProject.instance().clear()
    parameters = {
        "INPUT": str(rasters["map"]), "REFERENCE_RASTER": str(rasters["truth"]), "OUTPUT": str(folder / "t.gpkg"),
        "OUTPUT_ERRORS": str(folder / "errors.gpkg"),
    }  # fmt: skip
    processing.runAndLoadResults("deeplearning:assessaccuracy", parameters, feedback=Log())
    layers = {layer.source().partition("|")[0]: layer for layer in QgsProject.instance().mapLayers().values()}
    layer = layers[str(folder / "errors.gpkg")]
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.renderer().classAttribute() == "Classvalue"
    mapped, truth = read_array(rasters["map"]), read_array(rasters["truth"])
    wrong = (mapped != truth) & (mapped != 255)
    assert sum(feature["Pixels"] for feature in layer.getFeatures()) == wrong.sum()
    assert sum(feature.geometry().area() for feature in layer.getFeatures()) == pytest.approx(wrong.sum() * PIXEL**2)
    for feature in layer.getFeatures():
        place = feature.geometry().pointOnSurface().asPoint()
        row, column = int((TOP - place.y()) // PIXEL), int((place.x() - LEFT) // PIXEL)
        assert feature["Classified"] == mapped[row, column]
        assert feature["Classvalue"] == feature["GrndTruth"] == truth[row, column]
    QgsProject.instance().clear()


def test_map_without_georeference_is_assessed_where_qgis_shows_it(folder):
    raster = write_raster(folder / "plain.tif", np.array([[[1, 1, 1], [2, 2, 2], [2, 2, 2]]], np.uint8), crs=None, transform=None)
    run("accuracypoints", INPUT=raster, COUNT=9, OUTPUT=folder / "points.gpkg")
    layer = QgsVectorLayer(str(folder / "points.gpkg"), "points", "ogr")
    index = layer.fields().indexOf("GrndTruth")
    upper = {feature.id(): feature.geometry().asPoint().y() > -2 for feature in layer.getFeatures()}
    assert layer.dataProvider().changeAttributeValues({key: {index: 1 if value else 2} for key, value in upper.items()})
    outputs = run("assessaccuracy", INPUT=raster, REFERENCE=layer, OUTPUT=folder / "t.gpkg", OUTPUT_ERRORS=folder / "errors.gpkg")
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(6 / 9)
    assert table(outputs["OUTPUT"])["C_1"]["Area_pixels"] == pytest.approx(6)
    errors = QgsVectorLayer(str(folder / "errors.gpkg"), "errors", "ogr")
    assert sorted(feature.geometry().asPoint().x() for feature in errors.getFeatures()) == [0.5, 1.5, 2.5]
    assert {feature.geometry().asPoint().y() for feature in errors.getFeatures()} == {-1.5}


def test_either_a_vector_or_a_raster_must_be_given(rasters, published, folder):
    assert "either REFERENCE" in refusal("assessaccuracy", INPUT=rasters["map"], OUTPUT=folder / "t.gpkg")
    both = {"REFERENCE": published[1], "REFERENCE_RASTER": rasters["truth"]}
    assert "either REFERENCE" in refusal("assessaccuracy", INPUT=rasters["map"], OUTPUT=folder / "t.gpkg", **both)


def test_reference_elsewhere_is_refused_and_leaves_no_file(rasters, folder):
    far = make_layer([(point(5000, 5000), 1)], [("GrndTruth", INT)], kind="Point")
    told = refusal("assessaccuracy", INPUT=rasters["map"], REFERENCE=far, OUTPUT=folder / "out" / "t.gpkg")
    assert "None of the 1 reference points can be compared" in told
    assert not (folder / "out").exists()


def test_reference_without_classes_serves_maps_of_one_class_only(rasters, folder):
    buildings = make_layer([(square(4, 4, 4),)], [("Strasse", TEXT)])
    told = refusal("assessaccuracy", INPUT=rasters["map"], REFERENCE=buildings, OUTPUT=folder / "t.gpkg")
    assert "The map has 3 classes" in told
    assert "CLASS_VALUE_FIELD" in told
    values = np.zeros((1, 20, 20), np.uint8)
    values[0, 4:8, 5:8] = 7
    raster = write_raster(folder / "buildings.tif", values)
    outputs = run("assessaccuracy", INPUT=raster, REFERENCE=buildings, UNLABELED="background", OUTPUT=folder / "t.gpkg")
    assert outputs["UNITS"] == 400
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(396 / 400)


def test_unknown_field_is_refused_by_name(rasters, published, folder):
    parameters = {"INPUT": rasters["map"], "REFERENCE": published[1], "CLASS_VALUE_FIELD": "Klasse"}
    assert "Klasse" in refusal("assessaccuracy", OUTPUT=folder / "t.gpkg", **parameters)


@pytest.fixture
def answered(folder):
    """A right map of three equal strips, and points on it that all have the true class."""
    values = np.repeat([1, 2, 5], 400).astype(np.uint8).reshape(1, 30, 40)
    raster = write_raster(folder / "map.tif", values, nodata=255)
    run("accuracypoints", INPUT=raster, COUNT=300, SAMPLING="equalized", OUTPUT=folder / "points.gpkg")
    layer = QgsVectorLayer(str(folder / "points.gpkg"), "points", "ogr")
    truth, classified = (layer.fields().indexOf(name) for name in ("GrndTruth", "Classified"))
    changes = {feature.id(): {truth: feature[classified]} for feature in layer.getFeatures()}
    assert layer.dataProvider().changeAttributeValues(changes)
    return raster, layer


def test_stratum_without_an_answer_is_said_to_be_missing_not_to_be_empty(answered, folder):
    raster, layer = answered
    truth = layer.fields().indexOf("GrndTruth")
    open_again = {feature.id(): {truth: -1} for feature in layer.getFeatures() if feature["Classified"] == 5}
    assert layer.dataProvider().changeAttributeValues(open_again)
    log = Log()
    run("assessaccuracy", log, INPUT=raster, REFERENCE=layer, OUTPUT=folder / "t.gpkg")
    assert any("hold for the other 66.7 %" in text for text in log.warnings), log.warnings


def test_second_map_without_data_does_not_change_what_is_said_of_the_first(answered, folder):
    raster, layer = answered
    values = read_array(raster).copy()
    wrong = np.where(values == 5, 1, values)
    wrong_map = write_raster(folder / "wrong.tif", wrong[None].astype(np.uint8), nodata=255)
    half = wrong.copy()
    half[20:] = 255
    half_map = write_raster(folder / "half.tif", half[None].astype(np.uint8), nodata=255)
    alone = run("assessaccuracy", INPUT=wrong_map, REFERENCE=layer, OUTPUT=folder / "a.gpkg")
    log = Log()
    beside = run("assessaccuracy", log, INPUT=wrong_map, REFERENCE=layer, SECOND_MAP=half_map, OUTPUT=folder / "b.gpkg")
    assert beside["OVERALL_ACCURACY"] == alone["OVERALL_ACCURACY"] == pytest.approx(2 / 3, abs=0.01)
    assert beside["UNITS"] == alone["UNITS"]
    assert any("points the second map has no data" in text for text in log.warnings)


def test_answers_are_not_overwritten(answered, folder):
    raster, layer = answered
    before = (folder / "points.gpkg").read_bytes()
    assert "is a file that is read, too" in refusal("assessaccuracy", INPUT=raster, REFERENCE=layer, OUTPUT=folder / "points.gpkg")
    assert "have been answered, and would be lost" in refusal("accuracypoints", INPUT=raster, OUTPUT=folder / "points.gpkg")
    assert (folder / "points.gpkg").read_bytes() == before


def test_answers_are_not_overwritten_when_only_selected_features_are_read(answered, folder):
    raster, layer = answered
    QgsProject.instance().addMapLayer(layer, False)
    layer.selectAll()
    before = (folder / "points.gpkg").read_bytes()
    selected = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    assert "is a file that is read, too" in refusal("assessaccuracy", INPUT=raster, REFERENCE=selected, OUTPUT=folder / "points.gpkg")
    assert (folder / "points.gpkg").read_bytes() == before


def test_mask_is_not_overwritten(answered, folder):
    raster, _ = answered
    layer = make_layer([(square(1, 1, 10),)], [])
    mask = processing.run("native:savefeatures", {"INPUT": layer, "OUTPUT": str(folder / "mask.gpkg")})["OUTPUT"]
    assert "is a file that is read, too" in refusal("accuracypoints", INPUT=raster, MASK=mask, OUTPUT=folder / "mask.gpkg")


def test_texts_with_points_and_other_cases_are_the_classes_meant(published, folder):
    raster, _ = published
    features = [(point(0, 0, SIDE), "1.0"), (point(1, 0, SIDE), "1"), (point(2, 0, SIDE), "Reed"), (point(3, 0, SIDE), "reed")]
    layer = make_layer(features, [("GrndTruth", TEXT)], kind="Point")
    outputs = run("assessaccuracy", INPUT=raster, REFERENCE=layer, AREA_WEIGHTED=False, OUTPUT=folder / "table.gpkg")
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(0.5)
    assert {row["ClassName"] for row in table(outputs["OUTPUT"]).values()} == {"1", "2", "3", "4", "Reed", None}


def test_several_names_of_a_value_and_polygons_off_the_map_are_said(published, folder):
    raster, _ = published
    far = QgsGeometry(point(0, 0, SIDE))
    far.translate(1e7, 0)
    near = [(point(column, 0, SIDE).buffer(2 * SIDE, 4), 1, name) for column, name in ((3, "Wald"), (9, "Forest"))]
    layer = make_layer([*near, (far.buffer(SIDE, 4), 1, "Wald")], [("Classvalue", INT), ("Classname", TEXT)])
    log = Log()
    run("assessaccuracy", log, INPUT=raster, REFERENCE=layer, OUTPUT=folder / "table.gpkg")
    told = "\n".join(log.warnings)
    assert "The value 1 has several names in the reference: “Wald” is taken, not “Forest”" in told
    assert "1 features of the reference lie off the map" in told
    assert "Polygons are no random sample" in told
