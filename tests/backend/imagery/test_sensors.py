# SPDX-License-Identifier: GPL-2.0-or-later
import pytest
import spyndex
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.sensors import load_sensors, match_letters, parse_band_map

THEIR_IDS = {"wv2": "worldview2", "wv3": "worldview3"}
SENTINEL = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]
SENTINEL_LETTERS = {"B": 1, "G": 2, "R": 3, "RE1": 4, "RE2": 5, "RE3": 6, "N": 7, "N2": 8, "S1": 9, "S2": 10}


def unknown(names):
    return [None] * len(names)


def test_letters_and_wavelengths_agree_with_the_catalogue():
    """The catalogue's own platform table; centres may differ by the few nanometres that sources differ by."""
    compared = 0
    for letter, band in spyndex.bands.items():
        for platform in ("landsat4", "landsat5", "landsat7", "landsat8", "landsat9", "sentinel2a", "sentinel2b", "modis",
                         "planetscope", "wv2", "wv3"):  # fmt: skip
            if not hasattr(band, platform):
                continue
            theirs = getattr(band, platform)
            ours = load_sensors().sensors[THEIR_IDS.get(platform, platform)].find(theirs.band)
            assert letter in ours.letters, (platform, letter)
            assert ours.wavelength_nm == pytest.approx(theirs.wavelength, abs=6), (platform, letter)
            compared += 1
    assert compared == 78


def test_every_stack_consists_of_bands_of_its_sensor():
    for sensor in load_sensors().sensors.values():
        codes = [band.code for band in sensor.bands]
        assert all(set(stack) <= set(codes) for stack in sensor.stacks)
        assert len(set(codes)) == len(codes)
        letters = [letter for band in sensor.bands for letter in band.letters]
        assert len(set(letters)) == len(letters)


def test_names_alone_tell_the_letters():
    assert match_letters(["blue", "Green", "red", "NIR", "swir16", "height"], unknown("123456")).bands == {
        "B": 1, "G": 2, "R": 3, "N": 4, "S1": 5,
    }  # fmt: skip


def test_codes_of_sentinel_2_are_recognised():
    found = match_letters(SENTINEL, unknown(SENTINEL))
    assert found.bands == SENTINEL_LETTERS


def test_codes_that_two_sensors_share_are_not_guessed():
    assert match_letters(["B2", "B3", "B4", "B5"], unknown("1234")).bands == {}
    assert match_letters(["B2", "B3", "B4", "B5"], unknown("1234"), sensor="landsat8").bands["N"] == 4
    assert match_letters(["SR_B2", "SR_B3", "SR_B4"], unknown("123"), sensor="landsat5").bands == {"G": 1, "R": 2, "N": 3}


def test_sensor_in_the_metadata_counts():
    found = match_letters(["red", "nir"], unknown("12"), tagged="landsat8")
    assert found.bands == {"R": 1, "N": 2, "N2": 2}
    assert found.wavelengths_nm == {"R": 654.5, "N": 865, "N2": 865}
    assert found.sensor == "landsat8"


def test_unknown_sensor_in_the_metadata_is_no_error():
    assert match_letters(["red", "nir"], unknown("12"), tagged="hubble").bands == {"R": 1, "N": 2}


def test_wavelengths_tell_the_letters_of_bands_without_names():
    found = match_letters(["Band 1", "Band 2", "Band 3", "Band 4"], [0.4924, 0.6646, 0.8328, 0.8647])
    assert found.bands == {"B": 1, "R": 2, "N": 3, "N2": 4}
    assert found.wavelengths_nm["R"] == pytest.approx(664.6)


def test_bands_without_names_are_taken_in_the_usual_order_and_that_is_told():
    names = [f"Band {number}" for number in range(1, 8)]
    found = match_letters(names, unknown(names), sensor="landsat8")
    assert found.bands["N"] == 5
    assert "in this order: B1, B2, B3, B4, B5, B6, B7" in found.remark
    assert match_letters(names, unknown(names)).bands == {}


def test_wrong_number_of_bands_without_names_is_refused():
    with pytest.raises(ToolboxError, match=r"has 5 bands without names .* BAND_MAP"):
        match_letters(["x"] * 5, unknown("12345"), sensor="sentinel2a")


def test_custom_needs_a_band_map():
    with pytest.raises(ToolboxError, match="BAND_MAP must say"):
        match_letters(["a", "b"], unknown("12"), sensor="custom")
    assert match_letters(["a", "b"], unknown("12"), sensor="custom", band_map="N=2 R=1").bands == {"N": 2, "R": 1}


def test_band_map_overrides_what_was_found():
    found = match_letters(SENTINEL, unknown(SENTINEL), band_map="N=B8A")
    assert found.bands == {**SENTINEL_LETTERS, "N": 8}


def test_unknown_sensor_is_refused():
    with pytest.raises(ToolboxError, match="SENSOR “sputnik” is not known"):
        match_letters(["a"], [None], sensor="sputnik")


@pytest.mark.parametrize("text", ["N", "N=0", "N=3", "N=nir2", "Q=1", "=1", "N=-1", "N=1.5"])
def test_wrong_band_maps_are_refused(text):
    with pytest.raises(ToolboxError, match="BAND_MAP holds"):
        parse_band_map(text, ["red", "nir"])


def test_band_map_takes_numbers_names_and_our_names_of_bands():
    assert parse_band_map("N=2, R=Red;nir08=2", ["red", "nir"]) == {"N": 2, "R": 1, "N2": 2}


def test_wavelengths_tell_what_the_names_of_some_bands_leave_open():
    found = match_letters(["red", "own_1", "my infrared"], [0.665, 0.56, 0.8328])
    assert found.bands == {"R": 1, "G": 2, "N": 3}
    tagged = match_letters(["red", "Band 2"], [0.6545, 0.865], tagged="landsat8")
    assert tagged.bands == {"R": 1, "N": 2, "N2": 2}
    assert tagged.sensor == "landsat8"


def test_name_of_a_band_comes_before_a_wavelength_that_fits_better():
    assert match_letters(["red", "Band 2"], [0.64, 0.66]).bands["R"] == 1


@pytest.mark.parametrize("name", ["lastyear_blue", "lastyear_B02", "last year_nir", "pan", "cirrus"])
def test_band_of_another_image_or_of_no_letter_is_not_taken_by_its_wavelength(name):
    assert match_letters(["red", name], [0.665, 0.49]).bands == {"R": 1}
    assert match_letters(["red", name], [0.665, 0.49], tagged="landsat8").bands == {"R": 1}
