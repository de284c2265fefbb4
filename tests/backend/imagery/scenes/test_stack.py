# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of arbitrary rasters: a height model, a scene of last year, radar."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import describe
from deep_learning_toolbox.backend.imagery.scenes import prepare as stage
from deep_learning_toolbox.backend.imagery.scenes.settings import SceneSettings
from rasterio.warp import transform_bounds

from ...rasters import NORTH_UP, UTM, write_raster
from .products import landsat, sentinel2
from .running import infos, prepare, warnings

GRID = Affine(20, 0, 500_000, 0, -20, 5_200_000)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "stack.tif"


@pytest.fixture
def scene(tmp_path):
    """Two bands of 8 × 6 cells of 10 m, with one nodata pixel."""
    values = np.arange(96, dtype=np.float32).reshape(2, 6, 8) / 100
    values[0, 2, 3] = -1
    return write_raster(tmp_path / "scene.tif", values, names=["red", "nir"], nodata=-1)


def test_rasters_of_the_same_grid_are_stacked_unchanged(tmp_path, scene, output):
    height = write_raster(tmp_path / "height.tif", np.full((6, 8), 321, np.int16))
    values, events = prepare([scene, height], output)
    info = describe(str(output))
    assert info.band_names == ("red", "nir", "height")
    assert info.transform == NORTH_UP
    assert values[1, 0, 1] == pytest.approx(0.49)
    assert (values[2] == 321).all()
    assert np.argwhere(np.isnan(values[0])).tolist() == [[2, 3]]
    assert not np.isnan(values[1]).any()
    assert "resampled" not in infos(events)


def test_other_cell_size_is_resampled_to_the_first_raster(tmp_path, scene, output):
    coarse = np.repeat(np.array([[100, 200, 300, 400]], np.float32), 3, axis=0)
    height = write_raster(tmp_path / "height.tif", coarse, transform=GRID)
    nearest, events = prepare([scene, height], output, resampling="nearest")
    assert nearest[2, 0].tolist() == [100, 100, 200, 200, 300, 300, 400, 400]
    assert "resampled to it: height" in infos(events)
    bilinear, _ = prepare([scene, height], output, resampling="bilinear")
    assert bilinear[2, 2, 1:7] == pytest.approx([125, 175, 225, 275, 325, 375], abs=1e-3)
    first, _ = prepare([height, scene], output)
    assert first.shape == (3, 3, 4)


def test_raster_of_another_utm_zone_is_warped(tmp_path, scene, output):
    bounds = transform_bounds(UTM, "EPSG:32633", 499_900, 5_199_800, 500_200, 5_200_100)
    transform = Affine(10, 0, round(bounds[0]), 0, -10, round(bounds[3]))
    other = write_raster(tmp_path / "other.tif", np.full((60, 60), 7, np.uint8), crs="EPSG:32633", transform=transform)
    values, events = prepare([scene, other], output)
    assert (values[2] == 7).all()
    assert "resampled to it: other" in infos(events)
    assert "Brought to the coordinate system of the first raster (EPSG:32632): other (EPSG:32633)" in warnings(events)
    with rasterio.open(output) as made:
        assert made.crs == UTM


def test_part_that_a_raster_does_not_cover_is_nodata(tmp_path, scene, output):
    """Half covered on the same grid, half covered on another, with zero as a value."""
    same = write_raster(tmp_path / "same.tif", np.zeros((6, 4), np.uint8))
    other = write_raster(tmp_path / "other.tif", np.zeros((3, 2), np.uint8), transform=GRID)
    values, _ = prepare([scene, same, other], output, resampling="nearest")
    for band in values[2:]:
        assert (band[:, :4] == 0).all()
        assert np.isnan(band[:, 4:]).all()


def test_band_that_does_not_overlap_is_told(tmp_path, scene, output):
    far = write_raster(tmp_path / "far.tif", np.ones((4, 4), np.uint8), transform=Affine(10, 0, 900_000, 0, -10, 5_200_000))
    _, events = prepare([scene, far], output)
    assert "The band far is nodata everywhere" in warnings(events)


def test_own_scale_and_offset_are_applied_unless_unscaled(tmp_path, output):
    path = write_raster(tmp_path / "a.tif", np.full((4, 4), 50, np.uint8), names=["sigma"])
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.5,), (-30.0,)
    values, _ = prepare(path, output)
    assert (values == -5).all()
    values, _ = prepare(path, output, scale="none")
    assert (values == 50).all()


