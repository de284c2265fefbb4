# SPDX-License-Identifier: GPL-2.0-or-later
"""Landsat products of each sensor, level and form of metadata; expected values worked out by hand."""

import json
from importlib.resources import files

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import describe
from deep_learning_toolbox.backend.imagery.scenes.landsat_metadata import parse_mtl

from .products import LANDSAT_CRS, LANDSAT_TRANSFORM, SIZE, as_text, landsat, pack_tar, plain
from .running import infos, prepare, warnings

SR_BANDS = tuple(f"SR_B{number}" for number in range(1, 8))
OLI = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")
TM = ("blue", "green", "red", "nir", "swir1", "swir2")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "stack.tif"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "Müller & Söhne"
    path.mkdir()
    return path


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_level_2_is_surface_reflectance(folder, output, form):
    """18,639 × 0.0000275 − 0.2 = 0.3125725; 10,000 × 0.0000275 − 0.2 = 0.075."""
    landsat(folder, form=form, bands={"5": plain(18_639)})
    values, events = prepare(folder, output)
    assert values.shape == (7, SIZE, SIZE)
    assert values[4] == pytest.approx(0.3125725, abs=1e-7)
    assert values[0] == pytest.approx(0.075, abs=1e-7)
    assert "LC08_L2SP_047027_20201204_20210313_02_T1: Landsat 8 (OLI, TIRS), 2020-12-04" in infos(events)
    assert "at the surface" in infos(events)
    assert warnings(events) == ""


def test_stack_has_names_wavelengths_place_and_sensor(folder, output):
    prepare(landsat(folder), output)
    info = describe(str(output))
    assert info.band_names == OLI
    assert info.wavelengths[3:5] == pytest.approx((0.6545, 0.865))
    assert info.transform == LANDSAT_TRANSFORM
    with rasterio.open(output) as made:
        assert made.crs == LANDSAT_CRS
        assert made.tags()["SENSOR"] == "landsat8"
        assert made.tags()["ACQUISITION_DATE"] == "2020-12-04"
        assert made.tags()["REFLECTANCE"] == "surface"
        assert made.tags(4)["code"] == "B4"
        assert np.isnan(made.nodata)


def test_tar_is_read_in_place(folder, output, tmp_path):
    archive = pack_tar(landsat(folder, bands={"4": plain(20_000)}), tmp_path / "LC08_L2SP_047027_20201204_20210313_02_T1.tar")
    values, _ = prepare(archive, output)
    assert values[3] == pytest.approx(0.35, abs=1e-7)
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, folder.name, "out"]


def test_product_with_all_three_forms_of_metadata_is_one_product(folder, output, tmp_path):
    """As the USGS delivers it, with its other files."""
    for form in ("txt", "json", "xml"):
        landsat(folder, form=form)
    for name in ("ANG.txt", "thumb_large.jpeg", "SR_stac.json"):
        (folder / f"LC08_L2SP_047027_20201204_20210313_02_T1_{name}").write_text("x", encoding="utf-8")
    for given in (folder, pack_tar(folder, tmp_path / "a.tar"), list(folder.iterdir())):
        values, _ = prepare(given, output)
        assert values.shape[0] == 7


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_metadata_file_may_be_given_itself(folder, output, form):
    landsat(folder, form=form)
    values, _ = prepare(next(folder.glob(f"*_MTL.{form}")), output)
    assert values.shape[0] == 7


@pytest.mark.parametrize(
    ("sensor", "names", "factor", "summand", "sine"),
    [
        # band 3 or 4 (red): M × 100 + A, divided by the sine of the sun's elevation
        ("LT05", TM, 2.1735e-03, -0.004609, 0.350202),  # sin 20.49968487°
        ("LT04", TM, 2.1735e-03, -0.004609, 0.350202),
        ("LE07", TM, 1.2428e-03, -0.011238, 0.513274),  # sin 30.88235160°
    ],
)
def test_level_1_of_tm_and_etm_is_reflectance_at_the_top_of_the_atmosphere(folder, output, sensor, names, factor, summand, sine):
    values, events = prepare(landsat(folder, sensor, "L1TP"), output)
    assert describe(str(output)).band_names == names
    assert values[2] == pytest.approx((factor * 100 + summand) / sine, rel=1e-5)
    assert "at the top of the atmosphere" in infos(events)


