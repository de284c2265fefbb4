# SPDX-License-Identifier: GPL-2.0-or-later
"""The report and its pieces; that a training writes one is tested with the training."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.evaluation import Calibration
from deep_learning_toolbox.backend.training.report import ReportData, describe_calibration, describe_strengths, render_report
from deep_learning_toolbox.backend.training.report_charts import draw_class_bars
from deep_learning_toolbox.backend.training.samples import RIGHT, WRONG, Sample, ShownClass, choose_chips, join, resize
from deep_learning_toolbox.backend.training.split import split_blocks
from deep_learning_toolbox.backend.training.split_map import HELD_OUT, IMAGE, OUTSIDE, TRAINED, draw_split_maps

from .stores import settings_of

EVIL = '<script>alert("$x$")</script> & Söhne'
CLASSES = (ShownClass(1, "Wald", (0, 120, 0)), ShownClass(2, EVIL, (0, 0, 255)), ShownClass(3, "Feld", (250, 200, 0)))


def sample(name="a"):
    label = np.array([[1, 1, -1], [2, 2, -1]])
    prediction = np.array([[1, 2, 2], [2, 2, -1]])
    return Sample(name, np.full((2, 3, 3), 100, np.uint8), label, prediction)


@pytest.fixture
def data():
    confusion = ConfusionMatrix.from_counts((1, 2, 3), [[90, 10, 0], [30, 70, 0], [0, 0, 0]])
    calibration = Calibration()
    calibration.update(np.full(200, 0.95), np.arange(200) < 160)
    return ReportData(
        title=EVIL, headline=EVIL, notes=[EVIL], facts={"Settings": [("folder", EVIL)], "Split": [(EVIL, "1")]},
        history=[{"train_loss": 1.0, "valid_loss": float("nan"), "miou": 0.5, "accuracy": 0.6, "f1": 0.6}], best_epoch=1,
        classes=CLASSES, training_pixels={1: 5, 2: 6}, confusion=confusion, calibration=calibration, samples=[sample(EVIL)],
        worst=[], maps=[], duration="3 min", device=EVIL,
    )  # fmt: skip


def test_every_text_is_escaped_and_nothing_is_fetched(data):
    page = render_report(data)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 8
    assert re.findall(r"(?:src|href)=\"(?!data:)", page) == []


def test_the_figures_stand_first_and_a_class_without_labels_is_marked(data):
    page = render_report(data)
    assert page.index("Mean IoU") < page.index("<img") < page.index("not validated")
    assert "80.0 %" in page  # overall accuracy
    assert "2 of 3" in page
    assert "Worst chips" not in page  # there are none


def test_what_is_missing_is_left_out_instead_of_failing(data):
    many = tuple(ShownClass(value, f"c{value}", (value, value, value)) for value in range(1, 41))
    confusion = ConfusionMatrix.from_counts(tuple(range(1, 41)), np.eye(40, dtype=int))
    page = render_report(replace(data, classes=many, confusion=confusion, samples=[], training_pixels={}))
    assert "Confusion matrix" not in page  # 40 x 40 cannot be read
    assert "Sample sheet" not in page


def test_strength_weakness_and_confusion_are_told(data):
    assert describe_strengths(data) == [
        f"Best is Wald (IoU 0.69), weakest {EVIL} (IoU 0.64).",
        f"The largest confusion: 30 % of {EVIL} are taken for Wald.",
    ]
    one = ConfusionMatrix.from_counts((1, 2, 3), [[9, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert describe_strengths(replace(data, confusion=one)) == []


@pytest.mark.parametrize(
    ("confidence", "right", "words"),
    [
        (0.9, 70, "too sure of itself"),
        (0.6, 90, "less sure than it could be"),
        (0.8, 80, "taken at their word"),
        (None, 0, "nothing is known"),
    ],
)
def test_calibration_is_told_in_words(confidence, right, words):
    calibration = Calibration()
    if confidence is not None:
        calibration.update(np.full(100, confidence), np.arange(100) < right)
    assert words in describe_calibration(calibration)


def test_bars_are_those_of_the_validated_classes_the_best_on_top(data):
    (axes,) = draw_class_bars(CLASSES, data.confusion).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [EVIL.replace("$", r"\$"), "Wald"]


def test_samples_show_labels_predictions_and_errors():
    shown = sample()
    assert (shown.pixels, shown.accuracy) == (4, 0.75)
    label, prediction, errors = shown.paint_label(CLASSES), shown.paint_prediction(CLASSES), shown.paint_errors()
    assert tuple(label[0, 0]) == (0, 120, 0)
    assert tuple(label[0, 2]) == (201, 201, 201)  # the paled image
    assert tuple(prediction[0, 2]) == (0, 0, 255)
    assert tuple(prediction[1, 2]) == (255, 255, 255)
    assert tuple(errors[0, 0]) == RIGHT
    assert tuple(errors[0, 1]) == WRONG
    assert tuple(errors[0, 2]) == (201, 201, 201)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((10, 20), (110, 220)), ((1000, 500), (200, 100)), ((220, 7), (220, 7)), ((1, 1), (220, 220))],
)
def test_pictures_are_resized_by_whole_steps_and_never_beyond_the_side(shape, expected):
    assert resize(np.zeros((*shape, 3), np.uint8), 220).shape == (*expected, 3)


def test_pictures_are_joined_with_white_between():
    joined = join([np.zeros((4, 5, 3), np.uint8)] * 3, 2)
    assert joined.shape == (4, 19, 3)
    assert (joined[:, 5:7] == 255).all()
    assert not joined[:, :5].any()


def open_store(folders, percent=30):
    store = ChipStore(settings_of(*folders))
    list(store.scan())
    store.apply_split(split_blocks(store.census, percent, 0))
    return store


def test_the_split_map_shows_each_label_on_its_side(chips):
    store = open_store([chips])
    (found,) = draw_split_maps(store)
    assert found.cells.shape == (480, 480)  # 96 pixels, five cells each
    assert found.bounds == (0.0, 0.0, 960.0, 960.0)
    pixels = found.cells[2::5, 2::5]  # (96, 96), as the scene
    counts = {code: int((pixels == code).sum()) for code in (OUTSIDE, IMAGE, TRAINED, HELD_OUT)}
    assert counts[OUTSIDE] == 0
    held_out = len(split_blocks(store.census, 30, 0).validation)
    assert counts[HELD_OUT] == held_out * 256
    assert counts[TRAINED] == (8 - held_out) * 256


def test_the_chips_shown_are_held_out_and_show_each_class(chips):
    store = open_store([chips])
    chosen = choose_chips(store, 4)
    assert len(chosen) == 4
    assert set(chosen) <= set(store.validation_chips)
    classes = {int(value) for chip in store.get(chosen, True) for value in chip.target.unique() if value >= 0}
    assert classes == {0, 1}