def test_unscaled_numbers_without_nodata_get_a_type_with_room_for_one(tmp_path, scene, output):
    full = write_raster(tmp_path / "full.tif", np.arange(48, dtype=np.uint8).reshape(6, 8))
    half = write_raster(tmp_path / "half.tif", np.zeros((6, 4), np.uint8))
    values, _ = prepare([full, half], output, scale="none")
    assert values.dtype == np.int16
    assert values[0].tolist() == np.arange(48).reshape(6, 8).tolist()
    assert (values[1, :, 4:] == -32_768).all()
    mixed, _ = prepare([full, scene], output, scale="none")
    assert mixed.dtype == np.float32


def test_names_that_repeat_get_the_files_name(tmp_path, output):
    paths = []
    for year in (2023, 2024):
        paths.append(write_raster(tmp_path / f"s{year}.tif", np.ones((2, 4, 4), np.float32), names=["red", "nir"]))
    prepare(paths, output)
    assert describe(str(output)).band_names == ("red", "nir", "s2024_red", "s2024_nir")
    unnamed = write_raster(tmp_path / "u.tif", np.ones((2, 4, 4), np.float32))
    prepare([unnamed, paths[0]], output, bands="u_2;nir")
    assert describe(str(output)).band_names == ("u_2", "nir")


def test_folder_of_rasters_is_a_list_of_them(tmp_path, output):
    folder = tmp_path / "rasters"
    folder.mkdir()
    for name in ("b", "a"):
        write_raster(folder / f"{name}.tif", np.ones((4, 4), np.float32))
    (folder / "notes.txt").write_text("no raster", encoding="utf-8")
    prepare(folder, output)
    assert describe(str(output)).band_names == ("a", "b")


def test_prepared_scene_keeps_its_sensor_beside_a_height_model(tmp_path, output):
    first = tmp_path / "landsat.tif"
    (tmp_path / "product").mkdir()
    prepare(landsat(tmp_path / "product"), first)
    with rasterio.open(first) as made:
        height = write_raster(tmp_path / "height.tif", np.ones((6, 6), np.int16), transform=made.transform, crs=made.crs)
    prepare([first, height], output)
    info = describe(str(output))
    assert info.band_names[-2:] == ("swir2", "height")
    assert info.wavelengths[-2] == pytest.approx(2.2005)
    with rasterio.open(output) as made:
        assert made.tags()["SENSOR"] == "landsat8"


def test_photographs_without_georeference_are_stacked_clipped_and_coarsened(tmp_path, output):
    values = np.arange(48, dtype=np.float32).reshape(6, 8)
    paths = [
        write_raster(tmp_path / f"{name}.tif", values + add, crs=None, transform=Affine.identity())
        for name, add in (("a", 0), ("b", 100))
    ]
    stacked, _ = prepare(paths, output)
    assert np.array_equal(stacked, [values, values + 100])
    clipped, _ = prepare(paths, output, extent=(2, 1, 5, 3))
    assert np.array_equal(clipped[0], values[1:3, 2:5])
    coarse, _ = prepare(paths, output, resolution=2, resampling="nearest")
    assert np.array_equal(coarse[0], values[1::2, 1::2])


def test_raster_without_crs_cannot_be_brought_to_one_with(tmp_path, scene, output):
    bare = write_raster(tmp_path / "bare.tif", np.ones((4, 4), np.uint8), crs=None)
    with pytest.raises(ToolboxError, match="do not both have a coordinate system"):
        prepare([scene, bare], output)
    assert not output.parent.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "toa"}, "needs a Level-1 product"),
        ({"mask_clouds": True}, "no quality band"),
        ({"output_type": "int16"}, "choose float32"),
        ({"bands": "red;blue"}, "has no band “blue”; it has red, nir"),
        ({"extent": (0, 0, 1, 1)}, "EXTENT lies outside"),
    ],
)
def test_what_rasters_cannot_give_is_refused(scene, output, options, message):
    with pytest.raises(ToolboxError, match=message):
        prepare(scene, output, **options)
    assert not output.parent.exists()


def test_product_beside_rasters_is_refused(tmp_path, scene, output):
    with pytest.raises(ToolboxError, match="give one product alone, or rasters only"):
        prepare([scene, sentinel2(tmp_path)], output)