@pytest.mark.parametrize("scale", ["reflectance", "toa"])
def test_level_1_of_oli_is_reflectance_at_the_top_of_the_atmosphere(folder, output, scale):
    """(0.00002 × 10,000 − 0.1) / sin 18.80722985° = 0.1 / 0.322384 = 0.310189."""
    values, _ = prepare(landsat(folder, level="L1TP"), output, scale=scale)
    assert values[0] == pytest.approx(0.310189, abs=2e-6)


def test_level_2_of_landsat_9_and_4_have_their_sensors(folder, output, tmp_path):
    prepare(landsat(folder, "LC09"), output)
    with rasterio.open(output) as made:
        assert made.tags()["SENSOR"] == "landsat9"
    other = tmp_path / "other"
    other.mkdir()
    values, _ = prepare(landsat(other, "LT04", "L2SP"), output)
    assert values.shape[0] == 6
    with rasterio.open(output) as made:
        assert made.tags()["SENSOR"] == "landsat4"


def test_surface_temperature_is_in_kelvin(folder, output):
    """44,177 × 0.00341802 + 149 = 299.998."""
    values, _ = prepare(landsat(folder, bands={"ST_B10": plain(44_177)}), output, bands="red;thermal1")
    assert values[1] == pytest.approx(44_177 * 0.00341802 + 149, abs=1e-3)
    assert values[1, 0, 0] == pytest.approx(299.998, abs=1e-3)


@pytest.mark.parametrize(
    ("sensor", "number", "band", "stored", "kelvin"),
    [
        # L = 3.342e-4 × 25,000 + 0.1 = 8.455; 1321.0789 / ln(774.8853 / 8.455 + 1) = 291.743
        ("LC08", "10", "B10", 25_000, 1321.0789 / np.log(774.8853 / 8.455 + 1)),
        # L = 5.5375e-2 × 130 + 1.18243 = 8.38118
        ("LT05", "6", "thermal", 130, 1260.56 / np.log(607.76 / 8.38118 + 1)),
        # the low gain: L = 6.7087e-2 × 130 − 0.06709 = 8.65422
        ("LE07", "6_VCID_1", "thermal", 130, 1282.71 / np.log(666.09 / 8.65422 + 1)),
    ],
)
def test_thermal_bands_of_level_1_are_brightness_temperature(folder, output, sensor, number, band, stored, kelvin):
    dtype = np.uint16 if sensor == "LC08" else np.uint8
    values, _ = prepare(landsat(folder, sensor, "L1TP", bands={number: plain(stored, dtype)}), output, bands=band)
    assert 280 < kelvin < 310
    assert values[0] == pytest.approx(kelvin, abs=1e-3)


def test_fill_is_nodata(folder, output):
    band = plain(10_000)
    band[0, :2] = 0
    values, _ = prepare(landsat(folder, bands={"4": band}), output)
    assert np.argwhere(np.isnan(values[3])).tolist() == [[0, 0], [0, 1]]
    assert not np.isnan(values[2]).any()


def test_clouds_shadows_cirrus_snow_and_saturation_become_nodata_if_asked(folder, output):
    quality = plain(21_824)  # clear land
    quality[0, 0] = 22_280  # high confidence cloud: bits 3, 8, 9, 10, 12, 14
    quality[0, 1] = 21_762  # dilated cloud: bit 1
    quality[0, 2] = 23_888  # cloud shadow: bit 4
    quality[0, 3] = 30_048  # snow: bit 5
    quality[0, 4] = 54_596  # cirrus: bit 2
    quality[0, 5] = 21_952  # clear water: bit 7
    saturated = plain(0)
    saturated[1, 0] = 1 << 4  # band 5
    saturated[1, 1] = 1 << 8  # band 9, which is not stacked
    folder = landsat(folder, quality=quality, saturated=saturated)
    clear, _ = prepare(folder, output)
    assert not np.isnan(clear).any()
    values, events = prepare(folder, output, mask_clouds=True)
    masked = [[0, 0], [0, 1], [0, 2], [0, 3], [0, 4], [1, 0]]
    assert all(np.argwhere(np.isnan(band)).tolist() == masked for band in values)
    assert "cloud 5.6 %, cirrus 2.8 %, shadow 2.8 %, snow 2.8 %, saturation 2.8 %" in infos(events)
    values, _ = prepare(folder, output, mask_clouds=True, mask_classes="snow")
    assert np.argwhere(np.isnan(values[0])).tolist() == [[0, 3]]


