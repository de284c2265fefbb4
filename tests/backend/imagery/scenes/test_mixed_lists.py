# SPDX-License-Identifier: GPL-2.0-or-later
"""Band files of a product listed with other rasters: each keeps its own scaling."""

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import describe
from deep_learning_toolbox.backend.imagery.sensors import match_letters

from ...rasters import write_raster
from .products import LANDSAT_CRS, LANDSAT_TRANSFORM, SENTINEL_CORNER, SENTINEL_CRS, landsat, plain, sentinel2, write_jp2
from .running import prepare, warnings


def file(product, ending):
    return next(product.rglob(f"*{ending}"))


@pytest.fixture
def height(tmp_path):
    return write_raster(tmp_path / "dem.tif", plain(500, np.float32), transform=LANDSAT_TRANSFORM, crs=LANDSAT_CRS)


def test_landsat_bands_beside_a_height_model_are_scaled(tmp_path, height):
    product = landsat(tmp_path / "p")
    output = tmp_path / "o.tif"
    values, _ = prepare([file(product, "SR_B5.TIF"), height, file(product, "SR_B4.TIF")], output)
    assert values[:, 0, 0] == pytest.approx([0.075, 500, 0.075])  # 0.0000275 × 10,000 − 0.2
    info = describe(str(output))
    assert (info.band_names, info.sensor) == (("nir", "dem", "red"), "landsat8")
    values, _ = prepare([file(product, "SR_B4.TIF"), height], output, scale="none")
    assert values[:, 0, 0].tolist() == [10_000, 500]


def test_clouds_and_saturation_are_masked_in_landsat_bands_beside_a_height_model(tmp_path, height):
    quality, saturated = plain(21_824), plain(0)
    quality[0, 0] = 22_280  # cloud
    saturated[0, 1], saturated[0, 2] = 1 << 3, 1 << 4  # in B4, which is used, and in B5, which is not
    product = landsat(tmp_path / "p", quality=quality, saturated=saturated)
    values, _ = prepare([height, file(product, "SR_B4.TIF")], tmp_path / "o.tif", mask_clouds=True)
    assert np.argwhere(np.isnan(values[1])).tolist() == [[0, 0], [0, 1]]


def test_name_that_a_band_of_the_product_has_gets_the_files_name(tmp_path):
    product = landsat(tmp_path / "p")
    last = write_raster(tmp_path / "last.tif", plain(0.5, np.float32), transform=LANDSAT_TRANSFORM, crs=LANDSAT_CRS, names=["red"])
    prepare([last, file(product, "SR_B4.TIF")], tmp_path / "o.tif")
    assert describe(str(tmp_path / "o.tif")).band_names == ("last_red", "red")


def test_scenes_of_two_years_keep_names_and_wavelengths_and_the_first_gives_the_letters(tmp_path):
    made = {}
    for name, waves in (("this", (0.6546, 0.865)), ("last", (0.665, 0.8328))):
        made[name] = write_raster(tmp_path / f"{name}.tif", np.ones((2, 4, 4), np.float32), names=["red", "nir"])
        with rasterio.open(made[name], "r+") as raster:
            for number, wave in enumerate(waves, start=1):
                raster.update_tags(number, wavelength=str(wave))
    plainly = write_raster(tmp_path / "extra.tif", np.ones((1, 4, 4), np.float32))
    with rasterio.open(plainly, "r+") as raster:
        raster.update_tags(1, wavelength="0.56")
    prepare([made["last"], made["this"], plainly], tmp_path / "o.tif")
    info = describe(str(tmp_path / "o.tif"))
    assert info.band_names == ("red", "nir", "this_red", "this_nir", "extra")
    assert info.wavelengths == pytest.approx((0.665, 0.8328, 0.6546, 0.865, 0.56))
    assert match_letters(info.band_names, info.wavelengths).bands == {"R": 1, "N": 2, "G": 5}


def test_quality_file_among_landsat_bands_is_left_out_and_named(tmp_path):
    product = landsat(tmp_path / "p")
    values, events = prepare([file(product, "SR_B4.TIF"), file(product, "QA_PIXEL.TIF")], tmp_path / "o.tif")
    assert values.shape[0] == 1
    assert values == pytest.approx(0.075)
    assert "QA_PIXEL.TIF" in warnings(events)


def test_landsat_folder_without_metadata_is_not_taken_as_reflectance(tmp_path, height):
    product = landsat(tmp_path / "p")
    bands = [file(product, "SR_B4.TIF"), height]
    file(product, "MTL.txt").unlink()
    for listed in (product, bands):
        with pytest.raises(ToolboxError, match="scaling is not known"):
            prepare(listed, tmp_path / "o.tif")


def test_colour_and_atmosphere_files_among_sentinel_bands_are_left_out_and_named(tmp_path):
    product = sentinel2(tmp_path)
    images = sorted(product.rglob("R20m/*.jp2"))  # with SCL
    extra = images[0].parent / "T33XWJ_20220413T150759_WVP_20m.jp2"
    write_jp2(extra, np.full((6, 6), 99, np.uint16), 20)
    height = write_raster(
        tmp_path / "dem.tif",
        np.full((6, 6), 500, np.float32),
        transform=type(LANDSAT_TRANSFORM)(20, 0, SENTINEL_CORNER[0], 0, -20, SENTINEL_CORNER[1]),
        crs=SENTINEL_CRS,
    )
    values, events = prepare([*images, extra, height], tmp_path / "o.tif")
    assert values[:-1] == pytest.approx(0.1, abs=1e-6)
    assert values[-1, 0, 0] == 500
    assert "WVP_20m.jp2" in warnings(events)
    assert "SCL_20m.jp2" in warnings(events)


@pytest.mark.parametrize("others", [[], ["_B4.TIF"]])
def test_high_gain_of_the_thermal_band_is_refused_by_name(tmp_path, others):
    product = landsat(tmp_path / "p", "LE07", "L1TP")
    with pytest.raises(ToolboxError, match=r"VCID_2\.TIF is not among the bands read"):
        prepare([file(product, ending) for ending in (*others, "VCID_2.TIF")], tmp_path / "o.tif")
