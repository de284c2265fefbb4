# SPDX-License-Identifier: GPL-2.0-or-later
"""Sentinel-2 products of both levels, with and without offset; expected values worked out by hand."""

import json
import shutil
from importlib.resources import files

import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import describe

from .products import SENTINEL_CORNER, SENTINEL_CRS, SIDE, pack_zip, sentinel2, write_tif
from .running import infos, prepare, warnings

TEN = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir1", "swir2")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "stack.tif"


@pytest.fixture(scope="module")
def real():
    """A part of the four 10 m bands of a real Sentinel-2 image, by code."""
    values = np.array(json.loads((files("spyndex.data") / "S2_10m.json").read_text(encoding="utf-8")), np.uint16)
    return dict(zip(("B02", "B03", "B04", "B08"), values[:, 100 : 100 + SIDE, 60 : 60 + SIDE], strict=True))


@pytest.mark.parametrize(
    ("level", "baseline", "expected", "meaning"),
    [
        ("L2A", "04.00", 0.1, "at the surface"),  # (2000 − 1000) / 10,000
        ("L2A", "03.01", 0.2, "at the surface"),  # 2000 / 10,000
        ("L2A", "05.10", 0.1, "at the surface"),
        ("L1C", "04.00", 0.1, "at the top of the atmosphere"),
        ("L1C", "03.01", 0.2, "at the top of the atmosphere"),
    ],
)
def test_reflectance_of_each_level_and_baseline(tmp_path, output, level, baseline, expected, meaning):
    values, events = prepare(sentinel2(tmp_path, level, baseline), output)
    assert values.shape == (10, SIDE, SIDE)
    assert values == pytest.approx(expected, abs=1e-6)
    assert meaning in infos(events)
    assert warnings(events) == ""


def test_real_pixels_keep_their_reflectance(tmp_path, output, real):
    product = sentinel2(tmp_path, bands={(code, 10): values for code, values in real.items()})
    values, _ = prepare(product, output, bands="B02;B03;B04;B08")
    expected = (np.stack(list(real.values())).astype(np.float64) - 1000) / 10_000
    np.testing.assert_allclose(values, expected, atol=1e-7)


def test_offset_of_each_band_is_its_own(tmp_path, output):
    product = sentinel2(tmp_path)
    metadata = product / "MTD_MSIL2A.xml"
    text = metadata.read_text(encoding="utf-8")
    assert 'band_id="8">-1000<' in text  # B8A is the ninth band, number 8
    metadata.write_text(text.replace('band_id="8">-1000<', 'band_id="8">-500<'), encoding="utf-8")
    values, _ = prepare(product, output, bands="nir;nir08;B9", resolution=20)
    assert values[:, 0, 0] == pytest.approx([0.1, 0.15, 0.1])


def test_spacecraft_is_taken_from_the_products_name_if_need_be(tmp_path, output):
    product = sentinel2(tmp_path)
    metadata = product / "MTD_MSIL2A.xml"
    text = metadata.read_text(encoding="utf-8").replace("<SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME>", "")
    metadata.write_text(text, encoding="utf-8")
    prepare(product, output)
    with rasterio.open(output) as made:
        assert made.tags()["SENSOR"] == "sentinel2b"


@pytest.mark.parametrize("letter", ["A", "B", "C", "D"])
@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_all_satellites_of_the_mission_are_accepted(tmp_path, output, level, letter):
    product = sentinel2(tmp_path, level, "05.11")
    product = product.rename(product.with_name(product.name.replace("S2B", f"S2{letter}", 1)))
    metadata = product / f"MTD_MSI{level}.xml"
    text = metadata.read_text(encoding="utf-8").replace("Sentinel-2B", f"Sentinel-2{letter}").replace("S2B_MSI", f"S2{letter}_MSI")
    metadata.write_text(text, encoding="utf-8")
    values, events = prepare(product, output)
    assert values[0, 0, 0] == pytest.approx(0.1)
    assert f"Sentinel-2{letter} (MSI)" in infos(events)
    assert describe(str(output)).sensor == f"sentinel2{letter.lower()}"
    assert describe(str(output)).wavelengths[2] == pytest.approx(0.665)


def test_new_baseline_without_offset_is_told(tmp_path, output):
    values, events = prepare(sentinel2(tmp_path, offset=None), output)
    assert values[0, 0, 0] == pytest.approx(0.2)
    assert "baseline 04.00, but its metadata name no offset" in warnings(events)


