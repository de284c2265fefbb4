# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from deep_learning_toolbox.backend.training.sampler import LabelSampler

PIXELS = np.array([[900, 0, 0], [0, 90, 0], [0, 0, 0], [0, 10, 0]])


def shares(balanced):
    draws = LabelSampler(PIXELS, balanced, np.random.default_rng(0)).draw(8000)
    return np.array([[sum(draw == (chip, index) for draw in draws) for index in range(3)] for chip in range(4)]) / 8000


def test_without_balancing_draws_follow_the_pixels():
    assert shares(False) == pytest.approx(PIXELS / 1000, abs=0.02)


def test_with_balancing_half_of_the_draws_take_each_class_alike():
    expected = 0.5 * PIXELS / 1000 + 0.5 * np.array([[0.5, 0, 0], [0, 0.45, 0], [0, 0, 0], [0, 0.05, 0]])
    assert shares(True) == pytest.approx(expected, abs=0.02)


def test_a_pixel_of_the_class_is_drawn():
    sampler = LabelSampler(PIXELS, True, np.random.default_rng(0))
    target = np.full((3, 4), -1)
    target[2, 1] = target[0, 3] = 1
    assert {sampler.draw_pixel(target, 1) for _ in range(50)} == {(2, 1), (0, 3)}


def test_no_pixels_are_a_programming_error():
    with pytest.raises(ValueError, match="no training pixels"):
        LabelSampler(np.zeros((2, 2), int), True, np.random.default_rng(0))
