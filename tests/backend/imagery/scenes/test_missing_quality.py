# SPDX-License-Identifier: GPL-2.0-or-later
"""A quality band that is not there does not pass for a clear sky."""

import numpy as np
import pytest
from deep_learning_toolbox.backend.errors import ToolboxError

from .products import LANDSAT_CRS, landsat, plain, sentinel2, write_tif
from .running import infos, prepare, warnings


def test_landsat_without_its_pixel_quality_is_not_left_unmasked(tmp_path):
    product = landsat(tmp_path / "p")
    next(product.glob("*QA_PIXEL.TIF")).unlink()
    with pytest.raises(ToolboxError, match=r"lacks LC08_\w+_QA_PIXEL.TIF, which tells cloud"):
        prepare(product, tmp_path / "o.tif", mask_clouds=True)
    values, _ = prepare(product, tmp_path / "o.tif", mask_clouds=True, mask_classes="saturation")
    assert len(values) == 7


def test_sentinel_without_its_scene_classification_is_not_left_unmasked(tmp_path):
    product = sentinel2(tmp_path)
    for file in product.rglob("*SCL*"):
        file.unlink()
    with pytest.raises(ToolboxError, match="lacks its scene classification"):
        prepare(product, tmp_path / "o.tif", mask_clouds=True, mask_classes="cloud")


@pytest.mark.parametrize("sensor", ["LT04", "LT05", "LE07"])
def test_sensor_that_sees_no_cirrus_is_not_said_to_mask_it(tmp_path, sensor):
    quality = plain(5440)
    quality[0, 0] |= 1 << 3  # cloud
    quality[0, 1] |= 1 << 2  # unused with these sensors
    product = landsat(tmp_path / "p", sensor=sensor, quality=quality)
    values, events = prepare(product, tmp_path / "o.tif", mask_clouds=True)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[0, 0]]
    assert "cirrus" not in infos(events)
    assert "do not tell it: cirrus" in warnings(events)
    with pytest.raises(ToolboxError, match="do not tell cirrus"):
        prepare(product, tmp_path / "o.tif", mask_clouds=True, mask_classes="cirrus")


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_saturated_detector_is_masked_without_a_halo_and_counted(tmp_path, level):
    fine, coarse = np.full((12, 12), 2000, np.uint16), np.full((6, 6), 2000, np.uint16)
    fine[9, 9] = coarse[2, 2] = 65_535
    product = sentinel2(tmp_path, level, bands={("B04", 10): fine, ("B05", 20): coarse}, classi=np.zeros((3, 2, 2)))
    options = {"mask_clouds": True, "bands": "B4;B5"}
    values, events = prepare(product, tmp_path / "o.tif", mask_classes="saturation", **options)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[9, 9]]
    assert np.argwhere(np.isnan(values[1])).tolist() == [[4, 4], [4, 5], [5, 4], [5, 5]]
    assert np.nanmax(values) == pytest.approx(0.1, abs=1e-6)
    assert "saturation 3.5 %" in infos(events)  # 5 of 144
    values, _ = prepare(product, tmp_path / "o.tif", mask_classes="cloud", **options)
    assert values[0, 9, 9] == pytest.approx(6.4535)


@pytest.mark.parametrize(
    ("quality", "crs", "message"),
    [
        (plain(22_280), "EPSG:32611", "QA_PIXEL.TIF lies in another coordinate system than the bands"),
        (plain(22_280)[:3, :3], LANDSAT_CRS, "QA_PIXEL.TIF covers a part of the bands only"),
    ],
)
def test_quality_band_that_does_not_lie_on_the_bands_does_not_pass_for_a_clear_sky(tmp_path, quality, crs, message):
    product = landsat(tmp_path / "p")
    write_tif(next(product.glob("*QA_PIXEL.TIF")), quality, crs=crs, nodata=1)
    with pytest.raises(ToolboxError, match=message):
        prepare(product, tmp_path / "o.tif", mask_clouds=True)
    values, _ = prepare(product, tmp_path / "o.tif")  # without a mask it is not needed
    assert not np.isnan(values).any()


@pytest.mark.parametrize("resolution", [7.0, 70.0])
def test_quality_band_may_end_within_the_last_cell(tmp_path, resolution):
    """Six cells of 30 m are no whole number of cells of 7 or 70 m."""
    product = landsat(tmp_path / "p", quality=plain(22_280))
    with pytest.raises(ToolboxError, match="no valid pixel left"):  # cloud at all of them
        prepare(product, tmp_path / "o.tif", mask_clouds=True, resolution=resolution)
