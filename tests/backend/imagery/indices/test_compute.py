# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``indices`` on rasters: real pixels against the catalogue's own evaluator, then each behaviour by itself."""

import json
from importlib.resources import files

import numpy as np
import pytest
import rasterio
import spyndex
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.indices import compute
from deep_learning_toolbox.backend.imagery.indices.catalogue import load_catalogue
from deep_learning_toolbox.backend.imagery.indices.settings import IndicesSettings
from deep_learning_toolbox.backend.imagery.raster import describe

from ...rasters import NORTH_UP, UTM, drive, write_raster

NAMES = ["blue", "green", "red", "nir"]
LANDSAT = {"SR_B1": "A", "SR_B2": "B", "SR_B3": "G", "SR_B4": "R", "SR_B5": "N", "SR_B6": "S1", "SR_B7": "S2", "ST_B10": "T1"}
SIGMA = 0.5


def run(raster, output, indices, **options):
    """Array of the result, and the events by kind."""
    events = drive(compute.compute_indices(IndicesSettings(str(raster), str(output), indices, **options), "t1"))
    with rasterio.open(output) as made:
        return made.read(), events


def texts(events):
    return "\n".join(event["message"] for event in events.get("warning", []))


@pytest.fixture(scope="module")
def sentinel():
    """The four 10 m bands of a real Sentinel-2 image, (4, 300, 300), stored as 10,000 times the reflectance."""
    return np.array(json.loads((files("spyndex.data") / "S2_10m.json").read_text(encoding="utf-8")), np.uint16)


def computable(letters):
    """Names of the indices whose inputs are these letters, kernels of them, or constants."""
    known = {*letters, "L"}
    constants = {name for name, entry in load_catalogue().constants.items() if entry.default is not None}
    wavelengths = {f"lambda{letter}" for letter in letters}
    kernels = {f"k{a}{b}" for a in known for b in known if len(a) == len(b) == 1}
    allowed = {*letters, *constants, *wavelengths, *kernels}
    return [name for name, entry in load_catalogue().indices.items() if set(entry.parse().names) <= allowed]


def oracle(name, bands, wavelengths):
    """The index by spyndex."""
    params = {**bands, **{constant: entry.default for constant, entry in load_catalogue().constants.items()}}
    params |= {f"lambda{letter}": value for letter, value in wavelengths.items()}
    for kernel in [input_name for input_name in spyndex.indices[name].bands if input_name[0] == "k" and len(input_name) == 3]:
        params[kernel] = spyndex.computeKernel("RBF", a=params[kernel[1]], b=params[kernel[2]], sigma=SIGMA)
    with np.errstate(all="ignore"):
        return np.broadcast_to(spyndex.computeIndex(name, params=params), bands["N"].shape)


def assert_agree(result, names, bands, wavelengths):
    for name, ours in zip(names, result, strict=True):
        theirs = np.asarray(oracle(name, bands, wavelengths), np.float64)
        defined = np.isfinite(theirs.astype(np.float32))
        assert np.array_equal(np.isnan(ours), ~defined), name
        np.testing.assert_allclose(ours[defined], theirs[defined], rtol=1e-6, atol=1e-6, err_msg=name)


def test_all_indices_of_a_real_sentinel_2_image_agree_with_the_catalogue(tmp_path, sentinel):
    raster = write_raster(tmp_path / "s2.tif", sentinel, names=["B02", "B03", "B04", "B08"])
    with rasterio.open(raster, "r+") as image:
        image.scales, image.offsets = (0.0001,) * 4, (0.0,) * 4
    names = computable("BGRN")
    assert len(names) > 90
    result, events = run(raster, tmp_path / "out.tif", ";".join(names), sensor="sentinel2a")
    reflectance = sentinel * np.float64(0.0001)
    wavelengths = {"B": 492.7, "G": 559.8, "R": 664.6, "N": 832.8}
    assert_agree(result, names, dict(zip("BGRN", reflectance, strict=True)), wavelengths)
    assert describe(str(tmp_path / "out.tif")).band_names == tuple(names)
    assert "digital numbers" not in texts(events)


