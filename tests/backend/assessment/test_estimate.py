# SPDX-License-Identifier: GPL-2.0-or-later
"""The stratified estimators against the worked example of Olofsson et al. (2014) and against exhaustive sampling."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.estimate import StratifiedSample, estimate_map
from hypothesis import given
from hypothesis import strategies as st

# Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015, table 8: points by (map, reference); deforestation, forest gain, stable forest,
# stable non-forest; pixels of each class of the map, 30 m.
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = {1: 200_000, 2: 150_000, 3: 3_200_000, 4: 6_450_000}
CLASSES = (1, 2, 3, 4)
HECTARES = sum(PIXELS.values()) * 0.09


def units(counts, classes=CLASSES):
    """Class in map and reference of each point of a matrix (map, reference)."""
    rows, columns = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    values = np.array(classes)
    return values[rows], values[columns]


@pytest.fixture(scope="module")
def worked_example():
    mapped, reference = units(COUNTS)
    return estimate_map(StratifiedSample(mapped, PIXELS), mapped, reference, CLASSES, True)


def rounded(estimates, digits=2):
    return [(round(entry.value, digits), round(entry.margin, digits)) for entry in estimates]


def test_worked_example_reproduces_overall_and_users_accuracies(worked_example):
    assert rounded([worked_example.overall]) == [(0.95, 0.02)]
    assert rounded(worked_example.users) == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]


def test_worked_example_reproduces_areas_in_hectares(worked_example):
    areas = [(round(entry.value * HECTARES), round(entry.margin * HECTARES)) for entry in worked_example.areas]
    assert areas == [(21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_282)]


def test_worked_example_reproduces_producers_accuracies(worked_example):
    """The paper prints ± 0.23 for forest gain and ± 0.01 for the last class; its own equation 7 gives what stands here."""
    assert rounded(worked_example.producers) == [(0.75, 0.21), (0.85, 0.25), (0.93, 0.03), (0.96, 0.02)]


def test_worked_example_reproduces_the_matrix_of_area_shares(worked_example):
    shares = np.round(worked_example.matrix.counts.T, 4)
    assert shares[0].tolist() == [0.0176, 0, 0.0013, 0.0011]
    assert np.diagonal(shares).tolist() == [0.0176, 0.011, 0.2967, 0.6212]
    assert np.round(worked_example.matrix.support, 4).tolist() == [0.0235, 0.013, 0.3175, 0.646]


def equation_7(counts, pixels, place):
    """Variance of a producer's accuracy, written out as in the paper."""
    total = counts.sum(axis=1)
    sizes = np.array(pixels, float)
    estimated = (sizes[:, None] * counts / total[:, None]).sum(axis=0)
    users = counts[place, place] / total[place]
    producers = sizes[place] * users / estimated[place]
    own = sizes[place] ** 2 * (1 - producers) ** 2 * users * (1 - users) / (total[place] - 1)
    shares = counts[:, place] / total
    others = sum(
        sizes[row] ** 2 * shares[row] * (1 - shares[row]) / (total[row] - 1) for row in range(len(sizes)) if row != place
    )
    return (own + producers**2 * others) / estimated[place] ** 2


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=3, max_size=3),
    st.lists(st.integers(1, 10**9), min_size=3, max_size=3),
)
def test_ratio_estimator_is_the_papers_formula_for_any_matrix(rows, pixels):
    counts = np.array(rows) + 2 * np.eye(3, dtype=int)  # at least two points in every stratum
    classes = (4, 7, 9)
    mapped, reference = units(counts, classes)
    estimates = estimate_map(StratifiedSample(mapped, dict(zip(classes, pixels, strict=True))), mapped, reference, classes, True)
    weights = np.array(pixels) / sum(pixels)
    users = np.diagonal(counts) / counts.sum(axis=1)
    assert estimates.overall.value == pytest.approx((weights * users).sum())
    spread = weights**2 * users * (1 - users) / (counts.sum(axis=1) - 1)
    assert estimates.overall.standard_error == pytest.approx(math.sqrt(spread.sum()), abs=1e-9)
    assert [entry.value for entry in estimates.users] == pytest.approx(users.tolist())
    for place in range(3):
        assert estimates.producers[place].standard_error**2 == pytest.approx(equation_7(counts, pixels, place), abs=1e-12)
    assert sum(entry.value for entry in estimates.areas) == pytest.approx(1)
    assert estimates.matrix.counts.sum() == pytest.approx(1)


