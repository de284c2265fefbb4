# SPDX-License-Identifier: GPL-2.0-or-later
"""What is decided before the first pixel, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference.plan import make_plan
from deep_learning_toolbox.backend.inference.prepare import choose_tile, smaller_tile
from deep_learning_toolbox.backend.inference.settings import ClassifySettings

from ..rasters import pixel_box
from .known import model, run, scene


def test_extent_is_snapped_to_the_grid(tmp_path):
    values = scene()
    west, south, east, north = pixel_box(10.2, 5.3, 19.9, 12.0).bounds
    classes, _ = run(tmp_path, values, extent=(west, south, east, north))
    assert np.array_equal(classes, values[0, 5:12, 10:20] + 1)
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        assert result.transform == Affine(10, 0, 500_100, 0, -10, 5_199_950)


class SurroundingsNetwork(torch.nn.Module):
    """Class 0 or 1 by the mean of the first band over 9 × 9 pixels, with zeros beyond the edges."""

    def forward(self, image):
        mean = torch.nn.functional.avg_pool2d(image[:, :1], 9, 1, 4)
        return torch.cat([1 - mean, mean], 1) * 50


@pytest.mark.parametrize("corner", [(30, 20), (0, 0), (40, 24)])
def test_what_lies_around_an_extent_counts_for_its_pixels(tmp_path, corner):
    values = scene(70, 90, classes=2)
    description, network = model(values=(1, 2)), SurroundingsNetwork()
    whole, _ = run(tmp_path, values, description, network, tile_size=96)
    left, top = corner
    part, events = run(tmp_path, values, description, network, tile_size=64, extent=pixel_box(left, top, left + 21, top + 20).bounds)
    assert np.array_equal(part, whole[top : top + 20, left : left + 21])
    assert "21 × 20 pixels in 1 tiles" in events["info"][0]["message"]


def test_extent_outside_is_refused(tmp_path):
    with pytest.raises(ToolboxError, match="EXTENT lies outside"):
        run(tmp_path, scene(), extent=(0, 0, 10, 10))


def test_bands_are_found_by_name_in_any_order(tmp_path):
    values = scene()[::-1]
    classes, events = run(tmp_path, values, names=("B", "a"))
    assert np.array_equal(classes, values[1] + 1)
    assert "warning" not in events


def test_unnamed_bands_are_taken_in_order_with_a_warning(tmp_path):
    classes, events = run(tmp_path, scene(), names=())
    assert np.array_equal(classes, scene()[0] + 1)
    assert "matched by their order" in events["warning"][0]["message"]


@pytest.mark.parametrize(
    ("bands", "names", "message"),
    [
        (2, ("a", "c"), "lacks the band b"),
        (1, (), "trained on 2 bands"),
        (3, (), "trained on 2 bands"),
        (3, ("a", "b", "b"), "trained on 2 bands"),  # which b?
    ],
)
def test_other_bands_are_refused_by_name(tmp_path, bands, names, message):
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, np.ones((bands, 40, 40), np.float32), names=names)
    assert not (tmp_path / "out").exists()


def test_bands_that_have_numbers_only_are_told_apart_by_them(tmp_path):
    """A model of the bands 2, 1 of an unnamed raster gets 2, 1 of that raster again."""
    values = scene()[::-1]
    classes, events = run(tmp_path, values, model(bands=("Band 2", "Band 1")), names=())
    assert np.array_equal(classes, values[1] + 1)
    assert "warning" not in events


def test_model_of_some_unnamed_bands_finds_them_in_its_raster_with_a_warning(tmp_path):
    values = np.concatenate([np.full_like(scene()[:1], 9), scene()])
    classes, events = run(tmp_path, values, model(bands=("Band 2", "Band 3")), names=())
    assert np.array_equal(classes, values[1] + 1)
    assert "Band 2, Band 3 of its 3 bands are used" in events["warning"][0]["message"]


def test_other_cell_size_is_warned_of(tmp_path):
    _, events = run(tmp_path, scene(), model(gsd_m=30.0))
    assert "trained at 30 m" in events["warning"][0]["message"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tile_size": 32, "overlap": 17}, "at most half of the tile"), ({"tile_size": 40}, "trained on chips of 64 pixels")],
)
def test_tiles_that_do_not_fit_the_model_are_refused(tmp_path, settings, message):
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, scene(), model(chip=64 if settings["tile_size"] == 40 else 32), **settings)


@pytest.mark.parametrize(
    ("backbone", "chip", "side", "expected"),
    [
        ("resnet18", 64, 100, (256, 32)),  # convolutional: at least 256
        ("resnet18", 64, 300, (320, 40)),  # as large as the raster
        ("resnet18", 64, 10_980, (672, 64)),  # of all sizes the one with the fewest pixels, see below
        ("resnet18", 800, 9000, (800, 64)),  # never below the chip, a multiple of 32
        ("efficientnet_b0", 128, 9000, (128, 16)),  # global pooling: as in training
        ("efficientnet_b0", 400, 9000, (416, 52)),
    ],
)
def test_automatic_tile_and_overlap(backbone, chip, side, expected):
    description = replace(model(chip=chip), backbone=backbone)
    assert choose_tile(ClassifySettings("a.tif", "m.dlpk", "b.tif"), description, (side, side)) == expected


@pytest.mark.parametrize("shape", [(4000, 4000), (10_980, 10_980), (7_700, 7_600), (20_000, 3000), (40_000, 40_000)])
def test_default_computes_at_most_a_third_more_than_there_is(shape):
    tile, overlap = choose_tile(ClassifySettings("a.tif", "m.dlpk", "b.tif"), model(chip=256), shape)
    assert make_plan(shape[1], shape[0], tile, overlap, 10**9).overlap_factor < 1.35


def test_half_a_tile_is_a_multiple_of_32_and_never_below_the_chip():
    assert [smaller_tile(tile, model(chip=96)) for tile in (512, 160, 96)] == [256, 96, 0]


def test_settings_that_contradict_are_told_at_once():
    with pytest.raises(ToolboxError, match=r"input raster itself.*must end in \.tif.*BATCH_SIZE is -3.*EXTENT is empty"):
        ClassifySettings("a.tif", "m.dlpk", "a.tif", confidence="b.png", batch_size=-3, extent=(1, 1, 0, 2))
