# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.training.evaluation import BINS, Calibration, ChipScore, Evaluation, evaluate
from hypothesis import given
from hypothesis import strategies as st

from .stores import split_store


class Known(torch.nn.Module):
    """Class 1 where the first band is bright, with a probability of 0.9."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image):
        logit = float(np.log(0.9 / 0.1))
        bright = image[:, 0] > 1
        return torch.stack([torch.where(bright, 0.0, logit), torch.where(bright, logit, 0.0)], 1)


def drive(events):
    """What a generator returns, and what it yields."""
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            return end.value, seen


@pytest.fixture
def store(chips):
    return split_store(chips, 40)


def test_every_held_out_pixel_is_looked_at_once(store):
    found, events = drive(evaluate(store, Known(), 4, 0.97))
    held_out = sum(int((chip.target >= 0).sum()) for chip in store.get(store.validation_chips, validation=True))
    assert sum(chip.pixels for chip in found.chips) == held_out
    assert found.calibration.counts.sum() == 4 * 16 * 16 < held_out  # four of the eight squares, whatever the overlap of the chips
    assert {event["fraction"] for event in events} == {0.97}
    assert sum(chip.wrong for chip in found.chips) == found.calibration.counts.sum() - found.calibration.hits.sum() == 0
    # The classes differ in brightness, so all is right, which a network that says 0.9 is not sure enough of.
    assert found.worst_chips(4) == []
    assert found.calibration.error == pytest.approx(0.1, abs=1e-6)
    assert found.calibration.surplus == pytest.approx(-0.1, abs=1e-6)


def test_a_hundred_pixels_at_ninety_percent_of_which_eighty_are_right():
    calibration = Calibration()
    calibration.update(np.full(100, 0.9), np.arange(100) < 80)
    assert calibration.error == pytest.approx(0.1)
    assert calibration.surplus == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_the_calibration_error_is_that_of_the_definition(pairs):
    confidence, right = (np.array(column) for column in zip(*pairs, strict=True))
    calibration = Calibration()
    for part in np.array_split(np.arange(len(pairs)), 3):  # in any number of pieces
        calibration.update(confidence[part], right[part])
    expected = 0.0
    for number in range(BINS):
        inside = (confidence > number / BINS) & (confidence <= (number + 1) / BINS) | ((number == 0) & (confidence == 0))
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    at_edges = np.isclose(confidence * BINS, np.round(confidence * BINS), atol=1e-9).any()  # may round into either bin
    assert at_edges or calibration.error == pytest.approx(expected, abs=1e-9)
    assert 0 <= calibration.error <= 1
    assert abs(calibration.surplus) <= calibration.error + 1e-12


def test_nothing_is_known_without_pixels():
    assert np.isnan(Calibration().error)
    assert np.isnan(Calibration().surplus)
    assert Evaluation().worst_chips(3) == []


def chip(number, west, pixels, wrong):
    return ChipScore(number, (west, 0.0, west + 10, 10.0), pixels, wrong)


def test_the_worst_chips_have_the_most_wrong_pixels_and_show_different_ground():
    found = Evaluation(chips=[chip(0, 0, 100, 50), chip(1, 5, 100, 60), chip(2, 30, 6, 6), chip(3, 50, 500, 0), chip(4, 70, 90, 9)])
    assert [score.number for score in found.worst_chips(9)] == [1, 4, 2]  # 0 shows half of 1; nothing is wrong in 3
    assert [score.number for score in found.worst_chips(1)] == [1]


def test_chips_without_a_place_are_not_taken_for_the_same_ground():
    found = Evaluation(chips=[chip(0, 0, 100, 50), chip(1, 0, 100, 60)])
    assert [score.number for score in found.worst_chips(9)] == [1, 0]
