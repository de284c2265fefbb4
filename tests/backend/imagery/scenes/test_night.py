# SPDX-License-Identifier: GPL-2.0-or-later
"""Landsat images taken at night: no reflectance, but stored numbers and temperature."""

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError

from .products import SUN_ELEVATION, landsat, plain
from .running import infos, prepare

SENSORS = ["LC08", "LC09", "LT05", "LE07"]


def night(folder, sensor, elevation="-38.24510"):
    """A Level-1 product whose sun is below the horizon."""
    folder.mkdir()
    red = plain(77, "uint8") if sensor in ("LT05", "LE07") else plain(7_700)
    landsat(folder, sensor=sensor, level="L1TP", bands={"4": red})
    path = next(folder.glob("*_MTL.txt"))
    text = path.read_text(encoding="utf-8")
    old = f"SUN_ELEVATION = {SUN_ELEVATION[sensor]}"
    assert old in text
    path.write_text(text.replace(old, f"SUN_ELEVATION = {elevation}"), encoding="utf-8")
    return folder


@pytest.mark.parametrize("scale", ["reflectance", "toa"])
@pytest.mark.parametrize("sensor", SENSORS)
def test_reflectance_at_night_is_refused_with_the_way_out(tmp_path, sensor, scale):
    with pytest.raises(ToolboxError, match=r"taken at night.*SCALE none"):
        prepare(night(tmp_path / "scene", sensor), tmp_path / "o.tif", scale=scale)


@pytest.mark.parametrize("sensor", SENSORS)
def test_stored_numbers_are_there_at_night(tmp_path, sensor):
    values, _ = prepare(night(tmp_path / "scene", sensor), tmp_path / "o.tif", scale="none", bands="B4")
    assert (values == (77 if sensor in ("LT05", "LE07") else 7_700)).all()


@pytest.mark.parametrize("sensor", SENSORS)
def test_temperature_is_there_at_night(tmp_path, sensor):
    """OLI, DN 10,000: radiance 3.442, 1321.0789 / ln(774.8853 / 3.442 + 1) = 243.692 K; DN 100 of TM and ETM+ likewise."""
    band = "B10" if sensor in ("LC08", "LC09") else "B6"
    values, events = prepare(night(tmp_path / "scene", sensor), tmp_path / "o.tif", bands=band)
    kelvin = {"B10": 243.692, "LT05": 279.151, "LE07": 277.764}
    assert values[0] == pytest.approx(kelvin[band if band == "B10" else sensor], abs=2e-3)
    assert "Bands: thermal" in infos(events)


@pytest.mark.parametrize("elevation", ["0", "-0.01", "90.5"])
def test_sun_at_the_horizon_or_nowhere_gives_no_reflectance(tmp_path, elevation):
    with pytest.raises(ToolboxError, match="sun elevation of"):
        prepare(night(tmp_path / "scene", "LC08", elevation), tmp_path / "o.tif")
