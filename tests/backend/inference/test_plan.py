# SPDX-License-Identifier: GPL-2.0-or-later
import itertools

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.inference.blend import BlendBuffer
from deep_learning_toolbox.backend.inference.plan import make_plan, tile_starts, tile_weights
from hypothesis import given, settings
from hypothesis import strategies as st

TILES = st.integers(4, 24)


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "starts"),
    [
        (1000, 512, 64, [0, 244, 488]),
        (600, 512, 64, [0, 88]),
        (512, 512, 64, [0]),  # exactly one tile
        (1, 512, 64, [0]),  # smaller than a tile
        (960, 512, 64, [0, 448]),  # fits with exactly the overlap
        (1024, 512, 0, [0, 512]),
    ],
)
def test_tiles_are_spread_evenly_and_flush_with_the_edges(length, tile, overlap, starts):
    assert tile_starts(length, tile, overlap) == starts


@settings(deadline=None)
@given(st.integers(1, 200), TILES, st.data())
def test_neighbours_share_the_overlap_and_every_pixel_is_covered(length, tile, data):
    overlap = data.draw(st.integers(0, tile // 2))
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(length - tile, 0)
    assert all(0 < b - a <= tile - overlap for a, b in itertools.pairwise(starts))


@settings(deadline=None)
@given(st.integers(1, 200), TILES, st.data())
def test_weights_of_all_tiles_add_up_to_one_at_every_pixel(length, tile, data):
    starts = tile_starts(length, tile, data.draw(st.integers(0, tile // 2)))
    total = np.zeros(starts[-1] + tile)
    for start, weight in zip(starts, tile_weights(starts, tile), strict=True):
        assert (weight > 0).all()
        total[start : start + tile] += weight
    assert np.allclose(total, 1, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), TILES, st.data())
def test_strips_blend_like_the_whole_raster_in_memory(width, height, tile, data):
    overlap = data.draw(st.integers(0, tile // 2))
    plan = make_plan(width, height, tile, overlap, widest_band=width)
    random = np.random.default_rng(1)
    places = [(row, column) for row in range(len(plan.rows)) for column in range(len(plan.columns))]
    tiles = {place: random.random((3, tile, tile)).astype(np.float32) for place in places}
    whole = np.zeros((3, plan.rows[-1] + tile, plan.columns[-1] + tile))
    down, across = tile_weights(plan.rows, tile), tile_weights(plan.columns, tile)
    for (row, column), values in tiles.items():
        top, left = plan.rows[row], plan.columns[column]
        whole[:, top : top + tile, left : left + tile] += values * down[row][:, None] * across[column]
    buffer, parts = BlendBuffer(plan, plan.bands[0], 3, "cpu"), []
    for row in range(len(plan.rows)):
        for column in range(len(plan.columns)):
            buffer.add(row, column, torch.from_numpy(tiles[row, column]))
        parts.append(buffer.final(row).numpy().copy())
        buffer.advance(row)
    blended = np.concatenate(parts, axis=1)
    assert blended.shape == (3, height, width)
    assert np.allclose(blended, whole[:, :height, :width], atol=1e-6)


@given(st.integers(1, 6000), st.integers(100, 6000))
def test_column_bands_tile_the_width_and_stay_below_the_limit(width, widest):
    plan = make_plan(width, 10, 64, 8, widest)
    edges = [(band.left, band.right) for band in plan.bands]
    assert edges[0][0] == 0
    assert edges[-1][1] == width
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    for band in plan.bands:
        covered = plan.columns[band.tiles[-1]] + 64 - plan.columns[band.tiles[0]]
        assert covered <= max(widest, 512 + 2 * 64)


def test_buffer_does_not_grow_with_the_height():
    sizes = {BlendBuffer(make_plan(300, height, 64, 8, 300), make_plan(300, height, 64, 8, 300).bands[0], 5, "cpu")._sums.numel()
             for height in (100, 10_000)}  # fmt: skip
    assert sizes == {5 * 64 * 300}


def test_overlap_factor_counts_what_the_network_computes():
    assert make_plan(960, 960, 512, 64, 960).overlap_factor == pytest.approx(4 * 512**2 / 960**2)
