# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.compare import Comparison, Disagreement, mcnemar
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from hypothesis import given
from hypothesis import strategies as st


def test_few_disagreements_are_tested_exactly():
    """6 against 16: twice the tail of 22 coin tosses."""
    test = mcnemar(6, 16)
    assert test.is_exact
    assert test.statistic == pytest.approx(100 / 22)
    assert test.p_value == pytest.approx(2 * sum(math.comb(22, k) for k in range(7)) / 2**22)
    assert test.p_value == pytest.approx(0.0525, abs=5e-5)


def test_exact_test_is_a_count_of_coin_tosses():
    tosses = list(product((0, 1), repeat=9))
    extreme = sum(min(sum(toss), 9 - sum(toss)) <= 2 for toss in tosses)
    assert mcnemar(2, 7).p_value == pytest.approx(extreme / len(tosses))


def test_many_disagreements_follow_the_chi_squared_distribution():
    """The 5 % point of chi-squared with one degree of freedom is 3.841."""
    only_first = 500 - round(math.sqrt(3.841459 * 1000) / 2)
    test = mcnemar(only_first, 1000 - only_first)
    assert not test.is_exact
    assert test.p_value == pytest.approx(0.05, abs=0.003)


@given(st.integers(0, 60), st.integers(0, 60))
def test_test_is_symmetric_and_a_probability(first, second):
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert one.p_value == other.p_value
    assert 0 <= one.p_value <= 1
    assert mcnemar(first, first).p_value == 1


def test_disagreements_are_counted():
    disagreement = Disagreement()
    disagreement.add(np.array([True, True, False, False]), np.array([True, False, True, False]))
    disagreement.add(np.array([True]), np.array([False]))
    assert (disagreement.only_first, disagreement.only_second) == (2, 1)


def test_changes_are_second_less_first():
    first, second = ConfusionMatrix([1, 2]), ConfusionMatrix([1, 2])
    first.update([1, 1, 2, 2], [1, 2, 2, 2])
    second.update([1, 1, 2, 2], [1, 1, 2, 1])
    changes = Comparison(first, second, mcnemar(1, 1)).class_changes()
    assert changes[0] == pytest.approx((1, 2 / 3 - 1, 1 - 1 / 2, 2 / 3 - 1 / 2))
    assert changes[1] == pytest.approx((2, 1 - 2 / 3, 1 / 2 - 1, 1 / 2 - 2 / 3))