def test_stack_has_the_ten_bands_with_the_wavelengths_of_the_product(tmp_path, output):
    prepare(sentinel2(tmp_path), output)
    info = describe(str(output))
    assert info.band_names == TEN
    assert info.wavelengths[7] == pytest.approx(0.864)
    assert info.transform == Affine(10, 0, SENTINEL_CORNER[0], 0, -10, SENTINEL_CORNER[1])
    with rasterio.open(output) as made:
        assert made.crs == SENTINEL_CRS
        assert made.tags()["SENSOR"] == "sentinel2b"
        assert made.tags()["ACQUISITION_DATE"] == "2022-04-13"


@pytest.mark.parametrize("given", ["folder", "metadata", "zip", "brace", "parent"])
def test_every_form_of_the_product_gives_the_same(tmp_path, output, given):
    product = sentinel2(tmp_path / "download")
    inputs = {"folder": product, "metadata": product / "MTD_MSIL2A.xml", "parent": product.parent}
    inputs["zip"] = pack_zip(product, tmp_path / "S2B Größe.zip")
    (tmp_path / "a}b").mkdir()
    inputs["brace"] = pack_zip(product, tmp_path / "a}b" / "S2B.zip")
    if given == "zip":
        shutil.rmtree(tmp_path / "download")
    values, _ = prepare(inputs[given], output)
    assert values == pytest.approx(0.1, abs=1e-6)


def test_all_files_of_a_product_in_one_list_are_the_product(tmp_path, output):
    """So a dialog passes a folder on; the files of two products are still refused."""
    product = sentinel2(tmp_path)
    listed = [path for path in product.rglob("*") if path.is_file()]
    values, _ = prepare(listed, output)
    assert values.shape == (10, SIDE, SIDE)
    other = sentinel2(tmp_path, tile="T32VNM")
    with pytest.raises(ToolboxError, match="give one product alone"):
        prepare([*listed, other / "MTD_MSIL2A.xml"], output)


