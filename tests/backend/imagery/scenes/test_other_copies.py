# SPDX-License-Identifier: GPL-2.0-or-later
"""A band file elsewhere, such as a clipped copy, is never silently exchanged for the product's own file of that name."""

import numpy as np
import pytest
from deep_learning_toolbox.backend.errors import ToolboxError

from .products import LANDSAT_TRANSFORM, landsat, sentinel2, write_jp2, write_tif
from .running import prepare


def make_landsat(folder):
    """Band 4 of the product, and a copy of band 5 elsewhere, with other numbers."""
    product = landsat(folder / "p")
    original = next(product.glob("*SR_B5.TIF"))
    copy = folder / "clipped" / original.name
    write_tif(copy, np.full((6, 6), 30_000, np.uint16), LANDSAT_TRANSFORM)
    return next(product.glob("*SR_B4.TIF")), copy


def make_sentinel2(folder):
    """Band 3 of the product, and a copy of band 4 elsewhere, with other numbers."""
    product = sentinel2(folder)
    original = next(product.rglob("*B04_10m.jp2"))
    copy = folder / "clipped" / original.name
    write_jp2(copy, np.full((12, 12), 30_000, np.uint16), 10)
    return next(product.rglob("*B03_10m.jp2")), copy


@pytest.mark.parametrize("make", [make_landsat, make_sentinel2])
def test_copy_of_a_band_elsewhere_is_refused_by_name(tmp_path, make):
    own, copy = make(tmp_path)
    with pytest.raises(ToolboxError, match=f"clipped/{copy.name} is not the file that lies with its product's metadata"):
        prepare([own, copy], tmp_path / "o.tif")


@pytest.mark.parametrize("make", [make_landsat, make_sentinel2])
def test_stored_numbers_are_those_of_the_copy(tmp_path, make):
    values, _ = prepare(list(make(tmp_path)), tmp_path / "o.tif", scale="none")
    assert values[1, 0, 0] == 30_000


def test_link_to_the_folder_of_the_product_is_the_product(tmp_path):
    own = make_landsat(tmp_path)[0]
    (tmp_path / "link").symlink_to(own.parent)
    values, _ = prepare([own, tmp_path / "link" / own.name.replace("B4", "B5")], tmp_path / "o.tif")
    assert values[:, 0, 0] == pytest.approx([0.075, 0.075])
