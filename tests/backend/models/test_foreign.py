# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of model definitions that other programs wrote. The keys and values are those of real ones."""

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.definition import parse_definition
from deep_learning_toolbox.backend.models.foreign import describe_foreign
from hypothesis import given
from hypothesis import strategies as st

ARCGIS_UNET = {
    "Framework": "arcgis.learn.models._inferencing",
    "ModelConfiguration": "_unet",
    "ModelType": "ImageClassification",
    "InferenceFunction": "[Functions]System\\DeepLearning\\ArcGISLearn\\ArcGISImageClassifier.py",
    "ExtractBands": [0, 1, 2],
    "Classes": [{"Value": 1, "Name": "Road", "Color": [255, 0, 0]}],
    "ArcGISLearnVersion": "2.4.4",
    "ModelFile": "roads.pth",
    "ImageHeight": 256,
    "ImageWidth": 256,
    "ModelName": "UnetClassifier",
    "ModelParameters": {"backbone": "resnet34", "backend": "pytorch"},
}
LAND_COVER = {"ModelType": "ImageClassification", "ExtractBands": [0, 1, 2, 3], "Classes": [{}] * 6, "ImageWidth": 256}


def test_a_unet_of_arcgis_is_told_with_all_that_the_file_says_and_how_to_get_the_same_here():
    assert describe_foreign(ARCGIS_UNET, "roads.emd") == (
        "roads.emd is a model of another program (a classifier of pixels, ModelType ImageClassification, framework "
        "arcgis.learn.models._inferencing 2.4.4, model UnetClassifier / _unet with resnet34, 3 bands, tiles of 256 pixels, 1 class, "
        "weights 'roads.pth', function '[Functions]System\\DeepLearning\\ArcGISLearn\\ArcGISImageClassifier.py'), which cannot be run "
        "here, since arcgis.learn's U-Net has other layers than the one here, and its weights (.pth) are a form that may run code "
        "when it is opened; train a model with 'Train deep learning model' on its training chips, which it reads as ArcGIS has "
        "exported them (MODEL_TYPE=unet, BACKBONE=resnet34)."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Framework": "CNTK", "ModelConfiguration": "LandCover"}, ["the toolbox runs its own PyTorch networks and has no CNTK"]),
        ({"Framework": "Onnx", "ModelFile": "trained.onnx"}, ["'trained.onnx'", "has no Onnx"]),
        ({"Framework": "PyTorch", "ModelConfiguration": {"Name": "Own", "Config": "x"}}, ["model Own,", "how its network is built"]),
        ({"InferenceFunction": "Mine.py"}, ["only as Python code (Mine.py), and code that comes with a model is never run"]),
        ({"ModelType": "ObjectDetection", "Framework": "PyTorch"}, ["a detector of objects", "classifies pixels only"]),
        ({"ModelType": "InstanceDetection", "InferenceFunction": "Sam.py"}, ["with their outlines", "classifies pixels only"]),
        ({**ARCGIS_UNET, "ModelConfiguration": "change_detection"}, ["compares two images", "compare the class rasters"]),
        ({**ARCGIS_UNET, "ModelName": "MultiTaskRoadExtractor"}, ["one of arcgis.learn's own", "exported them."]),
        ({**ARCGIS_UNET, "ModelParameters": {"backbone": "vgg_strange"}}, ["(MODEL_TYPE=unet)"]),
        ({}, ["framework not named, model not named, 4 bands, tiles of 256 pixels, 6 classes, weights '?')"]),
    ],
)
def test_the_reason_is_the_one_that_holds(changes, words):
    text = describe_foreign({**LAND_COVER, **changes}, "m.emd")
    assert all(word in text for word in words), text


def test_the_template_beside_exported_chips_is_told_from_a_model():
    template = {"Framework": "e.g. TensorFlow or PyTorch", "ModelType": "e.g. ObjectDetection or ImageClassification", "Classes": []}
    text = describe_foreign(template, "esri_model_definition.emd")
    assert "describes exported training chips and is no model; give their folder to 'Train deep learning model'" in text


def test_json_without_any_key_of_a_model_is_no_model():
    assert "is no model definition" in describe_foreign({"type": "FeatureCollection"}, "x.emd")


def test_the_sentence_reaches_whoever_opens_the_model():
    with pytest.raises(ToolboxError, match=r"arcgis\.learn's U-Net has other layers"):
        parse_definition(ARCGIS_UNET, "roads.emd")


anything = st.sampled_from([None, True, 3, 0.5, "a\nb", "x" * 500, "", [], [1], {}, {"Name": 5}, {"backbone": ["x"]}, "PyTorch"])


@given(st.dictionaries(st.sampled_from(sorted(ARCGIS_UNET)), anything))
def test_values_of_any_type_give_one_short_line(definition):
    text = describe_foreign(definition, "m.emd")
    assert text.startswith("m.emd ")
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 1500
