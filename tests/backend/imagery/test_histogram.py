# SPDX-License-Identifier: GPL-2.0-or-later
import numpy as np
import pytest
from deep_learning_toolbox.backend.imagery.histogram import BINS, Histogram
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays


def count(parts, is_integer=False):
    histogram = Histogram(is_integer)
    for part in parts:
        histogram.add(np.asarray(part))
    return histogram


def test_bytes_are_counted_one_by_one():
    values = np.random.default_rng(1).integers(0, 256, 5000)
    histogram = count([values[:100], values[100:]], is_integer=True)
    assert histogram.width == 1
    expected = np.bincount(values, minlength=256)
    assert histogram.edges[0] == 0
    assert np.array_equal(histogram.counts, expected)


@given(st.lists(arrays.arrays(np.float32, 7, elements=st.floats(-(2.0**60), 2.0**60, width=32)), min_size=1, max_size=5))
def test_counts_are_those_of_the_bins_whatever_the_order_of_the_values(parts):
    histogram = count(parts)
    values = np.concatenate(parts).astype(float)
    assert 0 < histogram.counts.size <= BINS
    assert histogram.counts.sum() == values.size
    places = np.floor(values / histogram.width)
    first = histogram.edges[0] / histogram.width
    assert np.array_equal(histogram.counts, np.bincount((places - first).astype(int), minlength=histogram.counts.size))


@pytest.mark.parametrize("value", [0.0, -3.5, 1e-30, 1e30])
def test_constant_is_one_bin_that_holds_it(value):
    histogram = count([np.full(9, value)])
    assert histogram.counts.tolist() == [9]
    assert histogram.edges[0] <= value < histogram.edges[1]


def test_bins_of_integers_are_never_narrower_than_one():
    assert count([[5, 6]], is_integer=True).width == 1


def test_without_values_there_are_no_bins():
    histogram = count([np.zeros(0)])
    assert histogram.counts.size == 0
    assert histogram.edges.size == 1
