# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import math

import pytest
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from deep_learning_toolbox.backend.training.outcome import Outcome


@pytest.mark.parametrize(
    ("monitor", "scores", "best"),
    [
        ("miou", [0.2, 0.5, 0.4], 2),
        ("valid_loss", [0.9, 0.5, 0.7], 2),
        ("valid_loss", [math.nan, 3.0, 4.0], 2),  # a first epoch without a figure is no reason to keep its weights
        ("miou", [0.3, math.nan, 0.1], 1),
        ("miou", [math.nan, math.nan], 1),
    ],
)
def test_the_best_epoch_is_kept_and_one_without_a_figure_only_for_want_of_another(monitor, scores, best):
    outcome, confusion = Outcome(), ConfusionMatrix((1, 2))
    for score in scores:
        outcome.record({monitor: score}, confusion, monitor)
    assert outcome.best_epoch == best