def test_dropped_pixels_of_tm_count_as_saturated(folder, output):
    saturated = plain(0)
    saturated[2, 2] = 1 << 9
    values, _ = prepare(landsat(folder, "LT05", saturated=saturated), output, mask_clouds=True)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[2, 2]]


def test_bands_are_taken_in_the_order_asked_for_by_name_or_code(folder, output):
    prepare(landsat(folder), output, bands="nir, B4;SR_B3")
    assert describe(str(output)).band_names == ("nir", "red", "green")


def test_band_asked_for_by_name_and_by_code_is_told(folder, output):
    with pytest.raises(ToolboxError, match="asks for the band red twice"):
        prepare(landsat(folder), output, bands="red;B4")


def test_all_bands_of_level_1_are_brought_to_the_panchromatic_grid(folder, output):
    ramp = np.tile(np.arange(6, dtype=np.uint16) * 100 + 10_000, (SIZE, 1))
    folder = landsat(folder, level="L1TP", bands={"4": ramp})
    values, events = prepare(folder, output, bands="all", resampling="nearest", scale="none")
    assert values.shape == (11, 12, 12)
    assert (values[3] == ramp.repeat(2, axis=0).repeat(2, axis=1)).all()
    assert describe(str(output)).cell_size == (15, 15)
    assert "resampled to it: coastal" in infos(events)
    coarse, _ = prepare(folder, output, bands="B8;B4", resolution=30, scale="none")
    assert coarse.shape == (2, SIZE, SIZE)


def test_real_pixels_keep_their_reflectance_and_temperature(folder, output):
    """36 pixels of urban areas, water and vegetation of Landsat 8, stored as the USGS stores them."""
    table = json.loads((files("spyndex.data") / "spectral.json").read_text(encoding="utf-8"))
    real = {name: np.array(list(table[f"{name}"].values())[42:78]).reshape(SIZE, SIZE) for name in (*SR_BANDS, "ST_B10")}
    bands = {name[-1]: np.rint((real[name] + 0.2) / 2.75e-5).astype(np.uint16) for name in SR_BANDS}
    bands["ST_B10"] = np.rint((real["ST_B10"] - 149) / 0.00341802).astype(np.uint16)
    values, _ = prepare(landsat(folder, bands=bands), output, bands="B1;B2;B3;B4;B5;B6;B7;B10")
    np.testing.assert_allclose(values[:7], [real[name] for name in SR_BANDS], atol=1.4e-5)  # half a step
    np.testing.assert_allclose(values[7], real["ST_B10"], atol=2e-3)


def test_int16_takes_half_the_space_and_reads_back_as_reflectance(folder, output):
    band = plain(18_639)
    band[0, 0] = 0
    folder = landsat(folder, bands={"5": band, "ST_B10": plain(44_177)})
    values, _ = prepare(folder, output, output_type="int16", bands="nir;thermal1")
    assert values.dtype == np.int16
    assert values[0, 1, 1] == 3126  # 0.3125725
    assert values[0, 0, 0] == -32_768
    info = describe(str(output))
    assert values[0, 1, 1] * info.scales[0] + info.offsets[0] == pytest.approx(0.3126)
    assert values[1, 1, 1] * info.scales[1] + info.offsets[1] == pytest.approx(300.0, abs=0.01)


def test_without_scaling_the_stored_numbers_stay(folder, output):
    values, _ = prepare(landsat(folder, bands={"5": plain(18_639)}), output, scale="none")
    assert values.dtype == np.uint16
    assert (values[4] == 18_639).all()
    with rasterio.open(output) as made:
        assert made.nodata == 0
        assert "REFLECTANCE" not in made.tags()


def test_loose_band_files_get_the_scaling_of_the_metadata_beside_them(folder, output):
    landsat(folder, bands={"5": plain(18_639)})
    files = [next(folder.glob(f"*_SR_B{number}.TIF")) for number in (5, 4)]
    values, _ = prepare(files, output)
    assert describe(str(output)).band_names == ("nir", "red")
    assert values[0] == pytest.approx(0.3125725, abs=1e-7)


def test_loose_band_files_without_metadata_are_refused_unless_unscaled(folder, output):
    landsat(folder)
    next(folder.glob("*_MTL.txt")).unlink()
    files = [next(folder.glob(f"*_SR_B{number}.TIF")) for number in (5, 4)]
    with pytest.raises(ToolboxError, match=r"metadata file .* is not there"):
        prepare(files, output)
    values, _ = prepare(files, output, scale="none")
    assert values.shape[0] == 2


