# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way in which a raster says where it holds nothing, read as it is and resampled on the fly."""

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from rasterio.enums import ColorInterp

from ..rasters import NORTH_UP, UTM, drive
from .known import FirstBandNetwork, model, run, scene

ROWS, COLUMNS = 70, 90
EMPTY = slice(40, 50)  # columns without data
FACTORS = {None: 1, 5.0: 2, 20.0: 0.5}  # cell size asked for → cells per pixel of the raster along each axis


def expect_empty(classes, cell_size):
    """Only the cells over the empty columns are nodata, but for one at either edge, which sees both."""
    factor = FACTORS[cell_size]
    left, right = int(EMPTY.start * factor), int(EMPTY.stop * factor)
    assert classes.shape == (ROWS * factor, COLUMNS * factor)
    assert (classes[:, left + 1 : right - 1] == 255).all()
    assert (classes[:, :left] != 255).all()
    assert (classes[:, right:] != 255).all()


@pytest.mark.parametrize("cell_size", FACTORS)
@pytest.mark.parametrize(
    ("dtype", "nodata"), [("uint8", 0), ("uint8", 255), ("int16", -9999), ("float32", np.nan), ("float32", -9999)]
)
def test_nodata_of_one_band_is_nodata_at_any_cell_size(tmp_path, dtype, nodata, cell_size):
    values = scene(ROWS, COLUMNS).astype(dtype)
    values[0] = 1
    values[0, :, EMPTY] = nodata
    classes, _ = run(tmp_path, values, raster={"nodata": nodata}, cell_size=cell_size or 0.0)
    expect_empty(classes, cell_size)


@pytest.mark.parametrize("cell_size", FACTORS)
@pytest.mark.parametrize("count", [2, 3, 5])  # GDAL by itself heeds an alpha band after one or three others only
def test_what_an_alpha_band_hides_is_nodata_whatever_the_number_of_bands(tmp_path, count, cell_size):
    with rasterio.open(
        tmp_path / "alpha.tif",
        "w",
        driver="GTiff",
        width=COLUMNS,
        height=ROWS,
        count=count + 1,
        dtype="uint8",
        crs=UTM,
        transform=NORTH_UP,
        alpha="YES",
        photometric="MINISBLACK",
    ) as raster:
        raster.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (count - 1), ColorInterp.alpha]
        values = np.ones((count + 1, ROWS, COLUMNS), np.uint8)
        values[-1] = 255
        values[-1, :, EMPTY] = 0
        raster.write(values)
    names = [f"Band {number}" for number in range(1, count + 1)]
    output = tmp_path / "classes.tif"
    request = ClassifySettings(str(tmp_path / "alpha.tif"), "m.dlpk", str(output), tile_size=32, cell_size=cell_size or 0.0)
    drive(classify_with(request, model(bands=names), FirstBandNetwork(3), Ranks()))
    with rasterio.open(output) as result:
        expect_empty(result.read(1), cell_size)


@pytest.mark.parametrize("cell_size", FACTORS)
def test_what_a_mask_hides_is_nodata_at_any_cell_size(tmp_path, cell_size):
    mask = np.full((ROWS, COLUMNS), 255, np.uint8)
    mask[:, EMPTY] = 0
    values = np.ones((2, ROWS, COLUMNS), np.uint8)
    classes, _ = run(tmp_path, values, raster={"mask": mask}, cell_size=cell_size or 0.0)
    expect_empty(classes, cell_size)


def test_a_cell_larger_than_the_raster_is_refused_and_not_called_nodata(tmp_path):
    with pytest.raises(ToolboxError, match=r"CELL_SIZE 901 is larger than all of .*, 900 × 700; it counts in units of"):
        run(tmp_path, scene(ROWS, COLUMNS), cell_size=901.0)
    assert run(tmp_path, scene(ROWS, COLUMNS), cell_size=900.0)[0].shape == (1, 1)
