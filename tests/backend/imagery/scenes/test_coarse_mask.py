# SPDX-License-Identifier: GPL-2.0-or-later
"""A cloud that is smaller than a cell of the output is not averaged into it."""

import numpy as np
import pytest
from deep_learning_toolbox.backend.imagery.scenes import masker

from .products import landsat, plain
from .running import infos, prepare

CLOUD, BRIGHT = 22_280, 40_000


@pytest.fixture
def product(tmp_path):
    """One cell of 30 m is a bright cloud, (2, 2) of 6 × 6."""
    quality, red = plain(21_824), plain(10_000)
    quality[2, 2], red[2, 2] = CLOUD, BRIGHT
    return landsat(tmp_path / "p", quality=quality, bands={"4": red})


@pytest.mark.parametrize("resolution", [60.0, 90.0])
@pytest.mark.parametrize("row", [2, 3])
@pytest.mark.parametrize("column", [2, 3])
def test_cell_that_holds_a_cloud_is_masked_wherever_in_it_the_cloud_is(tmp_path, resolution, row, column):
    quality = plain(21_824)
    quality[row, column] = CLOUD
    product = landsat(tmp_path / "p", quality=quality)
    values, events = prepare(product, tmp_path / "o.tif", mask_clouds=True, resolution=resolution, bands="red")
    size = int(resolution // 30)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[row // size, column // size]]
    assert f"cloud {100 / values[0].size:.1f} %" in infos(events)


def test_nearest_takes_image_and_mask_from_the_same_cell(tmp_path, product):
    options = {"resolution": 90.0, "bands": "red", "resampling": "nearest"}
    without, _ = prepare(product, tmp_path / "o.tif", **options)
    values, _ = prepare(product, tmp_path / "o.tif", mask_clouds=True, **options)
    assert without[0] == pytest.approx(np.full((2, 2), 0.075))  # the cloud is in none of the cells that are taken
    assert values[0] == pytest.approx(without[0])


def test_mask_is_the_same_whatever_the_size_of_the_strips(tmp_path, product, monkeypatch):
    options = {"resolution": 60.0, "bands": "red", "mask_clouds": True}
    whole, _ = prepare(product, tmp_path / "o.tif", **options)
    monkeypatch.setattr(masker, "STRIP_PIXELS", 1)
    strips, _ = prepare(product, tmp_path / "o.tif", **options)
    np.testing.assert_array_equal(whole, strips)
    assert np.isnan(whole[0, 1, 1])
