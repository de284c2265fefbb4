# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks are loaded once and windows cut from them; the export reads and burns nothing twice."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from deep_learning_toolbox.backend.chips.window_cache import WindowCache
from deep_learning_toolbox.backend.imagery.raster import RasterReader
from deep_learning_toolbox.backend.labels.vector import VectorLabels
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from ..rasters import pixel_box
from .test_export import image, run

GRID = np.arange(30 * 40).reshape(30, 40)
FILL = (np.full((1, 1), -1), np.zeros((1, 1), bool))


def make_cache(pool, block, loaded):
    def load(window):
        loaded.append((window.col_off, window.row_off))
        part = GRID[window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width]
        return part, np.ones(part.shape, bool)

    return WindowCache(load, (40, 30), block, pool)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 45), st.integers(1, 35)),
    st.lists(st.tuples(st.integers(-10, 45), st.integers(-10, 35), st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=5),
)
def test_windows_are_those_of_the_grid_and_no_block_is_loaded_twice(block, windows):
    padded = np.full((30 + 90, 40 + 90), -1)
    padded[40:70, 40:80] = GRID
    loaded = []
    with ThreadPoolExecutor(2) as pool:
        cache = make_cache(pool, block, loaded)
        for left, top, width, height in windows:
            values, inside = cache.claim(Window(left, top, width, height)).cut(FILL)
            expected = padded[40 + top : 40 + top + height, 40 + left : 40 + left + width]
            assert np.array_equal(values, expected)
            assert np.array_equal(inside, expected >= 0)
    assert len(loaded) == len(set(loaded))


def test_claim_keeps_blocks_that_the_cache_has_dropped():
    loaded = []
    with ThreadPoolExecutor(1) as pool:
        cache = make_cache(pool, (10, 10), loaded)
        claim = cache.claim(Window(0, 0, 10, 10))
        cache.drop_above(10)
        assert np.array_equal(claim.cut(FILL)[0], GRID[:10, :10])
        cache.claim(Window(0, 0, 10, 10)).cut(FILL)
    assert loaded == [(0, 0), (0, 0)]


@pytest.mark.parametrize("tiled", [True, False])
def test_export_with_overlap_reads_every_pixel_once_and_burns_it_once(tmp_path, monkeypatch, tiled):
    read, burned = np.zeros((640, 600), int), np.zeros((640, 600), int)

    def count(target, window):
        target[window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width] += 1

    read_raw, burn = RasterReader.read_raw, VectorLabels.burn
    monkeypatch.setattr(RasterReader, "read_raw", lambda self, window: (count(read, window), read_raw(self, window))[1])
    monkeypatch.setattr(VectorLabels, "burn", lambda self, window: (count(burned, window), burn(self, window))[1])
    profile = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {}
    pairs = [(pixel_box(0, 0, 600, 640), 1)]
    folder, _ = run(tmp_path, image(640, 600), pairs, (1,), profile, tile_size_x=64, tile_size_y=64, stride_x=32, stride_y=32)
    assert len(folder.chips) > 300
    assert (read == 1).all()
    assert (burned == 1).all()


def test_export_of_few_labels_reads_little(tmp_path, monkeypatch):
    read = []
    read_raw = RasterReader.read_raw
    monkeypatch.setattr(RasterReader, "read_raw", lambda self, window: (read.append(window), read_raw(self, window))[1])
    profile = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    run(tmp_path, image(1500, 1500, "uint8", 1), [(pixel_box(700, 700, 704, 704), 1)], (1,), profile)
    assert sum(window.width * window.height for window in read) <= 256 * 256
