# SPDX-License-Identifier: GPL-2.0-or-later
"""exporttrainingdata through its public id: what must work."""

import json

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
)
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import (
    CRS,
    FOREST,
    LEFT,
    SMALL_CHIPS,
    TOP,
    WATER,
    Log,
    label_pixels,
    make_labels,
    make_layer,
    make_scene,
    read_array,
    run,
    scene_squares,
    square,
    tree,
    write_raster,
)

INT, TEXT = QVariant.Type.Int, QVariant.Type.String
SQUARE_PIXELS = 16 * 16


def export(scene, labels, folder, feedback=None, **more):
    output = folder / "chips"
    return run("exporttrainingdata", feedback, INPUT=scene, LABELS=labels, OUTPUT=output, **{**SMALL_CHIPS, **more}), output


def class_names(chips):
    model = json.loads((chips / "esri_model_definition.emd").read_text(encoding="utf-8"))
    return {entry["Value"]: entry["Name"] for entry in model["Classes"]}


def test_result_is_a_folder_of_chips_with_the_number_of_chips_and_classes(scene, folder):
    result, output = export(scene, make_labels(), folder)
    assert result == {"OUTPUT": str(output), "CHIPS": 9, "CLASSES": 2}
    assert label_pixels(output) == {WATER: 4 * SQUARE_PIXELS, FOREST: 4 * SQUARE_PIXELS}
    assert class_names(output) == {WATER: "Water", FOREST: "Forest"}
    assert len(list((output / "images").glob("*.tif"))) == 9


def test_request_and_labels_are_kept_with_the_result(scene, folder):
    _, output = export(scene, make_labels(), folder)
    request = json.loads((output / "request.json").read_text(encoding="utf-8"))
    assert request["stage"] == "export"
    assert request["settings"]["raster"] == str(scene)
    assert request["settings"]["labels"] == "labels.gpkg"
    assert (output / "labels.gpkg").stat().st_size > 0


def test_kept_request_runs_again_without_qgis(scene, folder, worker_python):
    import subprocess

    _, output = export(scene, make_labels(), folder)
    again = folder / "again"
    request = json.loads((output / "request.json").read_text(encoding="utf-8"))
    request["settings"]["output"] = str(again)
    (output / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [str(worker_python), "-m", "deep_learning_toolbox.backend", str(output / "request.json")]
    subprocess.run(command, check=True, capture_output=True)
    assert label_pixels(again) == label_pixels(output)


def test_a_previous_result_is_replaced(scene, folder):
    export(scene, make_labels(), folder)
    result, output = export(scene, make_labels(), folder, TILE_SIZE_X=48, TILE_SIZE_Y=48, STRIDE_X=48, STRIDE_Y=48)
    assert result["CHIPS"] == 4
    assert len(list((output / "images").glob("*.tif"))) == 4
    assert [name for name in tree(output) if "partial" in name] == []


def test_labels_in_another_crs_label_the_same_pixels(scene, folder):
    to_degrees = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem(CRS), QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateTransformContext()
    )
    features = []
    for geometry, forest in scene_squares():
        geometry.transform(to_degrees)
        features.append((geometry, 2 if forest else 1))
    _, output = export(scene, make_layer(features, [("value", INT)], "EPSG:4326"), folder)
    assert label_pixels(output) == {1: 4 * SQUARE_PIXELS, 2: 4 * SQUARE_PIXELS}


def test_raster_without_crs_takes_the_labels_in_its_coordinates_with_a_warning(plugin, folder):
    log = Log()
    _, output = export(make_scene(folder / "scene.tif", crs=None), make_labels(), folder, log)
    assert label_pixels(output) == {WATER: 4 * SQUARE_PIXELS, FOREST: 4 * SQUARE_PIXELS}
    assert any("raster has no coordinate system" in warning for warning in log.warnings)


def test_photo_without_georeference_takes_labels_drawn_on_it(plugin, folder):
    raster = write_raster(folder / "photo.tif", np.full((1, 64, 64), 7, np.uint8), crs=None, transform=None)
    geometry = QgsGeometry.fromWkt("POLYGON((0 0, 8 0, 8 -4, 0 -4, 0 0))")
    _, output = export(raster, make_layer([(geometry, 3)], [("value", INT)], crs=""), folder)
    label = read_array(output / "labels" / "000000000000.tif")
    assert (label[:4, :8] == 3).all()
    assert label.sum() == 3 * 32


def test_text_classes_are_numbered_alphabetically(scene, folder):
    layer = make_layer([(square(0, 0), "Wiese"), (square(40, 0), "Acker")], [("Art", TEXT)])
    _, output = export(scene, layer, folder, CLASS_VALUE_FIELD="Art")
    assert class_names(output) == {1: "Acker", 2: "Wiese"}
    assert label_pixels(output) == {1: SQUARE_PIXELS, 2: SQUARE_PIXELS}


def test_labels_without_class_field_are_one_class(scene, folder):
    layer = make_layer([(square(0, 0),), (square(40, 0),)], [], name="buildings")
    result, output = export(scene, layer, folder)
    assert result["CLASSES"] == 1
    assert class_names(output) == {1: "buildings"}


