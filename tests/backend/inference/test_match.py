# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding a model's bands in rasters that name them otherwise."""

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import describe
from deep_learning_toolbox.backend.inference.match import match_bands

from ..rasters import write_raster


@pytest.fixture
def raster(tmp_path):
    def write(names, sensor="", wavelengths=()):
        path = write_raster(tmp_path / "r.tif", np.zeros((len(names), 4, 4), np.float32), names=names)
        with rasterio.open(path, "r+") as opened:
            if sensor:
                opened.update_tags(SENSOR=sensor)
            for band, value in enumerate(wavelengths, start=1):
                opened.update_tags(band, wavelength=str(value))
        return describe(path)

    return write


@pytest.mark.parametrize(
    ("names", "sensor", "wanted", "expected"),
    [
        (["B04", "B08"], "", ["nir", "red"], [2, 1]),
        (["red", "nir"], "", ["B08", "B04"], [2, 1]),  # two digits: Sentinel-2
        (["SR_B5", "SR_B4", "dem"], "landsat8", ["red", "nir", "dem"], [2, 1, 3]),
        (["B4", "B8"], "sentinel2a", ["nir", "red"], [2, 1]),
        (["B04", "red"], "", ["red"], [2]),  # the name itself comes first
    ],
)
def test_bands_are_found_by_what_their_names_mean(raster, names, sensor, wanted, expected):
    info = raster(names, sensor)
    bands, remark = match_bands(info, range(1, info.count + 1), wanted, "m")
    assert bands == expected
    assert remark == "" or f"{wanted[0]} = {names[expected[0] - 1]}" in remark


def test_wavelengths_tell_what_names_do_not(raster):
    info = raster(["L1", "L2"], wavelengths=(0.84, 0.66))
    assert match_bands(info, [1, 2], ["red", "nir"], "m")[0] == [2, 1]


def test_two_bands_of_one_meaning_are_refused_naming_both(raster):
    info = raster(["B04", "SR_B4", "B08"], "sentinel2a")
    with pytest.raises(ToolboxError, match="two bands that mean red, B04 and SR_B4"):
        match_bands(info, [1, 2, 3], ["red", "nir"], "m")


def test_code_that_sensors_understand_differently_is_not_guessed(raster):
    info = raster(["B4", "B3"])  # red and green, or, with Landsat 5, nir and red
    with pytest.raises(ToolboxError, match="lacks the bands red, nir"):
        match_bands(info, [1, 2], ["red", "nir"], "m")
