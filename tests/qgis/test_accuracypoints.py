# SPDX-License-Identifier: GPL-2.0-or-later
"""Accuracy assessment points by the public tool: designs, masks, seeds, and how the points look in the project."""

import numpy as np
import processing
import pytest
from qgis.core import QgsCategorizedSymbolRenderer, QgsGeometry, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import LEFT, PIXEL, TOP, Log, make_layer, read_array, refusal, run, square, write_raster

NODATA = 255


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """A map of 60 × 80 pixels: class 1 on 60 %, 2 on 30 %, 5 on 8 %, nodata elsewhere."""
    values = np.full(60 * 80, NODATA, np.uint8)
    values[:2880], values[2880:4320], values[4320:4704] = 1, 2, 5
    values = np.random.default_rng(3).permutation(values).reshape(1, 60, 80)
    return write_raster(tmp_path_factory.mktemp("map") / "map.tif", values, nodata=NODATA)


def read(path):
    """Features of a layer of points as (x, y, attributes by name)."""
    layer = QgsVectorLayer(str(path), "points", "ogr")
    assert layer.isValid()
    names = layer.fields().names()
    found = []
    for feature in layer.getFeatures():
        point = feature.geometry().asPoint()
        found.append((point.x(), point.y(), dict(zip(names, feature.attributes()))))
    return found