def test_all_indices_of_real_landsat_8_pixels_agree_with_the_catalogue(tmp_path):
    """120 pixels of urban areas, water and vegetation, seven reflective bands and the temperature."""
    table = json.loads((files("spyndex.data") / "spectral.json").read_text(encoding="utf-8"))
    values = np.array([list(table[band].values()) for band in LANDSAT], np.float64).reshape(8, 10, 12)
    raster = write_raster(tmp_path / "l8.tif", values, names=list(LANDSAT))
    names = computable([*LANDSAT.values()])
    assert len(names) > 150
    result, _ = run(raster, tmp_path / "out.tif", ";".join(names), sensor="landsat8")
    wavelengths = {"A": 443, "B": 482, "G": 561.5, "R": 654.5, "N": 865, "S1": 1608.5, "S2": 2200.5}
    assert_agree(result, names, dict(zip(LANDSAT.values(), values, strict=True)), wavelengths)


@pytest.fixture
def image(tmp_path):
    """Red 0.1, near infrared 0.3 everywhere, with a few special pixels."""
    values = np.stack([np.full((6, 8), value, np.float32) for value in (0.05, 0.08, 0.1, 0.3)])
    values[2:, 0, 0] = 0  # N + R = 0
    values[3, 0, 1] = -9999  # nodata in one band
    values[3, 0, 2] = 1.2
    values[2, 0, 3] = -0.1
    return write_raster(tmp_path / "image.tif", values, names=NAMES, nodata=-9999)


def test_division_by_zero_and_nodata_are_nodata_and_counted(tmp_path, image):
    result, events = run(image, tmp_path / "out.tif", "NDVI")
    assert np.argwhere(np.isnan(result[0])).tolist() == [[0, 0], [0, 1]]
    assert result[0, 5, 5] == pytest.approx(0.5)
    assert "NDVI: 1 pixels (2.1 % of the valid ones) have no finite value" in texts(events)
    assert any("47 of 48 pixels have data" in event["message"] for event in events["info"])
    with rasterio.open(tmp_path / "out.tif") as made:
        assert np.isnan(made.nodata)


@pytest.mark.parametrize(
    ("choice", "above", "below"),
    [("keep", (1.2 - 0.1) / 1.3, (0.3 + 0.1) / 0.2), ("clip", 0.9 / 1.1, 1.0), ("nodata", np.nan, np.nan)],
)
def test_reflectance_outside_its_range_is_counted_and_handled_as_asked(tmp_path, image, choice, above, below):
    result, events = run(image, tmp_path / "out.tif", "NDVI", out_of_range=choice)
    assert result[0, 0, 2:4] == pytest.approx([above, below], nan_ok=True)
    assert "Band nir: 1 pixels (2.1 % of the valid ones) have a reflectance below 0 or above 1" in texts(events)
    assert "Band red: 1 pixels" in texts(events)


def test_image_that_holds_digital_numbers_is_noticed(tmp_path):
    raster = write_raster(tmp_path / "dn.tif", np.full((2, 4, 4), 3000, np.uint16), names=["red", "nir"])
    _, events = run(raster, tmp_path / "out.tif", "NDVI;SAVI")
    assert "look like digital numbers" in texts(events)
    assert "Prepare satellite scene" in texts(events)


def test_temperature_is_no_reflectance_out_of_range(tmp_path):
    values = np.stack([np.full((4, 4), value, np.float32) for value in (0.1, 0.3, 300)])
    raster = write_raster(tmp_path / "t.tif", values, names=["red", "nir", "thermal"])
    result, events = run(raster, tmp_path / "out.tif", "NDVIT")
    assert result[0, 0, 0] == pytest.approx((0.3 - 0.1 * 300 / 10000) / (0.3 + 0.1 * 300 / 10000))
    assert texts(events) == ""


