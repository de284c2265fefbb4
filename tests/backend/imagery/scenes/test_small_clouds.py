# SPDX-License-Identifier: GPL-2.0-or-later
"""Clouds smaller than a cell of the result."""

import numpy as np
import pytest

from .products import SIDE, sentinel2
from .running import prepare

CLOUD, VEGETATION = 9, 4


@pytest.mark.parametrize(("resampling", "masked"), [("bilinear", True), ("cubic", True), ("nearest", False)])
def test_a_small_cloud_of_the_fine_classification_is_heeded_where_cells_are_averaged(tmp_path, resampling, masked):
    """The product has a classification at 60 m too, which does not show the cloud; nearest takes it, as the cells are the agency's."""
    fine = np.full((SIDE // 2, SIDE // 2), VEGETATION, np.uint8)
    fine[1, 1] = CLOUD  # one cell of 20 m, within the first of 60 m
    product = sentinel2(tmp_path, scl=fine)
    values, _ = prepare(product, tmp_path / "out.tif", bands="red", resolution=60.0, resampling=resampling, mask_clouds=True)
    assert np.isnan(values[0, 0, 0]) == masked
    assert np.isfinite(values[0, 1, 1])
