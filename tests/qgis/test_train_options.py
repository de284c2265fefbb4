# SPDX-License-Identifier: GPL-2.0-or-later
"""Options of the training as the tool hands them to the worker, and what it refuses before a run."""

import json
from pathlib import Path

from qgis_helpers import FOREST, QUICK_TRAINING, SMALL_CHIPS, Log, make_labels, make_scene, refusal, run


def test_a_separate_folder_is_validated_on_and_options_reach_the_request(chips, folder):
    scene = make_scene(folder / "scene.tif", transform=(700_000, 10, 0, 4_000_000, 0, -10))
    labels = make_labels()
    for feature in labels.getFeatures():  # the same places in the other scene
        geometry = feature.geometry()
        geometry.translate(100_000, 0)
        labels.dataProvider().changeGeometryValues({feature.id(): geometry})
    labels.updateExtents()
    run("exporttrainingdata", INPUT=scene, LABELS=labels, OUTPUT=folder / "elsewhere", **SMALL_CHIPS)
    log = Log()
    result = run(
        "trainmodel",
        log,
        INPUT=chips,
        SPLIT="folder",
        VALIDATION_INPUT=folder / "elsewhere",
        LOSS="focal",
        AUGMENTATION="strong",
        MIXUP=True,
        PRECISION="fp32",
        OUTPUT=folder / "model",
        **QUICK_TRAINING,
    )
    assert any(line.startswith(f"Validated on {folder / 'elsewhere'}, ") for line in log.infos)
    settings = json.loads((Path(result["OUTPUT"]) / "request.json").read_text(encoding="utf-8"))["settings"]
    wanted = {"loss": "focal", "augmentation": "strong", "mixup": True, "freeze": False, "precision": "fp32", "resume": False}
    assert {name: settings[name] for name in wanted} == wanted


def test_resume_without_an_interrupted_training_starts_anew(chips, folder):
    log = Log()
    run("trainmodel", log, INPUT=chips, RESUME=True, OUTPUT=folder / "model", **QUICK_TRAINING)
    assert any("There is no unfinished training in OUTPUT" in line for line in log.infos)


def test_values_that_cannot_be_used_are_told_before_the_run(chips, folder):
    values = {"INPUT": chips, "OUTPUT": folder / "model"}
    assert "IGNORE_CLASSES takes class values from 1 to 65,534, such as 3;5, and got “water”" in refusal(
        "trainmodel", IGNORE_CLASSES="water", **values
    )
    assert "BACKBONE 'resnet999' is unknown" in refusal("trainmodel", BACKBONE="resnet999", **values)
    assert "cannot be combined with MODEL_TYPE" in refusal("trainmodel", BACKBONE="pvt_v2_b0", MODEL_TYPE="deeplabv3plus", **values)


def test_an_ignored_class_leaves_nothing_to_tell_apart_of_two(chips, folder):
    text = refusal(
        "trainmodel", INPUT=chips, IGNORE_CLASSES=str(FOREST), UNLABELED="ignore", OUTPUT=folder / "model", **QUICK_TRAINING
    )
    assert "There is only one class and unlabelled pixels are ignored" in text