def test_append_keeps_the_bands_with_names_wavelengths_and_physical_values(tmp_path):
    raster = write_raster(tmp_path / "a.tif", np.full((2, 4, 4), 2000, np.uint16), names=["red", "nir"], nodata=0)
    with rasterio.open(raster, "r+") as made:
        made.scales, made.offsets = (0.0001, 0.0001), (-0.1, 0.1)
        made.update_tags(1, wavelength="0.665")
        made.update_tags(SENSOR="sentinel2b")
    result, _ = run(raster, tmp_path / "out.tif", "NDVI", append=True)
    assert result[:, 0, 0] == pytest.approx([0.1, 0.3, 0.5])
    info = describe(str(tmp_path / "out.tif"))
    assert info.band_names == ("red", "nir", "NDVI")
    assert info.wavelengths[0] == pytest.approx(0.665)
    assert info.scales == (1, 1, 1)
    assert info.transform == NORTH_UP
    with rasterio.open(tmp_path / "out.tif") as made:
        assert made.crs == UTM
        assert made.tags()["SENSOR"] == "sentinel2b"
        assert made.tags(3)["formula"] == "(N - R)/(N + R)"


def test_append_refuses_an_index_that_the_image_has_already(tmp_path, image):
    run(image, tmp_path / "one.tif", "NDVI", append=True)
    with pytest.raises(ToolboxError, match="has a band NDVI already"):
        run(tmp_path / "one.tif", tmp_path / "two.tif", "NDVI", append=True)
    result, _ = run(tmp_path / "one.tif", tmp_path / "two.tif", "NDWI;NDVI")
    assert result.shape[0] == 2


def test_constants_change_the_result(tmp_path, image):
    default, _ = run(image, tmp_path / "a.tif", "SAVI")
    half, _ = run(image, tmp_path / "b.tif", "SAVI", parameters="L=0.5")
    assert default[0, 3, 3] == pytest.approx(2 * 0.2 / 1.4)
    assert half[0, 3, 3] == pytest.approx(1.5 * 0.2 / 0.9)


def test_sigma_changes_the_kernel(tmp_path, image):
    wide, _ = run(image, tmp_path / "a.tif", "kNDVI")
    narrow, _ = run(image, tmp_path / "b.tif", "kNDVI", parameters="sigma=0.2")
    kernel = np.exp(-0.04 / 0.5), np.exp(-0.04 / 0.08)
    assert [wide[0, 3, 3], narrow[0, 3, 3]] == pytest.approx([(1 - part) / (1 + part) for part in kernel])


@pytest.mark.parametrize(("parameters", "told"), [("", 0.5), ("sigma=0.2", 0.2)])
def test_bands_and_width_of_a_kernel_are_told(tmp_path, image, parameters, told):
    _, events = run(image, tmp_path / "o.tif", "kNDVI", parameters=parameters)
    messages = [event["message"] for event in events["info"]]
    assert messages[0].endswith("N = band 4 (nir), R = band 3 (red)")
    assert messages[1].endswith(f"(kNN - kNR)/(kNN + kNR)   with sigma = {told}")


def test_own_formula_and_band_map(tmp_path, image):
    result, _ = run(image, tmp_path / "a.tif", "mine=(N-R)/2;twice=b4*2", sensor="custom", band_map="N=4 R=2")
    assert result[:, 3, 3] == pytest.approx([0.11, 0.6])


def test_large_image_in_many_windows_equals_the_formula(tmp_path, monkeypatch):
    monkeypatch.setattr(compute, "WINDOW_BYTES", 512 * 512 * 12)
    values = np.random.default_rng(3).uniform(0, 1, (2, 1100, 1300)).astype(np.float32)
    values[0, 700, 900] = np.nan
    raster = write_raster(tmp_path / "large.tif", values, names=["red", "nir"])
    result, _ = run(raster, tmp_path / "out.tif", "NDVI")
    expected = (values[1] - values[0]) / (values[1] + values[0])
    np.testing.assert_allclose(result[0], expected, atol=1e-6)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"indices": "NDBI"}, "NDBI needs S1"),
        ({"indices": "NDVI", "sensor": "custom"}, "BAND_MAP must say"),
        ({"indices": "one=1"}, "use no band"),
        ({"indices": "NDVY"}, "did you mean"),
        ({"indices": "NDVI", "parameters": "L=a"}, "PARAMETERS"),
        ({"indices": "NDVI", "out_of_range": "drop"}, "OUT_OF_RANGE"),
    ],
)
def test_refusals_leave_nothing_behind(tmp_path, image, options, message):
    with pytest.raises(ToolboxError, match=message):
        run(image, tmp_path / "new" / "out.tif", **options)
    assert not (tmp_path / "new").exists()


