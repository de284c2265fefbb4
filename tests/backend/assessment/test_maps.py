# SPDX-License-Identifier: GPL-2.0-or-later
"""Class rasters as class values: nodata in all its forms, other grids, strips, and values that are no classes."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.assessment import maps
from deep_learning_toolbox.backend.assessment.maps import ClassMap, WarpedMap, open_on_grid, read_strips, strip_windows
from deep_learning_toolbox.backend.assessment.pairs import NOTHING, widen
from deep_learning_toolbox.backend.errors import ToolboxError
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from ..rasters import NORTH_UP, UTM, write_raster

VALUES = np.array([[1, 2, 0], [3, 9, 255]])


def read(source, info=None, role="INPUT"):
    with ClassMap(source, role) if info is None else open_on_grid(source, role, info) as classes:
        return widen(classes.read(window_of(classes.info if info is None else info)))


def window_of(info):
    return Window(0, 0, info.width, info.height)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_nodata_becomes_nothing_and_zero_stays_a_class(tmp_path, dtype):
    source = write_raster(tmp_path / "map.tif", VALUES.astype(dtype), nodata=255)
    assert read(source).tolist() == [[1, 2, 0], [3, 9, NOTHING]]


def test_mask_and_nan_become_nothing(tmp_path):
    values = VALUES.astype(np.float32)
    values[0, 0] = np.nan
    mask = np.full(VALUES.shape, 255, np.uint8)
    mask[1, 1] = 0
    source = write_raster(tmp_path / "map.tif", values, mask=mask)
    assert read(source).tolist() == [[NOTHING, 2, 0], [3, NOTHING, 255]]


def test_255_is_a_class_where_it_is_not_nodata(tmp_path):
    values = np.array([[255, 0, 7]], np.uint8)
    assert read(write_raster(tmp_path / "all.tif", values)).tolist() == [[255, 0, 7]]
    assert read(write_raster(tmp_path / "zero.tif", values, nodata=0)).tolist() == [[255, NOTHING, 7]]
    mask = np.array([[0, 255, 255]], np.uint8)
    assert read(write_raster(tmp_path / "masked.tif", values, mask=mask)).tolist() == [[NOTHING, 0, 7]]


def test_alpha_band_is_no_class_band(tmp_path):
    source = str(tmp_path / "alpha.tif")
    with rasterio.open(source, "w", driver="GTiff", width=2, height=1, count=2, dtype="uint8", crs=UTM, transform=NORTH_UP) as raster:
        raster.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
        raster.write(np.array([[[4, 5]], [[255, 0]]], np.uint8))
    assert read(source).tolist() == [[4, NOTHING]]


@pytest.mark.parametrize(("value", "told"), [(-3, "-3"), (2.5, "2.5"), (65_535, "65535"), (1e6, "1000000")])
def test_values_that_are_no_classes_are_refused_by_name(tmp_path, value, told):
    source = write_raster(tmp_path / "map.tif", np.array([[1, value]], np.float64))
    with pytest.raises(ToolboxError, match=f"value {told}.*nodata"):
        read(source)


def test_image_of_several_bands_is_refused(tmp_path):
    source = write_raster(tmp_path / "image.tif", np.ones((3, 2, 2), np.uint8))
    with pytest.raises(ToolboxError, match="3 bands"):
        ClassMap(source, "INPUT")


def test_other_grids_are_warped_by_nearest_neighbour_and_end_where_they_end(tmp_path):
    with ClassMap(write_raster(tmp_path / "map.tif", np.ones((4, 6), np.uint8)), "INPUT") as classes:
        info = classes.info
    fine = np.kron(np.array([[1, 2], [3, 255]]), np.ones((4, 4))).astype(np.uint8)
    source = write_raster(tmp_path / "fine.tif", fine, transform=NORTH_UP * Affine.translation(2, 0) * Affine.scale(0.5), nodata=255)
    none = [NOTHING] * 2
    assert read(source, info).tolist() == 2 * [[*none, 1, 1, 2, 2]] + 2 * [[*none, 3, 3, *none]]


@pytest.mark.parametrize("options", [{}, {"nodata": 0}, {"mask": np.array([[255, 0], [255, 255]], np.uint8)}])
def test_warped_raster_knows_its_nodata_mask_and_end(tmp_path, options):
    with ClassMap(write_raster(tmp_path / "map.tif", np.ones((4, 6), np.uint8)), "INPUT") as classes:
        info = classes.info
    values = np.array([[5, 0], [7, 0]], np.uint8)
    source = write_raster(tmp_path / "coarse.tif", values, transform=NORTH_UP * Affine.scale(2), **options)
    zero = NOTHING if "nodata" in options else 0
    top = NOTHING if options else 0
    expected = 2 * [[5, 5, top, top]] + 2 * [[7, 7, zero, zero]]
    assert [row[:4] for row in read(source, info).tolist()] == expected
    assert (read(source, info)[:, 4:] == NOTHING).all()


def test_same_grid_is_read_without_warping(tmp_path):
    first = write_raster(tmp_path / "a.tif", VALUES.astype(np.uint8))
    with ClassMap(first, "INPUT") as classes:
        assert isinstance(open_on_grid(write_raster(tmp_path / "b.tif", VALUES.astype(np.uint8)), "OTHER", classes.info), ClassMap)
        moved = write_raster(tmp_path / "c.tif", VALUES.astype(np.uint8), crs="EPSG:32633")
        assert isinstance(open_on_grid(moved, "OTHER", classes.info), WarpedMap)


def test_raster_without_crs_on_another_grid_is_refused(tmp_path):
    with ClassMap(write_raster(tmp_path / "a.tif", VALUES.astype(np.uint8)), "INPUT") as classes:
        other = write_raster(tmp_path / "b.tif", np.ones((9, 9), np.uint8), crs=None)
        with pytest.raises(ToolboxError, match=r"REFERENCE_RASTER.*coordinate system"):
            open_on_grid(other, "REFERENCE_RASTER", classes.info)


@pytest.mark.parametrize("block", [None, 16, 64])
@pytest.mark.parametrize("pixels", [100, 3000, 10**6])
def test_strips_are_the_whole_raster_whatever_its_blocks(tmp_path, monkeypatch, block, pixels):
    monkeypatch.setattr(maps, "STRIP_PIXELS", pixels)
    values = np.random.default_rng(1).integers(0, 9, (150, 70)).astype(np.uint8)
    tiles = {"tiled": True, "blockxsize": block, "blockysize": block} if block else {}
    source = write_raster(tmp_path / "map.tif", values, **tiles)
    with ClassMap(source, "A") as first, ClassMap(source, "B") as second:
        windows = strip_windows(first.info)
        strips = list(read_strips(windows, [first, second]))
    assert np.array_equal(np.vstack([strip.values[0] for strip in strips]), values)
    assert np.array_equal(np.vstack([strip.values[1] for strip in strips]), values)
    assert all(strip.window.height * 70 <= max(4 * pixels, 70) for strip in strips)


def test_fault_while_reading_ahead_reaches_the_caller(tmp_path, monkeypatch):
    monkeypatch.setattr(maps, "STRIP_PIXELS", 10)
    values = np.ones((9, 10), np.float32)
    values[8, 0] = -1
    with ClassMap(write_raster(tmp_path / "map.tif", values, tiled=False, blockysize=1), "INPUT") as classes:
        strips = read_strips(strip_windows(classes.info), [classes])
        with pytest.raises(ToolboxError, match="-1"):
            list(strips)
