# SPDX-License-Identifier: GPL-2.0-or-later
"""Export, training and classification in a row, for the kinds of raster that must work; every path has blanks and umlauts."""

import json

import numpy as np
import pytest
from qgis.core import QgsMapLayer, QgsPalettedRasterRenderer, QgsProcessingContext, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import (
    FOREST,
    QUICK_TRAINING,
    SIZE,
    SMALL_CHIPS,
    WATER,
    Log,
    make_labels,
    make_layer,
    make_scene,
    read_array,
    run,
    scene_array,
    square,
    tree,
    write_raster,
)


def run_chain(scene, labels, folder, classify_log=None, **training):
    """Class values (rows, columns) of the scene after a minimal training, and the outputs of the classification."""
    run("exporttrainingdata", INPUT=scene, LABELS=labels, OUTPUT=folder / "chips", **SMALL_CHIPS)
    trained = run("trainmodel", INPUT=folder / "chips", OUTPUT=folder / "model", **{**QUICK_TRAINING, **training})
    result = run("classifypixels", classify_log, INPUT=scene, MODEL=trained["MODEL"], OUTPUT=folder / "classes.tif", DEVICE="cpu")
    return read_array(folder / "classes.tif"), result


def test_training_reports_model_report_score_and_epochs(trained):
    assert trained["MODEL"].endswith("model/model.dlpk")
    assert trained["OUTPUT_HTML"].endswith("model/model_metrics.html")
    assert 0 <= trained["SCORE"] <= 1
    assert trained["EPOCHS"] == 2


def test_training_keeps_its_request(trained):
    from pathlib import Path

    request = json.loads((Path(trained["OUTPUT"]) / "request.json").read_text(encoding="utf-8"))
    assert request["stage"] == "train"
    assert request["settings"]["backbone"] == "resnet18"


def test_two_folders_train_together_and_the_log_shows_device_and_figures(chips, folder):
    log = Log()
    scene = make_scene(folder / "scene.tif")
    run("exporttrainingdata", INPUT=scene, LABELS=make_labels(), OUTPUT=folder / "more", **SMALL_CHIPS)
    result = run("trainmodel", log, INPUT=chips, MORE_INPUTS=f"{folder / 'more'}\n", OUTPUT=folder / "model", **QUICK_TRAINING)
    assert result["EPOCHS"] == 1
    assert any("18 chips" in line for line in log.infos)
    assert any(line.startswith("Device: CPU") for line in log.infos)
    assert any(line.startswith("Epoch 1: ") and "loss" in line for line in log.infos)


def test_a_model_can_be_trained_further(chips, model, folder):
    result = run("trainmodel", INPUT=chips, PRETRAINED_MODEL=model, OUTPUT=folder / "model", **QUICK_TRAINING)
    assert result["MODEL"] == str(folder / "model" / "model.dlpk")


def test_classification_finds_water_and_forest(scene, model, folder):
    result = run("classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "classes.tif", DEVICE="cpu")
    classes = read_array(folder / "classes.tif")
    assert result["DEVICE_USED"].startswith("CPU")
    assert set(np.unique(classes)) <= {WATER, FOREST}
    assert (classes[:, : SIZE // 2 - 8] == WATER).mean() > 0.9
    assert (classes[:, SIZE // 2 + 8 :] == FOREST).mean() > 0.9


def test_classification_keeps_its_request_beside(scene, model, folder):
    run("classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "classes.tif", DEVICE="cpu")
    request = json.loads((folder / "classes.request.json").read_text(encoding="utf-8"))
    assert request["settings"]["model"] == str(model)


def test_confidence_is_written_when_asked_for(scene, model, folder):
    result = run(
        "classifypixels",
        INPUT=scene,
        MODEL=model,
        OUTPUT=folder / "classes.tif",
        OUTPUT_CONFIDENCE=folder / "confidence.tif",
        DEVICE="cpu",
    )
    confidence = read_array(result["OUTPUT_CONFIDENCE"])
    assert confidence.shape == (SIZE, SIZE)
    assert confidence.min() >= 50
    assert confidence.max() <= 100


def test_only_the_extent_is_classified(scene, model, folder):
    extent = square(32, 16, 40).boundingBox()
    run("classifypixels", INPUT=scene, MODEL=model, EXTENT=extent, OUTPUT=folder / "classes.tif", DEVICE="cpu")
    layer = QgsRasterLayer(str(folder / "classes.tif"))
    assert (layer.width(), layer.height()) == (40, 40)
    assert layer.extent() == extent


def test_class_raster_is_named_and_coloured_when_it_loads(scene, model, folder):
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    run("classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "classes.tif", DEVICE="cpu")
    layer = QgsRasterLayer(str(folder / "classes.tif"), "classes")
    assert layer.type() == QgsMapLayer.LayerType.RasterLayer
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    labels = {entry.value: entry.label for entry in layer.renderer().classes()}
    assert {WATER: "Water", FOREST: "Forest"}.items() <= labels.items()
    colors = {entry.value: entry.color.name() for entry in layer.renderer().classes()}
    assert colors[WATER] != colors[FOREST]


@pytest.mark.parametrize(("bands", "dtype", "scale"), [(1, "uint8", 1), (1, "uint16", 300)], ids=["1 band", "16 bit"])
def test_rasters_of_any_depth_pass_through_the_chain(plugin, folder, bands, dtype, scale):
    scene = make_scene(folder / "Szene ä.tif", bands=bands, dtype=dtype, scale=scale)
    classes, _ = run_chain(scene, make_labels(), folder)
    assert classes.shape == (SIZE, SIZE)
    assert set(np.unique(classes)) <= {WATER, FOREST}


def test_nan_stays_nodata_through_the_chain(plugin, folder):
    array = scene_array(dtype="float32", scale=0.01)
    array[1, 40:50, 40:60] = np.nan  # in one band only
    scene = write_raster(folder / "scene.tif", array)
    classes, _ = run_chain(scene, make_labels(), folder)
    assert (classes[40:50, 40:60] == 255).all()
    assert (classes == 255).sum() == 200


def test_raster_smaller_than_a_chip_is_padded(plugin, folder):
    scene = write_raster(folder / "small.tif", scene_array(size=24))
    layer = make_layer(
        [(square(column, row, 6), FOREST if column >= 12 else WATER) for column in (1, 14) for row in (1, 9, 17)],
        [("value", QVariant.Type.Int)],
    )
    classes, _ = run_chain(scene, layer, folder)
    assert classes.shape == (24, 24)
    assert set(np.unique(classes)) <= {WATER, FOREST}


def test_raster_without_crs_passes_through_the_chain(plugin, folder):
    classes, _ = run_chain(make_scene(folder / "scene.tif", crs=None), make_labels(), folder)
    assert set(np.unique(classes)) <= {WATER, FOREST}


def test_one_class_is_told_from_background(scene, folder):
    layer = make_layer([(square(column, row), 3) for column in (52, 74) for row in (8, 56)], [("value", QVariant.Type.Int)])
    classes, _ = run_chain(scene, layer, folder)
    assert set(np.unique(classes)) <= {0, 3}


def test_nothing_but_the_result_lies_beside_it(scene, model, folder):
    run("classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "out" / "classes.tif", DEVICE="cpu")
    assert [name for name in tree(folder / "out") if not name.startswith("classes.")] == []
