# SPDX-License-Identifier: GPL-2.0-or-later
"""Drawing pixels: every pixel of a class has the same chance, and the layout of the file plays no part."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.draw import ALL, ClassCounter, Pixel, PixelDraw, keep_apart
from deep_learning_toolbox.backend.assessment.pairs import NOTHING
from hypothesis import given, settings
from hypothesis import strategies as st


def draw(values, points, heights, seed=0, has_distance=False):
    counter = ClassCounter()
    counter.add(values)
    sizes = {ALL: sum(counter.sizes.values())} if ALL in points else counter.sizes
    pixels = PixelDraw(sizes, points, has_distance, np.random.default_rng(seed))
    top = 0
    for height in heights:
        pixels.add(top, values[top : top + height])
        top += height
    return pixels.pixels()


@given(st.integers(0, 10_000), st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_points_do_not_depend_on_how_the_raster_is_read(seed, heights):
    values = np.random.default_rng(seed).choice([1, 2, NOTHING], (sum(heights), 7)).astype(np.uint16)
    counts = {value: int((values == value).sum()) for value in (1, 2)}
    points = {value: (count + 1) // 2 for value, count in counts.items() if count}
    strips = draw(values, points, heights, seed)
    assert strips == draw(values, points, [sum(heights)], seed)
    for value, pixels in strips.items():
        assert len({(pixel.row, pixel.column) for pixel in pixels}) == points[value]
        assert all(values[pixel.row, pixel.column] == pixel.value == value for pixel in pixels)


def test_every_pixel_of_a_class_has_the_same_chance():
    """2 of 5 pixels, 4000 times: each is drawn 1600 times, with a standard deviation of 31."""
    values = np.array([[1, 2, 1, NOTHING], [1, 1, 2, 1]], np.uint16)
    counts = Counter()
    for seed in range(4000):
        counts.update((pixel.row, pixel.column) for pixel in draw(values, {1: 2}, [1, 1], seed)[1])
    assert len(counts) == 5
    assert all(abs(count - 1600) < 5 * 31 for count in counts.values())


def test_random_sample_takes_any_class_but_no_nodata():
    values = np.array([[1, 2, NOTHING], [NOTHING, 7, 0]], np.uint16)
    pixels = draw(values, {ALL: 4}, [1, 1])[ALL]
    assert {(pixel.row, pixel.column, pixel.value) for pixel in pixels} == {(0, 0, 1), (0, 1, 2), (1, 1, 7), (1, 2, 0)}


@settings(max_examples=50)
@given(st.integers(0, 1000), st.floats(0.5, 60))
def test_points_kept_lie_apart_whatever_the_distance(seed, distance):
    values = np.random.default_rng(seed).choice([1, 2], (12, 12)).astype(np.uint16)
    points = {1: 10, 2: 10}
    kept = keep_apart(draw(values, points, [12], seed, True), points, distance, (2.0, 3.0))
    places = [(pixel.column * 2.0, pixel.row * 3.0) for pixels in kept.values() for pixel in pixels]
    for index, (x, y) in enumerate(places):
        assert all((x - a) ** 2 + (y - b) ** 2 >= distance**2 for a, b in places[:index])
    assert all(len(pixels) <= 10 for pixels in kept.values())
    assert places


def test_rare_class_chooses_its_places_first():
    common = [Pixel(0, column, 1) for column in range(10)]
    kept = keep_apart({1: common, 5: [Pixel(0, 4, 5)]}, {1: 10, 5: 1}, 100, (1.0, 1.0))
    assert kept == {5: [Pixel(0, 4, 5)], 1: []}


def test_counter_leaves_nothing_out():
    counter = ClassCounter()
    for strip in ([[0, 3]], [[3, NOTHING]]):
        counter.add(np.array(strip, np.uint16))
    assert counter.sizes == {0: 1, 3: 2}


def test_more_points_than_pixels_cannot_be_drawn():
    with pytest.raises(ValueError, match="larger sample"):
        draw(np.ones((1, 2), np.uint16), {1: 3}, [1])
