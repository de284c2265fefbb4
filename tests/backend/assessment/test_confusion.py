# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import math

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from hypothesis import given
from hypothesis import strategies as st


def test_known_figures():
    """Two classes: 6 of 8 water pixels found, 1 of 2 forest pixels, the rest confused."""
    matrix = ConfusionMatrix([1, 2])
    matrix.update([1] * 8 + [2] * 2, [1] * 6 + [2] * 2 + [2, 1])
    assert matrix.counts.tolist() == [[6, 2], [1, 1]]
    assert matrix.overall_accuracy == pytest.approx(0.7)
    assert matrix.recall.tolist() == pytest.approx([6 / 8, 1 / 2])
    assert matrix.precision.tolist() == pytest.approx([6 / 7, 1 / 3])
    assert matrix.iou.tolist() == pytest.approx([6 / 9, 1 / 4])
    assert matrix.f1.tolist() == pytest.approx([12 / 15, 2 / 5])
    assert matrix.mean_iou == pytest.approx((6 / 9 + 1 / 4) / 2)
    assert matrix.mean_f1 == pytest.approx(0.6)
    assert matrix.mean_recall == pytest.approx(0.625)
    assert matrix.kappa == pytest.approx((0.7 - 0.62) / 0.38)  # chance: (8·7 + 2·3) / 100


def test_unlabelled_and_unknown_labels_do_not_count():
    matrix = ConfusionMatrix([3, 1])
    matrix.update(np.array([[0, 255], [-1, 3]]), np.array([[1, 1], [1, 3]]))
    assert matrix.total == 1
    assert matrix.counts.tolist() == [[1, 0], [0, 0]]


def test_zero_counts_when_it_is_a_class():
    matrix = ConfusionMatrix([0, 1])
    matrix.update([0, 1], [0, 0])
    assert matrix.counts.tolist() == [[1, 0], [1, 0]]


def test_a_prediction_outside_the_classes_is_wrong():
    matrix = ConfusionMatrix([1, 2])
    matrix.update([1, 1], [1, 9])
    assert matrix.overall_accuracy == 0.5
    assert matrix.recall[0] == 0.5
    assert matrix.precision[0] == 1.0


def test_means_leave_out_classes_without_labels():
    matrix = ConfusionMatrix([1, 2, 3])
    matrix.update([1, 1], [1, 2])
    assert matrix.mean_iou == pytest.approx(0.5)
    assert math.isnan(matrix.recall[1])
    assert math.isnan(matrix.iou[2])


def test_nothing_gives_nan_and_no_warning():
    matrix = ConfusionMatrix([1])
    with np.errstate(all="raise"):
        assert all(math.isnan(value) for value in (matrix.overall_accuracy, matrix.mean_iou, matrix.mean_f1, matrix.kappa))


def test_kappa_is_undefined_when_chance_alone_explains_all():
    matrix = ConfusionMatrix([1, 2])
    matrix.update([1], [1])
    assert math.isnan(matrix.kappa)


@pytest.mark.parametrize(("values", "label"), [([], [1]), ([1, 1], [1])])
def test_class_values_must_be_given_once(values, label):
    with pytest.raises(ValueError, match="distinct"):
        ConfusionMatrix(values)


def test_unequal_sizes_are_refused():
    with pytest.raises(ValueError, match="label has 2 pixels, prediction 1"):
        ConfusionMatrix([1]).update([1, 1], [1])


pixels = st.lists(st.tuples(st.sampled_from([0, 2, 5, 9, 300]), st.sampled_from([2, 5, 9, 77])), max_size=60)


@given(pixels, pixels)
def test_counts_agree_with_a_plain_count_over_batches(first, second):
    values = [5, 2, 9]
    matrix = ConfusionMatrix(values)
    for batch in (first, second):
        matrix.update(np.array([row for row, _ in batch], np.uint16), np.array([column for _, column in batch], np.uint16))
    everything = first + second
    expected = [[everything.count((row, column)) for column in values] for row in values]
    assert matrix.counts.tolist() == expected
    labelled = [(row, column) for row, column in everything if row in values]
    assert matrix.total == len(labelled)
    if labelled:
        assert matrix.overall_accuracy == pytest.approx(sum(row == column for row, column in labelled) / len(labelled))
        for place, value in enumerate(values):
            union = sum(value in pair for pair in labelled)
            both = sum(pair == (value, value) for pair in labelled)
            assert matrix.iou[place] == pytest.approx(both / union, nan_ok=True) if union else math.isnan(matrix.iou[place])
