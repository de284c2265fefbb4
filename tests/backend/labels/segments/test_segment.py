# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``segment``: outlines that cover the image, follow its edges, and do not show the tiles in which it was worked on."""

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.labels.segments import grid
from deep_learning_toolbox.backend.labels.segments.segment import segment_image
from deep_learning_toolbox.backend.labels.segments.settings import SegmentSettings
from deep_learning_toolbox.backend.labels.vector import move
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from ...rasters import NORTH_UP, UTM, drive, write_raster


def segment(folder, image, nodata=None, transform=NORTH_UP, crs=UTM, **wished):
    """Polygons in pixels, their numbers and pixel counts, of a segmented image (bands, rows, columns)."""
    raster = write_raster(folder / "image.tif", image, transform=transform, crs=crs, nodata=nodata)
    output = folder / "segments.gpkg"
    drive(segment_image(SegmentSettings(raster, str(output), **wished), "job"))
    _, _, wkb, (numbers, pixels) = pyogrio.raw.read(output)
    return list(move(shapely.from_wkb(wkb), ~transform)), numbers, pixels


def burn(polygons, shape):
    """Number of the polygon, from 1, of each pixel; and how many polygons cover it."""
    numbers = rasterize([(polygon, number) for number, polygon in enumerate(polygons, start=1)], shape, dtype="int32")
    counts = rasterize([(polygon, 1) for polygon in polygons], shape, merge_alg=rasterio.enums.MergeAlg.add, dtype="int32")
    return numbers, counts


def noise(seed, *shape):
    return np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 70),
    columns=st.integers(1, 70),
    size=st.integers(3, 30),
    tile=st.sampled_from((16, 32, 512)),
    holes=st.booleans(),
)
def test_the_segments_cover_every_pixel_with_data_once_and_no_other(tmp_path_factory, seed, rows, columns, size, tile, holes):
    image = noise(seed, 2, rows, columns)
    if holes:
        image[:, np.random.default_rng(seed).random((rows, columns)) < 0.2] = -1
    image[:, 0, 0] = 100  # at least one pixel with data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "TILE_PIXELS", tile)
        polygons, numbers, pixels = segment(tmp_path_factory.mktemp("segments"), image, nodata=-1, segment_size=size)
    _, counts = burn(polygons, image.shape[1:])
    assert np.array_equal(counts, (image[0] != -1).astype(int))
    assert sorted(numbers) == list(range(1, len(polygons) + 1))
    assert [round(polygon.area) for polygon in polygons] == pixels.tolist()
    assert all(polygon.is_valid for polygon in polygons)


def test_a_plain_image_gives_squares_of_the_size_asked_for(tmp_path):
    polygons, _, pixels = segment(tmp_path, np.full((1, 60, 80), 7, np.uint8), segment_size=20)
    assert sorted(polygon.bounds for polygon in polygons) == sorted(
        (left, top, left + 20, top + 20) for left in range(0, 80, 20) for top in range(0, 60, 20)
    )
    assert set(pixels) == {400}


def test_no_segment_crosses_an_edge_of_the_image_content(tmp_path):
    image = noise(1, 3, 64, 64) * 0.002
    field = np.zeros((64, 64), bool)
    field[11:43, 21:51] = True  # away from the borders of the cells of 8 pixels
    image[:, field] += 50
    polygons, _, _ = segment(tmp_path, image, segment_size=8, compactness=1)
    numbers, _ = burn(polygons, field.shape)
    assert not set(numbers[field]) & set(numbers[~field])


def test_more_compactness_gives_rounder_segments(tmp_path):
    image = noise(2, 1, 80, 80)
    length = {}
    for compactness in (0.5, 60):
        polygons, _, _ = segment(tmp_path, image, segment_size=10, compactness=compactness)
        length[compactness] = sum(polygon.length for polygon in polygons)
    assert length[60] < 0.7 * length[0.5]


def test_tiles_leave_next_to_no_trace_in_the_segments(tmp_path, monkeypatch):
    smooth = np.cumsum(np.cumsum(noise(3, 2, 160, 160) - 100, axis=1), axis=2)
    whole, _, _ = segment(tmp_path, smooth, segment_size=10)
    monkeypatch.setattr(grid, "TILE_PIXELS", 40)
    tiled, _, _ = segment(tmp_path, smooth, segment_size=10)
    first, second = burn(whole, (160, 160))[0], burn(tiled, (160, 160))[0]
    # Pixels whose right-hand neighbour is in the same segment in one result, but not in the other.
    differ = (first[:, 1:] == first[:, :-1]) != (second[:, 1:] == second[:, :-1])
    assert differ.mean() < 0.01


def test_an_extent_is_cut_to_pixels_and_keeps_its_place(tmp_path):
    x, y = NORTH_UP * (20, 30)
    polygons, _, _ = segment(tmp_path, noise(4, 1, 64, 64), segment_size=8, extent=(x, y - 160, x + 240, y))
    assert shapely.union_all(polygons).equals(shapely.box(20, 30, 44, 46))


def test_only_the_bands_named_are_looked_at(tmp_path):
    image = np.stack([np.full((40, 40), 5.0), np.where(np.arange(40) < 17, 0.0, 100.0) * np.ones((40, 1))]).astype(np.float32)
    plain, _, _ = segment(tmp_path, image, segment_size=10, bands=[1])
    edged, _, _ = segment(tmp_path, image, segment_size=10, bands=[2], compactness=1)
    assert {polygon.bounds[0] for polygon in plain} == {0, 10, 20, 30}
    assert 17 in {polygon.bounds[0] for polygon in edged}


def test_an_image_without_georeference_lies_where_qgis_shows_it(tmp_path):
    polygons, _, _ = segment(
        tmp_path, noise(5, 1, 20, 20), segment_size=10, transform=Affine.identity(), crs=None, has_georeference=False
    )
    assert shapely.union_all(polygons).equals(shapely.box(0, -20, 20, 0))


def test_the_layer_comes_with_a_style_of_outlines(tmp_path):
    segment(tmp_path, noise(6, 1, 20, 20))
    assert 'style" v="no"' in (tmp_path / "segments.qml").read_text()


@pytest.mark.parametrize(
    ("wished", "text"),
    [
        ({"segment_size": 2}, "SEGMENT_SIZE is 2, allowed are 3 to 500 pixels"),
        ({"compactness": float("nan")}, "COMPACTNESS is nan"),
        ({"compactness": -1.0}, "COMPACTNESS is -1.0, allowed are 0 to 1000"),
        ({"extent": (0.0, 0.0, float("inf"), 1.0)}, "EXTENT is not finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_value(wished, text):
    with pytest.raises(ToolboxError, match=text):
        SegmentSettings("image.tif", "segments.gpkg", **wished)


def test_an_image_of_nothing_but_nodata_is_refused_and_leaves_no_file(tmp_path):
    with pytest.raises(ToolboxError, match="nodata"):
        segment(tmp_path, np.full((1, 30, 30), 9, np.uint8), nodata=9)
    assert [path.name for path in tmp_path.iterdir()] == ["image.tif"]


def test_more_segments_than_a_layer_should_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("deep_learning_toolbox.backend.labels.segments.segment.MOST_SEGMENTS", 50)
    with pytest.raises(ToolboxError, match="larger SEGMENT_SIZE or an EXTENT"):
        segment(tmp_path, noise(7, 1, 64, 64), segment_size=8)