def step(metres):
    """Half dark, half bright, at a cell size."""
    side = SIDE * 10 // metres
    values = np.full((side, side), 2000, np.uint16)
    values[:, side // 2 :] = 4000
    return values


@pytest.mark.parametrize(
    ("resampling", "expected"),
    [
        ("nearest", [0.1, 0.1, 0.3, 0.3]),
        # at the edge of two 20 m cells the centres of 10 m cells lie a quarter of a cell off the middle
        ("bilinear", [0.1, 0.15, 0.25, 0.3]),
    ],
)
def test_bands_of_20_m_are_brought_to_10_m(tmp_path, output, resampling, expected):
    product = sentinel2(tmp_path, bands={("B05", 20): step(20)})
    values, events = prepare(product, output, bands="B4;B5", resampling=resampling)
    assert values[1, 5, 4:8] == pytest.approx(expected, abs=1e-4)
    assert "resampled to it: rededge1" in infos(events)


def test_cubic_overshoots_where_bilinear_does_not(tmp_path, output):
    product = sentinel2(tmp_path, bands={("B05", 20): step(20)})
    values, _ = prepare(product, output, bands="B4;B5", resampling="cubic")
    assert values[1, 5].min() < 0.1 - 1e-4
    assert values[1, 5].max() > 0.3 + 1e-4


@pytest.mark.parametrize(("resolution", "side"), [(10, 12), (20, 6), (30, 4), (60, 2)])
def test_resolution_sets_the_grid(tmp_path, output, resolution, side):
    values, _ = prepare(sentinel2(tmp_path), output, resolution=resolution)
    assert values.shape == (10, side, side)
    assert values == pytest.approx(0.1, abs=1e-6)
    info = describe(str(output))
    assert info.cell_size == (resolution, resolution)
    assert (info.transform.c, info.transform.f) == SENTINEL_CORNER


def test_image_files_of_the_cell_size_asked_for_are_taken(tmp_path, output):
    """ESA delivers B04 at 20 m, too; the test tells the files apart by their values."""
    product = sentinel2(tmp_path, bands={("B04", 20): np.full((6, 6), 3000, np.uint16)})
    values, events = prepare(product, output, bands="B4", resolution=20)
    assert values == pytest.approx(0.2, abs=1e-6)
    assert "resampled" not in infos(events)
    values, _ = prepare(product, output, bands="B4", resolution=30)
    assert values == pytest.approx(0.2, abs=1e-6)
    values, _ = prepare(product, output, bands="B4")
    assert values == pytest.approx(0.1, abs=1e-6)


def test_scene_classes_become_nodata_if_asked(tmp_path, output):
    scl = np.full((6, 6), 4, np.uint8)
    scl[0] = [3, 8, 9, 10, 11, 1]
    scl[1] = [2, 5, 6, 7, 4, 4]  # dark, bare, water, unclassified: all stay
    product = sentinel2(tmp_path, scl=scl)
    values, events = prepare(product, output, mask_clouds=True)
    expected = np.zeros((SIDE, SIDE), bool)
    expected[:2] = True
    assert (np.isnan(values) == expected).all()
    assert "cloud 5.6 %, cirrus 2.8 %, shadow 2.8 %, snow 2.8 %, saturation 2.8 %" in infos(events)
    values, _ = prepare(product, output, mask_clouds=True, mask_classes="cloud;shadow")
    assert np.isnan(values[0, 0]).tolist() == [True] * 6 + [False] * 6
    values, _ = prepare(product, output)
    assert not np.isnan(values).any()


def test_clouds_of_level_1c_come_from_its_classification(tmp_path, output):
    classi = np.zeros((3, 2, 2), np.uint8)
    classi[0, 0, 0] = classi[1, 0, 1] = classi[2, 1, 0] = 1
    product = sentinel2(tmp_path, "L1C", classi=classi)
    values, _ = prepare(product, output, mask_clouds=True)
    assert np.isnan(values[0])[:: SIDE // 2, :: SIDE // 2].tolist() == [[True, True], [True, False]]
    values, events = prepare(product, output, mask_clouds=True)
    assert "Not masked, since the product's quality bands do not tell it: shadow." in warnings(events)
    with pytest.raises(ToolboxError, match="do not tell shadow; name other MASK_CLASSES"):
        prepare(product, output, mask_clouds=True, mask_classes="shadow")
    values, _ = prepare(product, output, mask_clouds=True, mask_classes="snow")
    assert np.isnan(values[0])[:: SIDE // 2, :: SIDE // 2].tolist() == [[False, False], [True, False]]


def test_level_1c_without_classification_cannot_be_masked(tmp_path, output):
    with pytest.raises(ToolboxError, match=r"has no quality band .* Level-2"):
        prepare(sentinel2(tmp_path, "L1C", "03.01"), output, mask_clouds=True)


def test_fill_and_saturation(tmp_path, output):
    band = np.full((SIDE, SIDE), 2000, np.uint16)
    band[0, 0], band[0, 1] = 0, 65_535
    product = sentinel2(tmp_path, bands={("B04", 10): band})
    values, _ = prepare(product, output, bands="B4;B3")
    assert np.argwhere(np.isnan(values[0])).tolist() == [[0, 0]]
    values, _ = prepare(product, output, bands="B4;B3", mask_clouds=True)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[0, 0], [0, 1]]
    assert not np.isnan(values[1]).any()


def test_extent_clips_to_whole_cells(tmp_path, output):
    left, top = SENTINEL_CORNER
    band = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) + 2000
    product = sentinel2(tmp_path, bands={("B04", 10): band})
    values, _ = prepare(product, output, bands="B4;B11", extent=(left + 22, top - 58, left + 50, top - 30))
    assert values.shape == (2, 3, 3)
    np.testing.assert_allclose(values[0], (band[3:6, 2:5] - 1000.0) / 10_000, atol=1e-7)
    assert describe(str(output)).bounds == (left + 20, top - 60, left + 50, top - 30)


def test_extent_in_another_crs_is_transformed(tmp_path, output):
    from rasterio.warp import transform_bounds

    left, top = SENTINEL_CORNER
    wanted = (left + 31, top - 89, left + 89, top - 31)
    degrees = transform_bounds(SENTINEL_CRS, "EPSG:4326", *wanted)
    prepare(sentinel2(tmp_path), output, extent=degrees, extent_crs="EPSG:4326")
    xmin, ymin, xmax, ymax = describe(str(output)).bounds
    assert xmin <= wanted[0] and ymin <= wanted[1] and xmax >= wanted[2] and ymax >= wanted[3]
    assert xmax - xmin <= 90


def test_extent_outside_and_absurd_resolution_are_refused(tmp_path, output):
    product = sentinel2(tmp_path)
    with pytest.raises(ToolboxError, match="EXTENT lies outside the scene"):
        prepare(product, output, extent=(0, 0, 10, 10))
    with pytest.raises(ToolboxError, match=r"it is in metres, in which the cells of the scene measure 10\."):
        prepare(product, output, resolution=0.0001)


def test_loose_image_files_get_the_scaling_of_the_product_they_lie_in(tmp_path, output):
    product = sentinel2(tmp_path)
    images = [next(product.rglob(f"*_{name}.jp2")) for name in ("B08_10m", "B04_10m", "B11_20m")]
    values, _ = prepare(images, output)
    assert describe(str(output)).band_names == ("nir", "red", "swir1")
    assert values == pytest.approx(0.1, abs=1e-6)


def test_loose_image_files_without_metadata_are_refused_unless_unscaled(tmp_path, output):
    product = sentinel2(tmp_path)
    images = [shutil.copy(next(product.rglob(f"*_{name}.jp2")), tmp_path) for name in ("B08_10m", "B04_10m")]
    shutil.rmtree(product)
    with pytest.raises(ToolboxError, match=r"MTD_MSI\*\.xml"):
        prepare(images, output)
    values, _ = prepare(images, output, scale="none")
    assert (values == 2000).all()


def test_image_files_of_two_zones_are_refused(tmp_path, output):
    first = next(sentinel2(tmp_path / "a").rglob("*_B04_10m.jp2"))
    second = next(sentinel2(tmp_path / "b", tile="T32VNM").rglob("*_B04_10m.jp2"))
    with pytest.raises(ToolboxError, match=r"several scenes .*T32VNM.*T33XWJ.* UTM zones"):
        prepare([first, second], output)


def test_folder_with_two_products_is_refused(tmp_path, output):
    sentinel2(tmp_path / "both")
    sentinel2(tmp_path / "both", tile="T32VNM")
    with pytest.raises(ToolboxError, match="holds 2 products"):
        prepare(tmp_path / "both", output)


def test_missing_image_is_named_when_its_band_is_needed(tmp_path, output):
    product = sentinel2(tmp_path)
    for image in product.rglob("*_B8A_*.jp2"):
        image.unlink()
    with pytest.raises(ToolboxError, match="has no band “B8A”"):
        prepare(product, output)
    _, events = prepare(product, output, bands="B4;B8")
    assert "B8A_20m" in warnings(events)


def test_band_of_another_utm_zone_within_a_product_is_refused(tmp_path, output):
    product = sentinel2(tmp_path)
    image = next(product.rglob("*_B03_10m.jp2"))
    transform = Affine(10, 0, SENTINEL_CORNER[0], 0, -10, SENTINEL_CORNER[1])
    write_tif(image, np.full((SIDE, SIDE), 2000, np.uint16), transform, "EPSG:32632", driver="JP2OpenJPEG")
    with pytest.raises(ToolboxError, match=r"another coordinate system than blue \(EPSG:32633\): green \(EPSG:32632\)"):
        prepare(product, output)
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Level-2A_User_Product", "Level-1B_User_Product", "describes a Level-1B_User_Product"),
        ("Sentinel-2B", "Sentinel-3A", "names the spacecraft “Sentinel-3A”"),
        (">10000<", ">0<", "no usable quantification value"),
        ("BOA_QUANTIFICATION_VALUE", "OTHER", "no usable quantification value"),
        (">-1000<", ">minus<", "no usable quantification value"),
        ("</n1:General_Info>", "", "no complete metadata file"),
        ("<n1:General_Info>", "<!DOCTYPE x><n1:General_Info>", "no complete metadata file"),
    ],
)
def test_foreign_or_damaged_metadata_are_refused(tmp_path, output, old, new, message):
    product = sentinel2(tmp_path)
    metadata = product / "MTD_MSIL2A.xml"
    text = metadata.read_text(encoding="utf-8")
    assert old in text
    metadata.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ToolboxError, match=message):
        prepare(product, output)
    assert not output.parent.exists()


def test_product_of_the_old_form_is_recognised_and_refused(tmp_path, output):
    old = tmp_path / "S2A_OPER_PRD_MSIL1C_PDMC_20160101T000000_R022_V20151231T000000.SAFE"
    old.mkdir()
    (old / "S2A_OPER_MTD_SAFL1C_PDMC_20160101T000000_R022_V20151231T000000.xml").write_text("<a/>", encoding="utf-8")
    with pytest.raises(ToolboxError, match="until December 2016"):
        prepare(old, output)