def test_image_without_data_is_refused(tmp_path):
    raster = write_raster(tmp_path / "void.tif", np.zeros((2, 4, 4), np.uint8), nodata=0, names=["red", "nir"])
    with pytest.raises(ToolboxError, match="nodata everywhere"):
        run(raster, tmp_path / "out.tif", "NDVI")
    assert not (tmp_path / "out.tif").exists()


def test_stopping_half_way_leaves_the_previous_result(tmp_path, image, monkeypatch):
    run(image, tmp_path / "out.tif", "NDVI")
    before = (tmp_path / "out.tif").read_bytes()
    monkeypatch.setattr(compute, "PROGRESS_SECONDS", -1)
    events = compute.compute_indices(IndicesSettings(image, str(tmp_path / "out.tif"), "NDWI"), "t2")
    for event in events:
        if event["event"] == "progress":
            break
    events.close()
    assert (tmp_path / "out.tif").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.tif", "out.tif"]


def test_overviews_are_built_if_asked_for(tmp_path):
    values = np.random.default_rng(3).uniform(0.1, 1, (2, 600, 600)).astype(np.float32)
    raster = write_raster(tmp_path / "a.tif", values, names=["red", "nir"])
    for overviews, expected in ((False, []), (True, [2])):
        run(raster, tmp_path / "out.tif", "NDVI", overviews=overviews)
        with rasterio.open(tmp_path / "out.tif") as made:
            assert made.overviews(1) == expected
            assert made.tags(1)["formula"] == "(N - R)/(N + R)"


def test_output_that_is_the_input_is_refused(image):
    with pytest.raises(ToolboxError, match="the input raster itself"):
        IndicesSettings(image, image, "NDVI")


def test_digital_numbers_out_of_range_are_never_removed_in_silence(tmp_path):
    values = np.full((2, 8, 8), 3000, np.uint16)
    values[:, :2] = 0
    image = write_raster(tmp_path / "dn.tif", values, names=["red", "nir"])
    _, events = run(image, tmp_path / "o.tif", "EVI2", out_of_range="nodata")
    assert "48 pixels (75 % of the valid ones) have a reflectance below 0 or above 1. These pixels are nodata." in texts(events)
    _, events = run(image, tmp_path / "o.tif", "EVI2", out_of_range="clip")
    assert "clipped" in texts(events)


def test_indices_without_any_value_are_refused(tmp_path):
    image = write_raster(tmp_path / "dn.tif", np.full((2, 8, 8), 3000, np.uint16), names=["red", "nir"])
    with pytest.raises(ToolboxError, match="No index has a value at any pixel"):
        run(image, tmp_path / "o.tif", "NDVI", out_of_range="nodata")
    assert not (tmp_path / "o.tif").exists()


def test_b_and_a_number_is_always_the_bands_number(tmp_path):
    bands = np.stack([np.full((8, 8), value, np.float32) for value in (0.1, 0.2)])
    image = write_raster(tmp_path / "n.tif", bands, names=["b2", "b1"])
    values, _ = run(image, tmp_path / "o.tif", "x=b2+0*b1", sensor="custom", band_map="N=1")
    assert values == pytest.approx(0.2)


def test_names_in_a_band_map_may_hold_blanks(tmp_path):
    image = write_raster(tmp_path / "n.tif", np.full((2, 8, 8), 0.3, np.float32), names=["my red", "my nir"])
    values, _ = run(image, tmp_path / "o.tif", "NDVI", sensor="custom", band_map="R=my red; N=my nir")
    assert values == pytest.approx(0)


