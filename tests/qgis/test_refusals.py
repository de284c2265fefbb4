# SPDX-License-Identifier: GPL-2.0-or-later
"""Input that is refused with a sentence which says what to do, and nothing written."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import (
    LEFT,
    PIXEL,
    QUICK_TRAINING,
    SMALL_CHIPS,
    TOP,
    make_labels,
    make_layer,
    make_scene,
    refusal,
    run,
    scene_array,
    square,
    tree,
    write_raster,
)

ROTATED = (LEFT, PIXEL, 2, TOP, 2, -PIXEL)
ESRI_DEFINITION = """{"Framework": "arcgis.learn.models._inferencing", "ModelConfiguration": "_unet", "ModelType":
"ImageClassification", "ModelName": "UnetClassifier", "ModelFile": "roads.pth", "ExtractBands": [0, 1], "ImageHeight": 256,
"ImageWidth": 256, "Classes": [{"Value": 1, "Name": "Road", "Color": [255, 0, 0]}]}"""


@pytest.fixture
def refuse_export(folder):
    """Runs an export that must fail; returns its message once it is clear that nothing was written."""

    def run_it(**parameters):
        message = refusal("exporttrainingdata", OUTPUT=folder / "out" / "chips", **{**SMALL_CHIPS, **parameters})
        assert tree(folder / "out") == []
        return message

    return run_it


@pytest.fixture
def refuse_classify(folder):
    """The same for a classification."""

    def run_it(**parameters):
        message = refusal("classifypixels", OUTPUT=folder / "out" / "classes.tif", DEVICE="cpu", **parameters)
        assert tree(folder / "out") == []
        return message

    return run_it


@pytest.fixture
def refuse_training(folder):
    """The same for a training."""

    def run_it(**parameters):
        message = refusal("trainmodel", OUTPUT=folder / "out" / "model", **{**QUICK_TRAINING, **parameters})
        assert tree(folder / "out") == []
        return message

    return run_it


def test_labels_outside_the_raster_are_refused(scene, refuse_export):
    layer = make_layer([(square(500, 500), 1)], [("value", QVariant.Type.Int)])
    message = refuse_export(INPUT=scene, LABELS=layer)
    assert "No label meets the raster" in message
    assert "coordinate" in message


def test_empty_layer_is_refused(scene, refuse_export):
    message = refuse_export(INPUT=scene, LABELS=make_layer([], [("value", QVariant.Type.Int)]))
    assert "label layer is empty" in message
    assert "draw labels" in message


def test_export_of_a_raster_without_data_is_refused(plugin, folder, refuse_export):
    raster = write_raster(folder / "void.tif", np.full((2, 96, 96), 9, np.uint8), nodata=9)
    message = refuse_export(INPUT=raster, LABELS=make_labels())
    assert "Every labelled pixel is nodata" in message


def test_export_of_a_rotated_raster_is_refused(plugin, folder, refuse_export):
    raster = make_scene(folder / "rotated.tif", transform=ROTATED)
    message = refuse_export(INPUT=raster, LABELS=make_labels())
    assert "is rotated" in message
    assert "warp it first" in message


def test_both_and_no_labels_are_refused(scene, refuse_export):
    assert "either LABELS" in refuse_export(INPUT=scene)
    assert "either LABELS" in refuse_export(INPUT=scene, LABELS=make_labels(), LABEL_RASTER=scene)


@pytest.mark.parametrize("bands", ["7", "red", "1;1", "0"])
def test_bands_that_the_raster_lacks_are_refused(scene, refuse_export, bands):
    assert "BANDS" in refuse_export(INPUT=scene, LABELS=make_labels(), BANDS=bands)


@pytest.mark.parametrize("value", [0, -3, 65_535])
def test_class_values_out_of_range_are_refused(scene, refuse_export, value):
    layer = make_layer([(square(0, 0), value)], [("value", QVariant.Type.Int)])
    message = refuse_export(INPUT=scene, LABELS=layer)
    assert f"The class value {value} is not allowed" in message
    assert "1 to 65,534" in message


def test_field_that_the_labels_lack_is_refused(scene, refuse_export):
    assert "CLASS_VALUE_FIELD “kind”" in refuse_export(INPUT=scene, LABELS=make_labels(), CLASS_VALUE_FIELD="kind")


def test_training_with_labels_that_cannot_be_split_is_refused(scene, folder, refuse_training):
    layer = make_layer([(square(0, 0), 1), (square(60, 0), 2)], [("value", QVariant.Type.Int)])
    run("exporttrainingdata", INPUT=scene, LABELS=layer, OUTPUT=folder / "chips", **SMALL_CHIPS)
    message = refuse_training(INPUT=folder / "chips")
    assert "Nothing can be held out" in message
    assert "no class has two" in message


def test_training_with_a_folder_that_holds_no_chips_is_refused(folder, refuse_training):
    (folder / "photos").mkdir()
    message = refuse_training(INPUT=folder / "photos")
    assert "Export training data" in message


def test_all_faults_of_a_training_are_told_at_once(chips, refuse_training):
    message = refuse_training(INPUT=chips, BACKBONE="resnet9", WEIGHTS="file", CHIP_SIZE=7)
    assert "resnet9" in message
    assert "WEIGHTS_FILE" in message
    assert "CHIP_SIZE is 7" in message


def test_classification_of_a_raster_without_data_is_refused(folder, model, refuse_classify):
    raster = write_raster(folder / "void.tif", np.full((2, 96, 96), 9, np.uint8), nodata=9)
    assert "nodata everywhere" in refuse_classify(INPUT=raster, MODEL=model)


def test_classification_of_a_rotated_raster_is_refused(folder, model, refuse_classify):
    message = refuse_classify(INPUT=make_scene(folder / "rotated.tif", transform=ROTATED), MODEL=model)
    assert "is rotated" in message
    assert "warp it first" in message


def test_raster_with_fewer_bands_than_the_model_is_refused(folder, model, refuse_classify):
    message = refuse_classify(INPUT=make_scene(folder / "scene.tif", bands=1), MODEL=model)
    assert "trained on 2 bands" in message
    assert "has 1" in message


def test_extent_outside_the_raster_is_refused(scene, model, refuse_classify):
    message = refuse_classify(INPUT=scene, MODEL=model, EXTENT=square(500, 500).boundingBox())
    assert "EXTENT lies outside the raster" in message


@pytest.mark.parametrize("share", [0.5, 0.99], ids=["half", "nearly all"])
def test_truncated_model_is_refused(scene, folder, model, refuse_classify, share):
    content = Path(model).read_bytes()
    broken = folder / "broken.dlpk"
    broken.write_bytes(content[: int(share * len(content))])
    message = refuse_classify(INPUT=scene, MODEL=broken)
    assert "broken.dlpk is no complete model package" in message
    assert "copy or train it again" in message


def test_model_of_arcgis_is_refused_with_its_kind(scene, folder, refuse_classify):
    foreign = folder / "roads.dlpk"
    with zipfile.ZipFile(foreign, "w") as package:
        package.writestr("roads.emd", ESRI_DEFINITION)
        package.writestr("roads.pth", b"\x80\x02}q\x00.")
    message = refuse_classify(INPUT=scene, MODEL=foreign)
    assert "model of another program" in message
    assert "UnetClassifier" in message
    assert "roads.pth" in message


def test_definition_of_arcgis_is_refused_with_its_kind(scene, folder, refuse_classify):
    definition = folder / "roads.emd"
    definition.write_text(ESRI_DEFINITION, encoding="utf-8")
    assert "model of another program" in refuse_classify(INPUT=scene, MODEL=definition)


def test_file_that_is_no_model_is_refused(scene, folder, refuse_classify):
    text = folder / "notes.dlpk"
    text.write_text("not a model", encoding="utf-8")
    assert "notes.dlpk" in refuse_classify(INPUT=scene, MODEL=text)


def test_damaged_raster_is_refused(folder, model, refuse_classify):
    raster = write_raster(folder / "scene.tif", scene_array(size=256))
    raster.write_bytes(raster.read_bytes()[:60_000])
    message = refuse_classify(INPUT=raster, MODEL=model)
    assert "scene.tif cannot be read" in message
    assert "damaged" in message