def test_variance_is_unbiased_over_all_possible_samples():
    """Two strata, samples with replacement: the mean of the estimated variances is the variance of the estimates."""
    strata = {1: [1, 0, 0, 1, 1], 2: [0, 1, 0]}
    sizes = {1: 500, 2: 300}
    estimates = []
    for first in itertools.product(strata[1], repeat=2):
        for second in itertools.product(strata[2], repeat=3):
            sample = StratifiedSample(np.array([1, 1, 2, 2, 2]), sizes)
            estimates.append(sample.estimate_mean(np.array([*first, *second])))
    values = np.array([entry.value for entry in estimates])
    assert values.mean() == pytest.approx((500 * 0.6 + 300 / 3) / 800)
    assert np.mean([entry.standard_error**2 for entry in estimates]) == pytest.approx(values.var())


def test_strata_of_another_map_are_weighted_by_their_own_sizes():
    """Half of the population is in stratum 1, where the second map is always right, half in 2, where it is right at 1 of 4."""
    strata = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    mapped = np.array([5, 5, 6, 6, 5, 6, 6, 6])
    reference = np.array([5, 5, 6, 6, 5, 5, 5, 5])
    estimates = estimate_map(StratifiedSample(strata, {1: 10, 2: 10}), mapped, reference, (5, 6), False)
    assert estimates.overall.value == pytest.approx((1 + 1 / 4) / 2)
    assert estimates.areas[0].value == pytest.approx((0.5 + 1) / 2)
    assert estimates.users[1].value == pytest.approx((0.5 * 0.5) / (0.5 * 0.5 + 0.5 * 0.75))


def test_stratum_without_points_is_named_and_left_out():
    sample = StratifiedSample(np.array([1, 1, 2, 2]), {1: 50, 2: 25, 3: 25, 4: 0})
    assert sample.left_out == (3,)
    assert sample.covered == 0.75
    assert sample.estimate_mean(np.array([1, 1, 0, 0])).value == pytest.approx(50 / 75)


def test_one_point_in_a_stratum_leaves_only_the_intervals_that_do_not_need_it():
    mapped, reference = np.array([1, 1, 1, 2]), np.array([1, 1, 2, 2])
    estimates = estimate_map(StratifiedSample(mapped, {1: 50, 2: 50}), mapped, reference, (1, 2), True)
    assert estimates.sample.lonely == (2,)
    assert estimates.overall.value == pytest.approx((2 / 3 + 1) / 2)
    assert math.isnan(estimates.overall.margin)
    assert estimates.users[0].margin == pytest.approx(1.96 * math.sqrt(2 / 9 / 2))
    assert math.isnan(estimates.users[1].margin)
    assert math.isnan(estimates.areas[0].margin)


def test_class_that_is_nowhere_has_no_accuracy_and_no_area():
    mapped = reference = np.array([1, 1])
    estimates = estimate_map(StratifiedSample(mapped, {1: 9}), mapped, reference, (1, 8), True)
    assert math.isnan(estimates.users[1].value)
    assert math.isnan(estimates.producers[1].value)
    assert estimates.areas[1].value == 0


def test_units_in_a_stratum_without_size_are_refused():
    with pytest.raises(ValueError, match=r"\[3\]"):
        StratifiedSample(np.array([1, 3]), {1: 10})


def test_intervals_cover_the_truth_as_often_as_they_say():
    """2,000 samples of 300 points a class from a map of which everything is known: 95 %, ± 0.5 % by chance.

    With few points the normal distribution is a poor guess, as the tool says: with 50 it is 89 to 92 % for the same map.
    """
    generator = np.random.default_rng(11)
    mapped = np.repeat([1, 2, 3], [140_000, 50_000, 10_000])
    truth = np.where(generator.random(mapped.size) < 0.15, generator.choice([1, 2, 3], mapped.size), mapped)
    places = {value: np.flatnonzero(mapped == value) for value in (1, 2, 3)}
    sizes = {value: place.size for value, place in places.items()}
    covered = np.zeros(4)
    rounds = 2000
    for _ in range(rounds):
        drawn = np.concatenate([generator.choice(place, 300) for place in places.values()])
        sample = StratifiedSample(mapped[drawn], sizes)
        right = sample.estimate_mean(mapped[drawn] == truth[drawn])
        covered[0] += abs(right.value - (mapped == truth).mean()) <= right.margin
        for value in (1, 2, 3):
            area = sample.estimate_mean(truth[drawn] == value)
            covered[value] += abs(area.value - (truth == value).mean()) <= area.margin
    assert np.all(np.abs(covered / rounds - 0.95) < 0.02), covered / rounds