def test_list_without_end_is_refused(tmp_path):
    image = write_raster(tmp_path / "n.tif", np.full((2, 8, 8), 0.3, np.float32), names=["red", "nir"])
    with pytest.raises(ToolboxError, match="500 at most"):
        run(image, tmp_path / "o.tif", ";".join(f"x{number}=N" for number in range(501)))


def test_name_of_a_constant_and_of_a_band_is_refused_showing_both(tmp_path):
    image = write_raster(tmp_path / "n.tif", np.full((2, 8, 8), 0.3, np.float32), names=["L", "nir"])
    with pytest.raises(ToolboxError, match="which is the constant 1 and the image's band 1; write b1"):
        run(image, tmp_path / "o.tif", "x=L+0*nir", sensor="custom", band_map="N=2")


def test_digital_numbers_beside_the_sampled_places_are_noticed(tmp_path):
    values = np.full((2, 1400, 1400), 3000, np.uint16)
    values[:, 100:1300, 100:1300] = 0
    image = write_raster(tmp_path / "h.tif", values, names=["red", "nir"], nodata=0)
    _, events = run(image, tmp_path / "o.tif", "EVI2")
    assert texts(events).count("look like digital numbers") == 1


@pytest.mark.parametrize(("rows_above", "noticed"), [(5, False), (6, True)])
def test_digital_numbers_are_noticed_from_more_than_half_of_the_pixels_on(tmp_path, rows_above, noticed):
    values = np.full((2, 10, 10), 0.1, np.float32)
    values[:, :rows_above] = 3000
    image = write_raster(tmp_path / "h.tif", values, names=["red", "nir"])
    _, events = run(image, tmp_path / "o.tif", "EVI2")
    assert ("look like digital numbers" in texts(events)) == noticed


@pytest.mark.parametrize("sampled_above", [3, 2])
def test_digital_numbers_are_judged_by_the_sample_and_again_by_the_whole_image(tmp_path, sampled_above):
    """With three of five sampled places above 1 the sample tells; with two, 60 % of the whole image do."""
    side = 1400
    values = np.full((2, side, side), 0.1, np.float32)
    places = [(0.5, 0.5), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]
    if sampled_above == 2:
        values[:, : int(0.75 * side)] = 3000
    half = compute.SAMPLE_SIDE // 2
    for number, (x, y) in enumerate(places):
        top, left = int(y * side) - half, int(x * side) - half
        values[:, top : top + 2 * half, left : left + 2 * half] = 3000 if number < sampled_above else 0.1
    share = np.mean(values > 1)
    assert (share < 0.5) if sampled_above == 3 else (0.5 < share < 0.9)
    image = write_raster(tmp_path / "h.tif", values, names=["red", "nir"])
    _, events = run(image, tmp_path / "o.tif", "EVI2")
    assert texts(events).count("look like digital numbers") == 1


def test_an_index_needs_its_own_bands_only_and_a_copied_band_is_nodata_where_it_is_so_itself(tmp_path):
    values = np.full((3, 4, 4), 0.2, np.float32)
    values[1] = 0.4
    values[0, 0, :] = -1  # blue is missing in the first row
    values[2, :, 0] = -1  # nir in the first column
    image = write_raster(tmp_path / "image.tif", values, names=["blue", "red", "nir"], nodata=-1)
    made, events = run(image, tmp_path / "o.tif", "NDVI;red_blue=R-B", append=True)
    blue, red, nir, ndvi, own = np.isnan(made)
    assert blue[0].all() and not blue[1:].any()
    assert not red.any()
    assert nir[:, 0].all() and not nir[:, 1:].any()
    assert np.array_equal(ndvi, nir)
    assert np.array_equal(own, blue)
    told = "\n".join(event["message"] for event in events["info"])
    assert "15 of 16 pixels have data for one index at least" in told
    assert "NDVI: 12 pixels have data in all its bands" in told
