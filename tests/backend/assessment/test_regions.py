# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
from affine import Affine
from deep_learning_toolbox.backend.assessment import regions
from deep_learning_toolbox.backend.assessment.pairs import NOTHING
from deep_learning_toolbox.backend.assessment.regions import RegionCollector
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from ..rasters import NORTH_UP


def collect(mapped, reference, heights, transform=NORTH_UP):
    collector = RegionCollector(transform)
    top = 0
    for height in heights:
        rows = slice(top, top + height)
        collector.add(Window(0, top, mapped.shape[1], height), mapped[rows], reference[rows])
        top += height
    return collector, collector.finish()


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_regions_burned_again_are_what_is_wrong(seed, heights):
    generator = np.random.default_rng(seed)
    mapped, reference = generator.choice([0, 1, 700, NOTHING], (2, sum(heights), 6)).astype(np.uint16)
    collector, found = collect(mapped, reference, heights)
    burned = np.full(mapped.shape, -1, np.int64)
    for region in found:
        inside = rasterio.features.rasterize([region.polygon], mapped.shape, transform=NORTH_UP)
        assert inside.sum() == region.pixels
        burned[inside == 1] = region.mapped << 16 | region.reference
    wrong = (mapped != reference) & (mapped != NOTHING) & (reference != NOTHING)
    assert np.array_equal(burned, np.where(wrong, mapped.astype(np.int64) << 16 | reference, -1))
    assert collector.wrong_pixels == wrong.sum()
    assert [region.pixels for region in found] == sorted((region.pixels for region in found), reverse=True)


def test_of_very_many_regions_the_largest_are_kept(monkeypatch):
    monkeypatch.setattr(regions, "MOST_PER_STRIP", 20)
    monkeypatch.setattr(regions, "MOST_REGIONS", 3)
    reference = np.ones((40, 60), np.uint16)
    mapped = reference.copy()
    mapped[::2, ::2] = 2  # 600 single pixels
    mapped[5:15, 5:15] = 4  # 100 pixels
    mapped[20:28, 20:28] = 5  # 64 pixels
    collector, found = collect(mapped, reference, [40], Affine.identity())
    assert [(region.mapped, region.pixels) for region in found] == [(4, 100), (5, 64)]
    assert collector.wrong_pixels == (mapped != 1).sum()


def test_regions_of_two_confusions_that_touch_stay_apart():
    _, found = collect(np.array([[2, 3, 3]], np.uint16), np.array([[1, 1, 1]], np.uint16), [1])
    assert [(region.mapped, region.reference, region.pixels) for region in found] == [(3, 1, 2), (2, 1, 1)]
    assert [region.polygon.area for region in found] == pytest.approx([200, 100])
