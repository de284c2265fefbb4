# SPDX-License-Identifier: GPL-2.0-or-later
"""The model for the graphical modeler that comes with the provider: it chains the three tools with the user's data."""

import numpy as np
import pytest
from qgis_helpers import FOREST, SIZE, WATER, Log, make_labels, make_scene, read_array, run

MODEL = "Train and classify from labels"


@pytest.fixture(scope="module")
def done(plugin, tmp_path_factory):
    """Outputs and folder of one run of the model; every path has blanks and umlauts."""
    folder = tmp_path_factory.mktemp("Übung Modell")
    parameters = {
        "INPUT": make_scene(folder / "Szene 1.tif"),
        "LABELS": make_labels(),
        "CLASS_VALUE_FIELD": "Classvalue",
        "TILE_SIZE": 32,
        "BACKBONE": "resnet18",
        "MAX_EPOCHS": 2,
        "train:Model folder": folder / "Größe" / "model",
        "classify:Class raster": folder / "Größe" / "classes.tif",
    }
    return run(MODEL, Log(), **parameters), folder / "Größe"


def test_model_takes_defaults_for_all_but_raster_labels_and_outputs(provider):
    (model,) = (entry for entry in provider.algorithms() if entry.name() == MODEL)
    defaults = {parameter.name(): parameter.defaultValue() for parameter in model.parameterDefinitions()}
    assert defaults["BACKBONE"] == "resnet34"
    assert int(defaults["TILE_SIZE"]) == 256
    assert int(defaults["MAX_EPOCHS"]) == 20


def test_model_gives_the_paths_of_its_results(done):
    outputs, folder = done
    assert outputs["classify:Class raster"] == str(folder / "classes.tif")
    assert outputs["train:Model folder"] == str(folder / "model")
    assert (folder / "model" / "model.dlpk").stat().st_size > 1_000_000


def test_model_classifies_water_and_forest(done):
    _, folder = done
    classes = read_array(folder / "classes.tif")
    assert set(np.unique(classes)) <= {WATER, FOREST}
    assert (classes[:, : SIZE // 2 - 8] == WATER).mean() > 0.9
    assert (classes[:, SIZE // 2 + 8 :] == FOREST).mean() > 0.9
