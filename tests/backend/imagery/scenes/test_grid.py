# SPDX-License-Identifier: GPL-2.0-or-later
"""The grid of the output: values near nodata, and extents in other coordinate systems."""

import numpy as np
import pytest
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.scenes.grid import plan_grid
from rasterio.coords import BoundingBox
from rasterio.crs import CRS

from ...rasters import write_raster
from .running import infos, prepare

COARSE = Affine(20, 0, 500_000, 0, -20, 5_200_000)


@pytest.mark.parametrize("nodata", [-9999.0, np.nan])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
def test_hole_in_one_of_two_bands_is_not_interpolated(tmp_path, nodata, resampling):
    first = write_raster(tmp_path / "first.tif", np.ones((8, 8), np.float32))
    values = np.full((2, 4, 4), 100, np.float32)
    values[0, 1, 1] = nodata
    values[1] = 5
    second = write_raster(tmp_path / "second.tif", values, transform=COARSE, nodata=nodata, names=["x", "y"])
    made, _ = prepare([first, second], tmp_path / "o.tif", resampling=resampling)
    assert np.isnan(made[1]).any()
    np.testing.assert_allclose(made[1][np.isfinite(made[1])], 100, atol=1e-3)
    np.testing.assert_allclose(made[2], 5, atol=1e-4)


class Tile:
    """The size and place of a Sentinel-2 tile, without its pixels."""

    def __init__(self, crs, left, top):
        self.crs, self.transform = CRS.from_user_input(crs), Affine(10, 0, left, 0, -10, top)
        self.width = self.height = 10_980
        self.bounds = BoundingBox(left, top - 109_800, left + 109_800, top)


TILES = [("EPSG:32633", 499_980, 5_300_040), ("EPSG:32610", 353_685, 5_374_215), ("EPSG:32733", 399_960, 7_000_000)]


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize(
    ("extent", "crs"),
    [
        ((-180, -90, 180, 90), "EPSG:4326"),
        ((-170, -80, 170, 80), "EPSG:4326"),
        ((-130, -60, 60, 60), "EPSG:4326"),
        ((-20_037_508, -20_037_508, 20_037_508, 20_037_508), "EPSG:3857"),
    ],
)
def test_extent_of_a_view_zoomed_far_out_keeps_the_whole_scene(tile, extent, crs):
    grid = plan_grid(Tile(*tile), 0, extent, crs)
    assert (grid.width, grid.height) == (10_980, 10_980)
    assert (grid.transform.c, grid.transform.f) == tile[1:]


@pytest.mark.parametrize("crs", [None, "EPSG:32633"])
@pytest.mark.parametrize(("x", "y"), [(500_000, 5_300_000), (500_005, 5_299_995), (499_980, 5_300_040)])
def test_extent_smaller_than_a_thousandth_of_a_cell_is_the_cell_it_lies_in(x, y, crs):
    grid = plan_grid(Tile(*TILES[0]), 0, (x, y - 0.004, x + 0.004, y), crs)
    column, row = (x - 499_980) // 10, (5_300_040 - y) // 10
    assert (grid.width, grid.height) == (1, 1)
    assert (grid.transform.c, grid.transform.f) == (499_980 + 10 * column, 5_300_040 - 10 * row)


def test_extent_elsewhere_in_another_system_is_refused():
    with pytest.raises(ToolboxError, match="EXTENT lies outside the scene"):
        plan_grid(Tile("EPSG:32633", 499_980, 5_300_040), 0, (100, -10, 110, 0), "EPSG:4326")


DEGREES = Affine(0.0002, 0, 11, 0, -0.0002, 48)


def test_metres_for_a_raster_in_degrees_are_refused_with_the_number_in_degrees(tmp_path):
    raster = write_raster(tmp_path / "a.tif", np.ones((8, 8), np.float32), transform=DEGREES, crs="EPSG:4326")
    with pytest.raises(ToolboxError, match=r"RESOLUTION 10 is in degrees and larger.* 10 m are about 9e-05 degrees"):
        prepare(raster, tmp_path / "o.tif", resolution=10)


def test_cell_size_in_degrees_is_taken_and_told(tmp_path):
    raster = write_raster(tmp_path / "a.tif", np.ones((8, 8), np.float32), transform=DEGREES, crs="EPSG:4326")
    made, events = prepare(raster, tmp_path / "o.tif", resolution=0.0004)
    assert made.shape == (1, 4, 4)
    assert "4 × 4 cells of 0.0004 degrees" in infos(events)


def test_cell_larger_than_the_scene_is_refused_in_metres_too(tmp_path):
    raster = write_raster(tmp_path / "a.tif", np.ones((8, 8), np.float32))
    with pytest.raises(ToolboxError, match="is in metres and larger than the whole scene"):
        prepare(raster, tmp_path / "o.tif", resolution=5000)
    made, _ = prepare(raster, tmp_path / "o.tif", resolution=8 * 10)
    assert made.shape == (1, 1, 1)
