# SPDX-License-Identifier: GPL-2.0-or-later
import pytest


def compare(mine, others):
    from deep_learning_toolbox.ui.review_agreement import compare_answers

    return compare_answers(mine, others, "Ben")


def test_agreement_counts_common_points_and_corrects_for_chance():
    """10 common points, 8 alike, both say each class half of the time: (0.8 − 0.5) / 0.5."""
    mine = {point: 1 + point % 2 for point in range(12)}
    others = {**{point: 1 + point % 2 for point in range(8)}, 8: 2, 9: 1, 77: 5}
    found = compare(mine, others)
    assert found[:3] == ("Ben", 10, 8)
    assert found.kappa == pytest.approx(0.6)


def test_agreement_beyond_chance_is_undefined_for_one_class_and_without_common_points():
    assert compare({1: 4, 2: 4}, {1: 4, 2: 4}) == ("Ben", 2, 2, None)
    assert compare({1: 4}, {2: 4}) == ("Ben", 0, 0, None)
