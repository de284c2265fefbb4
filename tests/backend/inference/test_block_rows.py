# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading by whole rows of blocks: nothing is decoded twice, and the pixels stay the same."""

from collections import Counter

import numpy as np
import pytest
from deep_learning_toolbox.backend.imagery.raster import RasterReader
from deep_learning_toolbox.backend.inference.block_rows import BlockRows, read_step
from deep_learning_toolbox.backend.inference.plan import make_plan
from deep_learning_toolbox.backend.inference.strips import Source, StripReader
from rasterio.windows import Window

from ..rasters import write_raster

BLOCK = 16
TILED = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "DEFLATE"}


@pytest.mark.parametrize(
    ("block", "tile", "step"),
    [
        (512, 512, 512),
        (512, 256, 512),  # small tiles on the usual blocks of a cloud-optimised GeoTIFF
        (256, 768, 512),
        (128, 512, 512),  # a virtual raster, whatever lies behind
        (768, 768, 768),
        (1, 512, 512),
        (1024, 512, 1),  # the rows of such blocks would take more memory than the tiles
        (40_000, 512, 1),  # one block for the whole raster
    ],
)
def test_rows_are_read_to_whole_blocks_unless_these_are_taller_than_tiles(block, tile, step):
    assert read_step(block, tile) == step


@pytest.fixture
def windows(monkeypatch):
    """The windows that are read."""
    read, seen = RasterReader.read_raw, []

    def record(self, window):
        if window.height:
            seen.append((int(window.row_off), int(window.row_off + window.height)))
        return read(self, window)

    monkeypatch.setattr(RasterReader, "read_raw", record)
    return seen


@pytest.mark.parametrize("step", [1, BLOCK, 4 * BLOCK])
@pytest.mark.parametrize("portions", [[5, 7, 40, 1, 20, 27], [100], [1] * 100])
def test_the_rows_are_those_of_the_raster(tmp_path, windows, step, portions):
    values = np.random.default_rng(3).integers(0, 9, (2, 110, 30)).astype(np.uint16)
    source = write_raster(tmp_path / "image.tif", values, nodata=4, **TILED)
    images, valids = [], []
    with RasterReader(source) as reader:
        rows = BlockRows(reader, Window(3, 7, 20, 100), step)
        for count in portions:
            images.append(np.full((2, count, 20), np.nan, np.float32))
            valids.append(rows.read_into(images[-1]))
    wanted = values[:, 7:107, 3:23]
    valid = (wanted != 4).all(axis=0)
    assert np.array_equal(np.concatenate(valids), valid)
    assert np.array_equal(np.concatenate(images, axis=1), np.where(valid, wanted, 0))
    assert all(end % step == 0 for _, end in windows[:-1])
    assert windows[-1][1] == 107  # not beyond what will be asked for
    assert [top for top, _ in windows] == [7, *(end for _, end in windows[:-1])]


def test_a_row_of_blocks_is_decoded_once_for_all_rows_of_tiles(tmp_path, windows):
    values = np.random.default_rng(4).integers(0, 9, (1, 2000, 40)).astype(np.uint8)
    source = write_raster(tmp_path / "image.tif", values, **TILED)
    plan = make_plan(40, 1983, 40, 8, 10**9)
    with StripReader(Source(source, [1]), Window(0, 5, 40, 1983), plan, plan.bands[0], range(len(plan.rows))) as strips:
        for strip in strips:
            if strip is not None:
                top = 5 + plan.rows[strip.row]
                assert np.array_equal(strip.image, values[:, top : top + plan.tile])
    decoded = Counter(block for top, end in windows for block in range(top // BLOCK, -(-end // BLOCK)))
    assert len(plan.rows) > 50
    assert set(decoded) == set(range(-(-1988 // BLOCK)))
    assert set(decoded.values()) == {1}
