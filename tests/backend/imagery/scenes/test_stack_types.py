# SPDX-License-Identifier: GPL-2.0-or-later
"""Types, scales and masks of rasters in a list survive."""

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

from ...rasters import write_raster
from .running import prepare, warnings


def test_large_identifiers_are_kept_or_their_rounding_is_told(tmp_path):
    large = write_raster(tmp_path / "large.tif", np.full((1, 4, 4), 16_777_217, np.uint32))
    small = write_raster(tmp_path / "small.tif", np.full((1, 4, 4), 5, np.uint8), nodata=255)
    _, events = prepare([large], tmp_path / "o.tif")
    assert "rounded in the result: large" in warnings(events)
    values, events = prepare([large, small], tmp_path / "o.tif", scale="none")
    assert values[0, 0, 0] == 16_777_217
    assert warnings(events) == ""


def test_unscaled_rasters_keep_their_scale_and_offset(tmp_path):
    source = write_raster(tmp_path / "a.tif", np.full((1, 4, 4), 5, np.int16), nodata=-1)
    with rasterio.open(source, "r+") as opened:
        opened.scales, opened.offsets = (0.5,), (2,)
    values, _ = prepare([source], tmp_path / "o.tif", scale="none")
    assert values[0, 0, 0] == 5
    with rasterio.open(tmp_path / "o.tif") as made:
        assert (made.scales, made.offsets) == ((0.5,), (2,))


def test_alpha_band_is_a_mask_not_imagery(tmp_path):
    values = np.full((4, 4, 4), 100, np.uint8)
    values[3, 0, 0] = 0
    source = write_raster(tmp_path / "photo.tif", values, photometric="RGB", alpha="YES")
    with rasterio.open(source) as opened:
        assert opened.colorinterp[3] == ColorInterp.alpha
    made, _ = prepare([source], tmp_path / "o.tif")
    assert len(made) == 3
    assert np.argwhere(np.isnan(made[0])).tolist() == [[0, 0]]
    made, _ = prepare([source], tmp_path / "o.tif", resolution=5)
    assert np.isnan(made[0]).sum() == 4