def test_loose_band_files_of_two_scenes_are_refused(folder, output):
    landsat(folder)
    landsat(folder, "LC09")
    files = [*folder.glob("LC08*_SR_B4.TIF"), *folder.glob("LC09*_SR_B4.TIF")]
    with pytest.raises(ToolboxError, match=r"several scenes .* UTM zones"):
        prepare(files, output)


def test_missing_band_file_is_named_when_its_band_is_needed(folder, output):
    landsat(folder)
    next(folder.glob("*_SR_B5.TIF")).unlink()
    with pytest.raises(ToolboxError, match="has no band “B5”; it has coastal"):
        prepare(folder, output)
    _, events = prepare(folder, output, bands="red;green")
    assert "02_T1_SR_B5.TIF" in warnings(events)


def test_missing_quality_file_is_an_error_when_masking_is_asked_for(folder, output):
    landsat(folder)
    for file in folder.glob("*_QA_*.TIF"):
        file.unlink()
    with pytest.raises(ToolboxError, match=r"lacks LC08_\w+_QA_PIXEL\.TIF"):
        prepare(folder, output, mask_clouds=True)
    assert not output.parent.exists()


def test_damaged_band_is_named(folder, output):
    landsat(folder)
    broken = next(folder.glob("*_SR_B4.TIF"))
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(ToolboxError, match=r"SR_B4\.TIF cannot be read"):
        prepare(folder, output)
    assert not output.parent.exists()


def test_surface_reflectance_has_no_top_of_atmosphere(folder, output):
    with pytest.raises(ToolboxError, match="needs a Level-1 product"):
        prepare(landsat(folder), output, scale="toa")


def change_metadata(folder, *changes):
    path = next(folder.glob("*_MTL.txt"))
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("LANDSAT_METADATA_FILE", "L1_METADATA_FILE"), ("COLLECTION_NUMBER = 02", "COLLECTION_NUMBER = 01")], "Collection 1"),
        ([("COLLECTION_NUMBER = 02", "COLLECTION_NUMBER = 03")], "collection 03, only Landsat Collection 2"),
        ([("LANDSAT_METADATA_FILE", "MODIS_METADATA_FILE"), ("COLLECTION_NUMBER = 02", "X = 1")], "collection unknown"),
        ([("OLI_TIRS", "MSS")], "MSS"),
        ([("LANDSAT_8", "LANDSAT_3")], "LANDSAT_3"),
        ([('PROCESSING_LEVEL = "L2SP"', 'PROCESSING_LEVEL = "L3BA"')], "level L3BA"),
        ([("REFLECTANCE_MULT_BAND_4 = 2.75e-05", "OTHER = 1")], "lacks REFLECTANCE_MULT_BAND_4"),
        ([("REFLECTANCE_MULT_BAND_4 = 2.75e-05", "REFLECTANCE_MULT_BAND_4 = much")], "is no number"),
        ([("\nEND_GROUP = LANDSAT_METADATA_FILE\nEND", "")], "breaks off"),
    ],
)
def test_foreign_or_damaged_metadata_are_refused(folder, output, changes, message):
    change_metadata(landsat(folder), *changes)
    with pytest.raises(ToolboxError, match=message):
        prepare(folder, output)


def test_file_names_that_lead_out_of_the_product_are_not_followed(folder, output, tmp_path):
    landsat(folder)
    name = next(folder.glob("*_SR_B4.TIF")).name
    (folder / name).rename(tmp_path / name)
    change_metadata(folder, (name, f"../{name}"))
    with pytest.raises(ToolboxError, match="has no band “B4”"):
        prepare(folder, output)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"<a><b></a>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"[1]", b"{}"])
@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_anything_else_in_a_metadata_file_is_refused(form, content):
    with pytest.raises(ToolboxError):
        parse_mtl(f"X_MTL.{form}", content)


def test_groups_of_the_text_form_keep_level_1_and_level_2_apart():
    text = as_text({"PRODUCT_CONTENTS": {"COLLECTION_NUMBER": "02"}, "A": {"KEY": "1"}, "B": {"KEY": "2"}})
    metadata = parse_mtl("X_MTL.txt", text.encode())
    assert (metadata.number("A", "KEY"), metadata.number("B", "KEY")) == (1, 2)
