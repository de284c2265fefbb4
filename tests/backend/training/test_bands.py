# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.training.bands import join_bands, merge_statistics


def describe(values, name="red"):
    low, high = np.percentile(values, [0.5, 99.5])
    return BandStatistics(name, values.min(), values.max(), values.mean(), values.std(), low, high, values.size)


def test_merged_statistics_are_those_of_all_pixels():
    random = np.random.default_rng(0)
    left, right = random.normal(50, 5, 300), random.normal(80, 20, 900)
    merged, both = merge_statistics(describe(left), describe(right)), describe(np.concatenate([left, right]))
    for name in ("minimum", "maximum", "mean", "std", "count"):
        assert getattr(merged, name) == pytest.approx(getattr(both, name))
    assert merged.low == min(describe(left).low, describe(right).low)
    assert merged.high == max(describe(left).high, describe(right).high)


def test_a_folder_without_valid_pixels_changes_nothing():
    full = describe(np.arange(10.0))
    assert merge_statistics(full, replace(full, count=0, mean=0.0)) == full
    assert merge_statistics(replace(full, count=0), replace(full, count=0)).count == 0


def test_bands_of_one_name_are_told_apart_by_order():
    twins = [describe(np.arange(5.0), "Band"), describe(np.arange(9.0), "Band")]
    assert join_bands(["a", "b"], [twins, twins])[1] == [[0, 1], [0, 1]]
