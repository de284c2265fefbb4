# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from deep_learning_toolbox.backend.assessment.pairs import NOTHING, PairCounter
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

values = st.sampled_from([0, 1, 2, 7, 254, 300, 65_534, NOTHING])
windows = st.lists(arrays(np.uint16, st.tuples(st.just(2), st.integers(1, 5), st.integers(1, 6)), elements=values), max_size=4)


@given(windows)
def test_pairs_agree_with_a_plain_count(windows):
    counter = PairCounter()
    expected = Counter()
    for first, second in windows:
        counter.update(first, second)
        expected.update(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    assert counter.pairs == dict(expected)
    firsts = Counter()
    for (first, _), count in expected.items():
        firsts[first] += count
    assert counter.first_totals == {value: count for value, count in firsts.items() if value != NOTHING}


@given(windows)
def test_matrix_is_that_of_the_confusion_matrix(windows):
    classes = (1, 2, 7)
    counter, oracle = PairCounter(), ConfusionMatrix(classes)
    for first, second in windows:
        counter.update(first, second)
        both = np.isin(first, classes) & np.isin(second, classes)
        oracle.update(second[both], first[both])
    assert counter.matrix(classes).tolist() == oracle.counts.tolist()


def test_windows_larger_than_a_part_are_counted_whole():
    first = np.zeros((700, 1000), np.uint16)
    first[:, 500:] = 3
    counter = PairCounter()
    counter.update(first, np.full_like(first, 9))
    assert counter.pairs == {(0, 9): 350_000, (3, 9): 350_000}


def test_windows_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        PairCounter().update(np.zeros((2, 3), np.uint16), np.zeros((3, 2), np.uint16))
