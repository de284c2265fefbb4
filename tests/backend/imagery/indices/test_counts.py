# SPDX-License-Identifier: GPL-2.0-or-later
"""What the stage ``indices`` counts: shares are of what they speak of, and extreme values are nodata without a warning of NumPy."""

import warnings

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.errors import ToolboxError

from ...rasters import write_raster
from .test_compute import run, texts


@pytest.fixture(autouse=True)
def no_warning_of_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def test_share_of_a_band_is_of_the_pixels_with_data_in_that_band(tmp_path):
    """Red is above 1 at 16 of its 64 pixels; the index has data at 8 pixels only, of which 16 would be 200 %."""
    values = np.full((2, 8, 8), 0.4, np.float32)
    values[0, :2] = 1.5
    values[1, 1:] = -9999
    image = write_raster(tmp_path / "a.tif", values, names=["red", "nir"], nodata=-9999)
    _, events = run(image, tmp_path / "o.tif", "NDVI")
    assert "Band red: 16 pixels (25 % of the valid ones)" in texts(events)


def test_share_of_all_pixels_is_100(tmp_path):
    image = write_raster(tmp_path / "a.tif", np.full((2, 8, 8), -0.1, np.float32), names=["red", "nir"])
    _, events = run(image, tmp_path / "o.tif", "NDVI;x=1/(N-R)+0*N;y=N")
    assert "Band red: 64 pixels (100 % of the valid ones)" in texts(events)
    assert "x: 64 pixels (100 % of the valid ones) have no finite value" in texts(events)


def test_value_beyond_float32_after_its_scale_is_nodata_everywhere(tmp_path):
    values = np.full((2, 4, 4), 0.4)
    values[1, 0, 0] = 1e30
    image = write_raster(tmp_path / "a.tif", values, names=["red", "nir"])
    with rasterio.open(image, "r+") as raster:
        raster.scales = (1, 1e20)
    made, events = run(image, tmp_path / "o.tif", "DVI;x=N**9", append=True)
    assert np.argwhere(np.isnan(made[1])).tolist() == [[0, 0]]
    assert made[1, 1, 1] == pytest.approx(4e19)
    assert np.argwhere(np.isnan(made[2])).tolist() == [[0, 0]]
    assert "x: 15 pixels (100 % of" in texts(events)


def test_formulas_that_overflow_or_divide_by_zero_warn_the_user_only(tmp_path):
    values = np.full((2, 4, 4), 0.5)
    values[0, 0] = 0
    image = write_raster(tmp_path / "a.tif", values, names=["red", "nir"])
    made, events = run(image, tmp_path / "o.tif", "x=N/R;y=(0-N)**0.3+R/R;z=10**(400*R)")
    assert np.isnan(made[0, 0]).all()
    assert made[0, 1] == pytest.approx(1)
    assert np.isnan(made[1]).all()
    assert made[2, 0] == pytest.approx(1)
    assert np.isnan(made[2, 1]).all()
    assert "z: 12 pixels (75 % of" in texts(events)


def test_kernel_without_width_is_undefined_and_told(tmp_path):
    values = np.full((2, 4, 4), 0.5)
    image = write_raster(tmp_path / "a.tif", values, names=["red", "nir"])
    _, events = run(image, tmp_path / "o.tif", "kNDVI;NDVI", parameters="sigma=0")
    assert "kNDVI: 16 pixels (100 % of" in texts(events)
    with pytest.raises(ToolboxError, match="No index has a value"):
        run(image, tmp_path / "o.tif", "kNDVI", parameters="sigma=0")
