# SPDX-License-Identifier: GPL-2.0-or-later
"""Squares of ground in folders of several cell sizes and coordinate systems."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.losses import IGNORE
from deep_learning_toolbox.backend.training.split import split_blocks
from deep_learning_toolbox.backend.training.squares import EDGE, SQUARE_STEP, number_squares
from hypothesis import given
from hypothesis import strategies as st
from rasterio.warp import Resampling, calculate_default_transform, reproject
from rasterio.warp import transform as transform_points

from ..rasters import NORTH_UP, UTM, drive, write_raster
from .stores import settings_of

SIDE, TILE = 192, 16


def export(folder, crs, transform, side=SIDE):
    """Chips of one class raster in stripes, and of a noise image, brought onto that grid."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    source = (1 + (rows // 8 + columns // 8) % 2).astype(np.uint8)
    label = np.zeros((side, side), np.uint8)
    reproject(source, label, src_transform=NORTH_UP, src_crs=UTM, dst_transform=transform, dst_crs=crs, dst_nodata=0,
              resampling=Resampling.nearest)  # fmt: skip
    image = np.random.default_rng(0).integers(1, 99, label.shape).astype(np.uint8)
    folder.mkdir()
    places = {"crs": crs, "transform": transform}
    request = ExportSettings(
        write_raster(folder / "image.tif", image, **places), str(folder / "chips"),
        label_raster=write_raster(folder / "label.tif", label, nodata=0, **places),
        tile_size_x=TILE, tile_size_y=TILE, stride_x=TILE, stride_y=TILE,
    )  # fmt: skip
    drive(export_chips(request, "test"))
    return folder / "chips"


def grid_of(kind):
    """CRS, transform and side of a raster of the same ground."""
    if kind == "coarse":
        return UTM, Affine(20, 0, NORTH_UP.c, 0, -20, NORTH_UP.f), SIDE // 2
    crs = rasterio.CRS.from_epsg(32633 if kind == "neighbouring zone" else 4326)
    south, east = NORTH_UP.f - 10 * SIDE, NORTH_UP.c + 10 * SIDE
    transform, width, height = calculate_default_transform(
        rasterio.CRS.from_string(UTM), crs, SIDE, SIDE, NORTH_UP.c, south, east, NORTH_UP.f
    )
    return crs, transform, max(width, height)


def label_points(store, validation):
    """Column and row, on the first folder's grid, of the centres of all labelled pixels that one side sees."""
    points = set()
    for number in range(len(store)):
        target = store.get([number], validation)[0].target.numpy()
        place = store.locations[number]
        rows, columns = np.nonzero(target != IGNORE)
        folder = store.folders[place.folder]
        with rasterio.open(folder.path / place.record.image) as chip:
            x, y = chip.transform * (columns + 0.5, rows + 0.5)
            x, y = transform_points(chip.crs, rasterio.CRS.from_string(UTM), x, y) if len(x) else (x, y)
        column, row = ~NORTH_UP * (np.array(x), np.array(y))
        points |= set(zip(np.floor(column).astype(int).tolist(), np.floor(row).astype(int).tolist(), strict=True))
    return points


@pytest.mark.parametrize(("kind", "split_by_edges"), [("coarse", 0.0), ("neighbouring zone", 0.05), ("degrees", 0.05)])
def test_a_place_in_two_folders_is_on_one_side_whatever_their_grids(tmp_path, kind, split_by_edges):
    folders = [export(tmp_path / "a", UTM, NORTH_UP), export(tmp_path / "b", *grid_of(kind))]
    store = ChipStore(settings_of(*folders))
    list(store.scan())
    assert store.overlap()
    assert store.block_kind == "square"
    store.apply_split(split_blocks(store.census, 30, 1))
    training, validation = label_points(store, False), label_points(store, True)
    assert len(validation) > 0.1 * SIDE**2
    # A pixel of one grid that lies across a square's edge can meet pixels of the other grid on either side of it.
    assert len(training & validation) <= split_by_edges * len(validation)


def test_folders_far_apart_in_two_coordinate_systems_keep_the_numbers_of_their_labels(tmp_path):
    far = Affine(10, 0, 500_000, 0, -10, 5_200_000)  # the same numbers as the first folder's, in another zone
    folders = [export(tmp_path / "a", UTM, NORTH_UP), tmp_path / "b" / "chips"]
    image = write_raster(tmp_path / "image.tif", np.ones((TILE, TILE), np.uint8), crs="EPSG:32652", transform=far)
    drive(export_chips(ExportSettings(image, str(folders[1]), label_raster=image, tile_size_x=TILE, tile_size_y=TILE), "test"))
    store = ChipStore(settings_of(*folders))
    assert not store.overlap()
    assert store.block_kind == "label"


@given(
    st.sampled_from([10.0, 0.3, 0.075, 1 / 3]), st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6),
    st.integers(-16, 16), st.integers(-16, 16),
)  # fmt: skip
def test_a_place_has_the_same_square_in_every_chip_that_shows_it(cell, column, row, right, down):
    def chip(column, row):
        transform = Affine(cell, 0, column * cell, 0, -cell, -row * cell)
        x, y = transform * (np.arange(16)[None, :] + 0.5, np.arange(16)[:, None] + 0.5)
        return number_squares(x, y, (32 * cell, 32 * cell))

    one, other = chip(column, row), chip(column + right, row + down)
    shown = [(r, c) for r in range(16) for c in range(16) if 0 <= r - down < 16 and 0 <= c - right < 16]
    assert all(one[r, c] == other[r - down, c - right] for r, c in shown)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_squares_are_numbered_from_the_origin_to_the_south_and_east(x, y):
    number = number_squares(np.array(x), np.array(y), (160.0, 80.0))
    assert number == int(np.floor(-y / 80 + EDGE)) * SQUARE_STEP + int(np.floor(x / 160 + EDGE))
