# SPDX-License-Identifier: GPL-2.0-or-later
"""The share of valid pixels is that of the result, whose values may be nodata where the stored ones were not."""

import warnings

import numpy as np
import pytest
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError

from ...rasters import write_raster
from .products import landsat, plain
from .running import infos, prepare


@pytest.fixture(autouse=True)
def no_warning_of_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.parametrize("output_type", ["float32", "int16"])
def test_radiance_without_temperature_does_not_count_as_valid(tmp_path, output_type):
    """DN 1 of ETM+: 0.067087 − 0.06709 is below zero, and no body is that cold."""
    stored = plain(100, np.uint8)
    stored[:3] = 1
    product = landsat(tmp_path / "p", sensor="LE07", level="L1TP", bands={"6_VCID_1": stored})
    _, events = prepare(product, tmp_path / "o.tif", bands="thermal", output_type=output_type)
    assert "Valid: at least 50.0 %" in infos(events)


def test_scene_without_any_temperature_is_refused(tmp_path):
    product = landsat(tmp_path / "p", sensor="LE07", level="L1TP", bands={"6_VCID_1": plain(1, np.uint8)})
    with pytest.raises(ToolboxError, match="no valid pixel left"):
        prepare(product, tmp_path / "o.tif", bands="thermal")


def test_value_beyond_float32_is_nodata_and_counted_as_such(tmp_path):
    values = np.full((1, 4, 4), 7.0)
    values[0, 0] = 1e200
    made, events = prepare(write_raster(tmp_path / "a.tif", values), tmp_path / "o.tif")
    assert np.isnan(made[0, 0]).all()
    assert made[0, 1:] == pytest.approx(7)
    assert "Valid: at least 75.0 %" in infos(events)
    made, events = prepare(write_raster(tmp_path / "a.tif", values), tmp_path / "n.tif", scale="none")
    assert (made[0, 0] == 1e200).all()  # stored numbers keep float64
    assert "Valid: at least 100.0 %" in infos(events)


@pytest.mark.parametrize("scale", ["reflectance", "none"])
def test_share_never_exceeds_the_result(tmp_path, scale):
    """A raster that lies half outside the first, resampled: what is counted is what the result holds."""
    first = write_raster(tmp_path / "a.tif", np.ones((1, 8, 8), np.float32))
    moved = Affine(20, 0, 500_035, 0, -20, 5_200_000)
    second = write_raster(tmp_path / "b.tif", np.full((1, 8, 8), 3, np.int16), transform=moved)
    made, events = prepare([first, second], tmp_path / "o.tif", scale=scale)
    valid = np.isfinite(made).mean(axis=(1, 2)).min()
    assert 0.2 < valid < 0.9
    assert f"Valid: at least {100 * valid:.1f} %" in infos(events)