def test_rotated_raster_is_refused(tmp_path, output):
    path = write_raster(tmp_path / "r.tif", np.ones((4, 4), np.uint8), transform=Affine.rotation(20) * Affine.scale(10, -10))
    with pytest.raises(ToolboxError, match="rotated"):
        prepare(path, output)


def test_scene_that_is_masked_everywhere_is_refused_and_leaves_the_previous_result(tmp_path, output):
    product = sentinel2(tmp_path, scl=np.full((6, 6), 9, np.uint8))
    prepare(product, output)
    before = output.read_bytes()
    with pytest.raises(ToolboxError, match=r"no valid pixel left .* cloudy"):
        prepare(product, output, mask_clouds=True)
    assert output.read_bytes() == before
    assert [path.name for path in output.parent.iterdir()] == ["stack.tif"]


def test_stopping_half_way_leaves_nothing(tmp_path, output, monkeypatch):
    monkeypatch.setattr(stage, "PROGRESS_SECONDS", -1)
    events = stage.prepare_scene(SceneSettings([str(sentinel2(tmp_path))], str(output)), "t1")
    assert next(event for event in events if event["event"] == "progress")["fraction"] < 1
    assert output.parent.exists()
    events.close()
    assert not output.parent.exists()


def test_many_windows_give_the_same_as_one(tmp_path, output, monkeypatch):
    values = np.random.default_rng(4).integers(1, 9000, (1, 700, 900)).astype(np.uint16)
    scene = write_raster(tmp_path / "a.tif", values, nodata=0)
    half = write_raster(tmp_path / "b.tif", values[:, ::2, ::2].copy(), nodata=0, transform=NORTH_UP * Affine.scale(2))
    whole, _ = prepare([scene, half], output)
    monkeypatch.setattr(stage, "WINDOW_SIDE", 256)
    monkeypatch.setattr(stage, "WINDOW_PIXELS", 256 * 256)
    parts, _ = prepare([scene, half], output)
    assert np.array_equal(whole, parts, equal_nan=True)
    assert np.array_equal(whole[0], values[0])


def test_overviews_are_averages_of_valid_pixels_and_can_be_left_out(tmp_path, output):
    values = np.random.default_rng(4).integers(1, 9000, (1, 1100, 700)).astype(np.uint16)
    values[0, :2, :1] = 0
    scene = write_raster(tmp_path / "a.tif", values, nodata=0)
    prepare(scene, output)
    with rasterio.open(output) as made:
        assert made.overviews(1) == [2, 4]
        small = made.read(1, out_shape=(550, 350))
        assert made.descriptions == ("a",)
    mean = values[0, 2:4, 2:4].mean()
    assert small[1, 1] == pytest.approx(mean, rel=1e-5)
    assert small[0, 0] == pytest.approx(values[0, :2, 1].mean(), rel=1e-5)
    prepare(scene, output, overviews=False)
    with rasterio.open(output) as made:
        assert made.overviews(1) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": []}, "INPUT is empty"),
        ({"output": "a.img"}, "must end in .tif"),
        ({"inputs": ["a.tif"], "output": "a.tif"}, "one of the input rasters"),
        ({"scale": "dn"}, "SCALE is “dn”"),
        ({"resampling": "mode"}, "RESAMPLING is “mode”"),
        ({"output_type": "byte"}, "OUTPUT_TYPE is “byte”"),
        ({"bands": "red;nir;Red"}, "BANDS names “red” twice"),
        ({"bands": " ;"}, "BANDS is “;” and names no band"),
        ({"mask_classes": "haze"}, "MASK_CLASSES holds “haze”"),
        ({"mask_clouds": True, "mask_classes": ""}, "MASK_CLASSES is empty"),
        ({"resolution": -1.0}, "RESOLUTION is -1"),
        ({"extent": (1, 1, 0, 0)}, "EXTENT is empty"),
        ({"extent": (0, 0, float("nan"), 1)}, "EXTENT is not finite"),
        ({"scale": "none", "output_type": "int16"}, "keep their own type"),
    ],
)
def test_faults_of_the_settings_are_told(options, message):
    with pytest.raises(ToolboxError, match=message):
        SceneSettings(**{"inputs": ["x"], "output": "out.tif", **options})