def test_classes_are_those_of_the_whole_layer(scene, folder):
    result, output = export(scene, make_layer([(square(0, 0), 1), (square(900, 0), 7)], [("value", INT)]), folder)
    assert result["CLASSES"] == 2
    assert class_names(output) == {1: "1", 7: "7"}


def test_only_selected_features_are_burned(scene, folder):
    layer = make_labels()
    QgsProject.instance().addMapLayer(layer, False)
    layer.selectByIds([1])
    _, output = export(scene, QgsProcessingFeatureSourceDefinition(layer.id(), True), folder)
    assert label_pixels(output) == {WATER: SQUARE_PIXELS}
    assert class_names(output) == {WATER: "Water", FOREST: "Forest"}
    QgsProject.instance().clear()


def test_invalid_polygons_label_what_they_enclose(scene, folder):
    x, y = LEFT, TOP
    corners = ((0, 0), (320, 320), (320, 0), (0, 320), (0, 0))
    bowtie = QgsGeometry.fromPolygonXY([[QgsPointXY(x + a, y - b) for a, b in corners]])
    _, output = export(scene, make_layer([(bowtie, 1)], [("value", INT)]), folder)
    assert label_pixels(output)[1] == pytest.approx(32 * 32 / 2, abs=32)


def test_points_with_a_buffer_become_circles(scene, folder):
    point = QgsGeometry.fromPointXY(QgsPointXY(LEFT + 480, TOP - 480))
    layer = make_layer([(point, 1)], [("value", INT)], kind="Point")
    assert label_pixels(export(scene, layer, folder)[1]) == {1: 1}
    assert label_pixels(export(scene, layer, folder, BUFFER_RADIUS=100)[1])[1] == pytest.approx(314, abs=12)


def test_bands_are_written_in_the_order_given(plugin, folder):
    scene = make_scene(folder / "scene.tif", bands=3, names=("red", "green", "blue"))
    whole = read_array(scene)
    _, output = export(scene, make_labels(), folder, BANDS=[3, 1])
    chip = read_array(output / "images" / "000000000000.tif")
    assert chip.shape == (2, 32, 32)
    assert (chip == whole[[2, 0], :32, :32]).all()


@pytest.mark.parametrize(
    ("dtype", "scale"), [("uint8", 1), ("uint16", 200), ("int16", 100), ("float32", 0.01)], ids=lambda value: str(value)
)
def test_chips_keep_the_values_and_the_type_of_the_raster(plugin, folder, dtype, scale):
    scene = make_scene(folder / "scene.tif", bands=1, dtype=dtype, scale=scale)
    _, output = export(scene, make_labels(), folder)
    chip = read_array(output / "images" / "000000000000.tif")
    assert chip.dtype == dtype
    assert (chip == read_array(scene)[:32, :32]).all()


def test_label_raster_gives_the_labels(scene, folder):
    classes = np.zeros((1, 96, 96), np.uint8)
    classes[0, 10:20, 10:20], classes[0, 60:70, 60:80] = 2, 5
    labels = write_raster(folder / "classes.tif", classes, nodata=0)
    result = run("exporttrainingdata", INPUT=scene, LABEL_RASTER=labels, OUTPUT=folder / "chips", **SMALL_CHIPS)
    assert result["CLASSES"] == 2
    assert label_pixels(folder / "chips") == {2: 100, 5: 200}


def test_empty_chips_are_written_only_when_asked_for(scene, folder):
    layer = make_layer([(square(0, 0), 1)], [("value", INT)])
    assert export(scene, layer, folder)[0]["CHIPS"] == 1
    assert export(scene, layer, folder, EMPTY_TILES=True)[0]["CHIPS"] == 9


def test_chips_with_too_few_labels_are_left_out(scene, folder):
    layer = make_layer([(square(0, 0, 32), 1), (square(40, 0, 8), 1)], [("value", INT)])
    assert export(scene, layer, folder)[0]["CHIPS"] == 2
    assert export(scene, layer, folder, MIN_LABELED_RATIO="0.5")[0]["CHIPS"] == 1


@pytest.mark.parametrize("nodata", [None, 200], ids=["without nodata value", "with nodata value"])
def test_raster_smaller_than_a_chip_is_padded_with_nodata(plugin, folder, nodata):
    scene = write_raster(folder / "small.tif", np.full((1, 20, 24), 7, np.uint8), nodata=nodata)
    result, output = export(scene, make_layer([(square(2, 2, 8), 1)], [("value", INT)]), folder)
    assert result["CHIPS"] == 1
    chip = gdal.Open(str(output / "images" / "000000000000.tif"))
    valid = chip.GetRasterBand(1).GetMaskBand().ReadAsArray() > 0
    assert valid.shape == (32, 32)
    assert valid[:20, :24].all()
    assert valid.sum() == 20 * 24
    assert (chip.ReadAsArray()[:20, :24] == 7).all()
    statistics = json.loads((output / "toolbox_index.json").read_text(encoding="utf-8"))["bands"][0]
    assert (statistics["count"], statistics["mean"], statistics["std"]) == (480, 7, 0)