def pixel_of(x, y):
    return int((TOP - y) // PIXEL), int((x - LEFT) // PIXEL)


def count_by_class(points):
    values = [attributes["Classified"] for _, _, attributes in points]
    return {value: values.count(value) for value in sorted(set(values))}


@pytest.mark.parametrize("sampling", ["stratified", "equalized", "random"])
def test_points_lie_at_pixel_centres_and_tell_the_class_of_the_map(classified, folder, sampling):
    outputs = run("accuracypoints", INPUT=classified, COUNT=100, SAMPLING=sampling, OUTPUT=folder / "Punkte.gpkg")
    points = read(outputs["OUTPUT"])
    assert len(points) == outputs["POINTS"] >= 100
    values = read_array(classified)
    for x, y, attributes in points:
        assert (x - LEFT) % PIXEL == pytest.approx(PIXEL / 2)
        assert (TOP - y) % PIXEL == pytest.approx(PIXEL / 2)
        assert attributes["Classified"] == values[pixel_of(x, y)] != NODATA
        assert attributes["GrndTruth"] == -1
        assert attributes["StratumPix"] == int((values == attributes["Classified"]).sum())
    assert len({(x, y) for x, y, _ in points}) == len(points)


def test_stratified_points_follow_the_areas_but_for_the_minimum(classified, folder):
    run("accuracypoints", INPUT=classified, COUNT=98, MIN_PER_CLASS=20, OUTPUT=folder / "points.gpkg")
    assert count_by_class(read(folder / "points.gpkg")) == {1: 60, 2: 30, 5: 20}


def test_equalized_points_are_the_same_number_in_each_class(classified, folder):
    run("accuracypoints", INPUT=classified, COUNT=100, SAMPLING="equalized", OUTPUT=folder / "points.gpkg")
    assert count_by_class(read(folder / "points.gpkg")) == {1: 34, 2: 34, 5: 34}


def test_count_0_draws_as_many_as_the_margin_asks_for(classified, folder):
    log = Log()
    outputs = run(
        "accuracypoints", log, INPUT=classified, COUNT=0, EXPECTED_ACCURACY="0.8", MARGIN=0.05, OUTPUT=folder / "points.gpkg"
    )
    assert outputs["POINTS"] == pytest.approx(246, abs=2)  # 0.16 / (0.05 / 1.96)² = 245.9
    assert any("246 points are needed" in text for text in log.infos)


def test_mask_in_another_crs_limits_points_and_their_strata(classified, folder):
    mask = make_layer([(square(10, 20, 30),)], [], name="mask")
    moved = processing.run("native:reprojectlayer", {"INPUT": mask, "TARGET_CRS": "EPSG:4326", "OUTPUT": "memory:"})["OUTPUT"]
    run("accuracypoints", INPUT=classified, COUNT=60, MASK=moved, OUTPUT=folder / "points.gpkg")
    part = read_array(classified)[20:50, 10:40]
    for x, y, attributes in read(folder / "points.gpkg"):
        row, column = pixel_of(x, y)
        assert 20 <= row < 50
        assert 10 <= column < 40
        assert attributes["StratumPix"] == int((part == attributes["Classified"]).sum())


def test_minimum_distance_keeps_points_apart_and_says_what_it_costs(classified, folder):
    log = Log()
    run("accuracypoints", log, INPUT=classified, COUNT=200, MIN_DISTANCE=60, OUTPUT=folder / "points.gpkg")
    points = np.array([(x, y) for x, y, _ in read(folder / "points.gpkg")])
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert distances[~np.eye(len(points), dtype=bool)].min() >= 60
    assert len(points) < 200
    assert any("could not be placed 60 apart" in text for text in log.warnings)


def test_same_seed_gives_the_same_points_and_another_seed_others(classified, folder):
    results = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("accuracypoints", INPUT=classified, COUNT=50, SEED=seed, OUTPUT=folder / f"{name}.gpkg")
        results.append([(x, y) for x, y, _ in read(folder / f"{name}.gpkg")])
    assert results[0] == results[1] != results[2]


def test_points_of_a_raster_without_georeference_lie_where_qgis_shows_its_pixels(folder):
    values = np.array([[[1, 1, 1], [1, 1, 1], [2, 2, 2]]], np.uint8)
    raster = write_raster(folder / "plain.tif", values, crs=None, transform=None)
    run("accuracypoints", INPUT=raster, COUNT=9, MIN_PER_CLASS=0, OUTPUT=folder / "points.gpkg")
    points = read(folder / "points.gpkg")
    assert {(x, y) for x, y, attributes in points if attributes["Classified"] == 2} == {(0.5, -2.5), (1.5, -2.5), (2.5, -2.5)}


def test_loaded_points_are_coloured_by_their_progress_not_by_class(classified, folder):
    QgsProject.instance().clear()
    parameters = {"INPUT": str(classified), "COUNT": 30, "OUTPUT": str(folder / "points.gpkg")}
    processing.runAndLoadResults("deeplearning:accuracypoints", parameters, feedback=Log())
    (layer,) = QgsProject.instance().mapLayers().values()
    assert isinstance(layer.renderer(), QgsCategorizedSymbolRenderer)
    assert layer.renderer().classAttribute() == "Status"
    assert [category.value() for category in layer.renderer().categories()] == [
        "open", "skipped", "answered", "disputed", "decided",
    ]  # fmt: skip
    assert len({category.symbol().color().name() for category in layer.renderer().categories()}) == 5
    QgsProject.instance().clear()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"EXPECTED_ACCURACY": "80"}, "between 0 and 1"),
        ({"EXPECTED_ACCURACY": "7=0.5;0.8"}, "the map has 1, 2, 5"),
        ({"EXPECTED_ACCURACY": "1=0.5"}, "says nothing of the class 2"),
        ({"EXPECTED_ACCURACY": "good"}, "1=0.7; 2=0.95"),
    ],
)
def test_bad_expectations_are_refused(classified, folder, parameters, told):
    assert told in refusal("accuracypoints", INPUT=classified, OUTPUT=folder / "points.gpkg", **parameters)
    assert not (folder / "points.gpkg").exists()


def test_images_of_several_bands_and_maps_without_data_are_refused(scene, folder):
    assert "has 2 bands; a class raster has one" in refusal("accuracypoints", INPUT=scene, OUTPUT=folder / "points.gpkg")
    empty = write_raster(folder / "empty.tif", np.full((1, 4, 4), 9, np.uint8), nodata=9)
    assert "no pixel with a class" in refusal("accuracypoints", INPUT=empty, OUTPUT=folder / "points.gpkg")


def test_mask_elsewhere_is_refused_by_name(classified, folder):
    far = make_layer([(QgsGeometry.fromWkt("POLYGON((0 0,1 0,1 1,0 0))"),)], [("value", QVariant.Type.Int)], name="far")
    assert "MASK cannot be used" in refusal("accuracypoints", INPUT=classified, MASK=far, OUTPUT=folder / "points.gpkg")
