# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import math

import pytest
from deep_learning_toolbox.backend.assessment.allocation import allocate, expected_margin, read_expected_accuracy, sample_size
from deep_learning_toolbox.backend.errors import ToolboxError
from hypothesis import given
from hypothesis import strategies as st

# The planning example of Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015, section 5.1.1.
SIZES = {1: 200_000, 2: 150_000, 3: 3_200_000, 4: 6_450_000}
EXPECTED = {1: 0.7, 2: 0.6, 3: 0.9, 4: 0.95}


def test_published_planning_example_needs_641_points():
    assert sample_size(SIZES, EXPECTED, 1.96 * 0.01, "stratified") == 641


def test_random_sample_size_is_the_binomial_one():
    assert sample_size({1: 10, 2: 10}, {1: 0.5, 2: 0.5}, 0.098, "random") == 100  # 0.25 / 0.05²


@given(
    st.dictionaries(st.integers(1, 50), st.integers(1, 10**6), min_size=1, max_size=6),
    st.floats(0.05, 0.95),
    st.floats(0.01, 0.2),
)
def test_equalised_sample_size_reaches_the_margin_asked_for(sizes, accuracy, margin):
    expected = dict.fromkeys(sizes, accuracy)
    count = sample_size(sizes, expected, margin, "equalized")
    points = dict.fromkeys(sizes, count / len(sizes))
    assert expected_margin(sizes, expected, points) <= margin * 1.0001


def test_expected_margin_is_that_of_the_published_allocation():
    """Their proportional allocation has a standard error of the overall accuracy of 0.011."""
    points = {1: 13, 2: 10, 3: 205, 4: 413}
    by_hand = sum((SIZES[k] / 1e7) ** 2 * EXPECTED[k] * (1 - EXPECTED[k]) / points[k] for k in SIZES)
    assert expected_margin(SIZES, EXPECTED, points) == pytest.approx(1.96 * math.sqrt(by_hand))
    assert math.isnan(expected_margin(SIZES, EXPECTED, {1: 5}))


def test_proportional_allocation_rounds_to_the_sum():
    assert allocate(100, {1: 200, 2: 100, 3: 100}, "stratified", 0) == {1: 50, 2: 25, 3: 25}
    assert allocate(10, {1: 1, 2: 1, 3: 1}, "stratified", 0) == {1: 1, 2: 1, 3: 1}
    assert allocate(7, {1: 100, 2: 100, 3: 100}, "stratified", 0) == {1: 3, 2: 2, 3: 2}
    assert allocate(100, {1: 990, 2: 10}, "stratified", 20) == {1: 99, 2: 10}


def test_equalised_allocation_gives_the_rest_of_small_classes_to_the_others():
    assert allocate(90, {1: 1000, 2: 1000, 3: 10}, "equalized", 0) == {1: 40, 2: 40, 3: 10}


sizes = st.dictionaries(st.integers(1, 99), st.integers(1, 500), min_size=1, max_size=8)


@given(st.integers(0, 3000), sizes, st.sampled_from(["stratified", "equalized"]), st.integers(0, 60))
def test_allocation_never_falls_short_and_never_exceeds_a_class(count, sizes, sampling, minimum):
    points = allocate(count, sizes, sampling, minimum)
    assert sum(points.values()) >= min(count, sum(sizes.values()))
    assert all(min(minimum, sizes[value]) <= points[value] <= sizes[value] for value in sizes)
    if sampling == "stratified" and minimum == 0:
        assert sum(points.values()) == min(count, sum(sizes.values()))
    if sampling == "equalized":
        unlimited = {points[value] for value in sizes if points[value] < sizes[value]}
        assert len(unlimited) <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.8", {1: 0.8, 2: 0.8}),
        (" 0,75 ", {1: 0.75, 2: 0.75}),
        ("1=0.7; 2=0.6", {1: 0.7, 2: 0.6}),
        ("2 = 0.6 ; 0.9", {1: 0.9, 2: 0.6}),
    ],
)
def test_expected_accuracy_is_read(text, expected):
    assert read_expected_accuracy(text, [1, 2]) == expected


@pytest.mark.parametrize("text", ["", "x", "1=", "=0.5", "1=0.5", "0", "1", "nan", "3=0.5;0.8"])
def test_expected_accuracy_that_cannot_be_used_is_refused(text):
    with pytest.raises(ToolboxError, match="EXPECTED_ACCURACY"):
        read_expected_accuracy(text, [1, 2])
