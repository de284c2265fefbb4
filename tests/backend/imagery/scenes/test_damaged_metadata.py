# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata whose numbers cannot scale anything are refused, not applied."""

import re

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.scenes.settings import SceneSettings

from .products import landsat, sentinel2
from .running import infos, prepare, warnings


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_landsat_factor_that_is_not_finite_is_refused(tmp_path, value):
    product = landsat(tmp_path / "p")
    metadata = next(product.glob("*MTL.txt"))
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("2.75e-05", value), encoding="utf-8")
    with pytest.raises(ToolboxError, match="which is no number"):
        prepare(product, tmp_path / "o.tif", bands="red")


QUANTITY = ">10000<"


@pytest.mark.parametrize(
    ("old", "new"),
    [(QUANTITY, ">nan<"), (QUANTITY, ">inf<"), (QUANTITY, ">-10000<"), ('<BOA_ADD_OFFSET band_id="3">-1000<', "<X>0<")],
)
def test_sentinel_factors_that_are_not_finite_or_not_complete_are_refused(tmp_path, old, new):
    product = sentinel2(tmp_path)
    metadata = product / "MTD_MSIL2A.xml"
    text = metadata.read_text(encoding="utf-8").replace(old, new)
    metadata.write_text(text.replace("<X>0</BOA_ADD_OFFSET>", ""), encoding="utf-8")
    with pytest.raises(ToolboxError, match="no usable quantification value and offsets"):
        prepare(product, tmp_path / "o.tif")


def test_baseline_in_the_name_tells_that_an_offset_is_missing(tmp_path):
    product = sentinel2(tmp_path, offset=None)
    metadata = product / "MTD_MSIL2A.xml"
    text = re.sub("<PROCESSING_BASELINE>.*?</PROCESSING_BASELINE>", "", metadata.read_text(encoding="utf-8"))
    metadata.write_text(text, encoding="utf-8")
    _, events = prepare(product, tmp_path / "o.tif")
    assert "baseline 04.00, but its metadata name no offset" in warnings(events)


@pytest.mark.parametrize(
    ("text", "names"), [("last year;a", ["last year", "a"]), ("red nir", ["red", "nir"]), (" red ,\nB4 ", ["red", "B4"])]
)
def test_names_of_bands_may_hold_blanks(text, names):
    assert SceneSettings(["a.tif"], "o.tif", bands=text).wanted_bands == names


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_byte_order_mark_that_an_editor_puts_first_does_no_harm(tmp_path, form):
    product = landsat(tmp_path / "p", form=form)
    metadata = next(product.glob("*_MTL.*"))
    metadata.write_bytes(b"\xef\xbb\xbf" + metadata.read_bytes())
    values, _ = prepare(product, tmp_path / "o.tif", bands="red")
    assert values[0, 0, 0] == pytest.approx(0.075)


def test_product_whose_metadata_do_not_name_it_is_called_as_its_folder(tmp_path):
    product = sentinel2(tmp_path, baseline="02.07")
    metadata = product / "MTD_MSIL2A.xml"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("PRODUCT_URI", "PRODUCT_URI_2A"), encoding="utf-8")
    _, events = prepare(product, tmp_path / "o.tif", bands="red")
    assert infos(events).startswith(f"{product.name}: Sentinel-2B")
