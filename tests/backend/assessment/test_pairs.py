# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from deep_learning_toolbox.backend.assessment.pairs import NOTHING, NOTHING_8, PairCounter, widen
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

values = st.sampled_from([0, 1, 2, 7, 254, 300, 65_534, NOTHING])
shapes = st.tuples(st.just(2), st.integers(1, 5), st.integers(1, 6))
wide = arrays(np.uint16, shapes, elements=values)
narrow = arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 7, 15, 254, NOTHING_8]))
few = arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2, 7, 14, NOTHING_8]))
windows = st.lists(wide | narrow | few, max_size=4)


@given(windows)
def test_pairs_agree_with_a_plain_count(windows):
    counter = PairCounter()
    expected = Counter()
    for first, second in windows:
        counter.update(first, second)
        expected.update(zip(widen(first).ravel().tolist(), widen(second).ravel().tolist(), strict=True))
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


@given(windows)
def test_ignored_value_counts_as_nothing_afterwards_as_beforehand(windows):
    late, early = PairCounter(), PairCounter()
    for first, second in windows:
        late.update(first, second)
        early.update(widen(first), np.where(widen(second) == 0, np.uint16(NOTHING), widen(second)))
    late.ignore(0)
    assert late.pairs == early.pairs


def test_windows_of_both_kinds_are_compared_by_their_values():
    counter = PairCounter()
    counter.update(np.array([[3, NOTHING_8, 255]], np.uint8), np.array([[300, 255, NOTHING]], np.uint16))
    assert counter.pairs == {(3, 300): 1, (NOTHING, 255): 1, (NOTHING, NOTHING): 1}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2101, 1000)])
@pytest.mark.parametrize("value", [3, 200])
def test_windows_of_any_size_are_counted_whole(dtype, shape, value):
    first = np.zeros(shape, dtype)
    first[-1, -1] = value
    counter = PairCounter()
    counter.update(first, np.full_like(first, 9))
    rest = {(0, 9): first.size - 1} if first.size > 1 else {}
    assert counter.pairs == {**rest, (value, 9): 1}


def test_windows_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        PairCounter().update(np.zeros((2, 3), np.uint16), np.zeros((3, 2), np.uint16))
