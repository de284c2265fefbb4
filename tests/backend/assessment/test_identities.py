# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for every confusion matrix, and agreement with scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

squares = st.integers(1, 12).flatmap(lambda size: arrays(np.int64, (size, size), elements=st.integers(0, 10**9)))


@given(squares)
def test_large_matrices_keep_their_identities(counts):
    matrix = ConfusionMatrix.from_counts(range(len(counts)), counts)
    if not counts.sum():
        assert np.isnan(matrix.overall_accuracy)
        return
    overall, quantity, allocation = matrix.overall_accuracy, matrix.quantity_disagreement, matrix.allocation_disagreement
    assert overall + quantity + allocation == pytest.approx(1)
    assert 0 <= quantity <= 1
    assert allocation >= -1e-12
    assert np.nansum(matrix.recall * matrix.support) == pytest.approx(overall * matrix.total)
    assert np.nansum(matrix.precision * counts.sum(axis=0)) == pytest.approx(overall * matrix.total)
    f1 = matrix.f1
    assert np.allclose(matrix.iou, f1 / (2 - f1), equal_nan=True)
    assert np.isnan(matrix.kappa) or matrix.kappa <= 1 + 1e-12
    turned = ConfusionMatrix.from_counts(range(len(counts)), counts.T)
    assert np.allclose(turned.precision, matrix.recall, equal_nan=True)
    assert turned.quantity_disagreement == pytest.approx(quantity)


@given(squares, st.floats(1e-12, 1e3))
@example(np.array([[105_197_385]]), 0.25)  # chance explains all: kappa must not depend on rounding
def test_shares_give_the_figures_of_the_counts(counts, factor):
    values = range(len(counts))
    by_counts, by_shares = ConfusionMatrix.from_counts(values, counts), ConfusionMatrix.from_counts(values, counts * factor)
    for name in ("overall_accuracy", "kappa", "mean_iou", "mean_f1", "quantity_disagreement", "precision", "recall"):
        assert np.allclose(getattr(by_counts, name), getattr(by_shares, name), equal_nan=True), name


@given(st.integers(0, 10_000), st.integers(2, 9))
def test_figures_agree_with_scikit_learn(seed, classes):
    generator = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), generator.integers(0, classes, 300)])
    prediction = np.where(generator.random(truth.size) < 0.6, truth, generator.integers(0, classes, truth.size))
    matrix = ConfusionMatrix(range(classes))
    matrix.update(truth, prediction)
    assert matrix.counts.tolist() == metrics.confusion_matrix(truth, prediction, labels=range(classes)).tolist()
    assert matrix.overall_accuracy == pytest.approx(metrics.accuracy_score(truth, prediction))
    assert matrix.kappa == pytest.approx(metrics.cohen_kappa_score(truth, prediction))
    assert matrix.mean_iou == pytest.approx(metrics.jaccard_score(truth, prediction, average="macro"))
    assert matrix.mean_f1 == pytest.approx(metrics.f1_score(truth, prediction, average="macro"))
    assert matrix.mean_recall == pytest.approx(metrics.balanced_accuracy_score(truth, prediction))


def test_disagreement_of_a_known_matrix():
    """10 units: the map has 6 of class 1 where there are 5, so 1 is quantity; 2 more lie in the wrong place."""
    matrix = ConfusionMatrix.from_counts([1, 2], [[4, 1], [2, 3]])
    assert matrix.quantity_disagreement == pytest.approx(0.1)
    assert matrix.allocation_disagreement == pytest.approx(0.2)


def test_prediction_outside_the_classes_is_quantity_disagreement():
    matrix = ConfusionMatrix([1, 2])
    matrix.update([1, 1, 2, 2], [1, 9, 2, 2])
    assert matrix.quantity_disagreement == pytest.approx(0.25)
    assert matrix.allocation_disagreement == pytest.approx(0)


@pytest.mark.parametrize("counts", [[[1, 2]], [[1, -1], [0, 1]], [[np.nan, 0], [0, 1]]])
def test_counts_that_are_no_matrix_are_refused(counts):
    with pytest.raises(ValueError, match="counts"):
        ConfusionMatrix.from_counts([1, 2], counts)
