# SPDX-License-Identifier: GPL-2.0-or-later
"""Grids, rotation, cell size, pixel space, several rasters, adding to a folder."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.labels.vector import move

from ..rasters import NORTH_UP, classes, drive, pixel_box, write_labels, write_raster
from .test_export import CHIPS, image, run

BOX = [(pixel_box(2, 2, 8, 8), 1)]


def export(tmp_path, source, pairs=(), values=(1, 2), **settings):
    """Exports into tmp_path/chips; pairs may be a list per raster."""
    options = {**CHIPS, "classes": classes(*values)}
    if pairs:
        options["labels"] = write_labels(tmp_path / "labels.gpkg", pairs)
    events = drive(export_chips(ExportSettings(source, str(tmp_path / "chips"), **(options | settings)), "test"))
    return ChipFolder.open(tmp_path / "chips"), events


def test_quarter_turns_repeat_each_chip_exactly(tmp_path):
    folder, _ = run(tmp_path, pairs=[(pixel_box(2, 3, 8, 5), 1)], class_values=(1,), rotation_angle=90)
    assert [chip.angle for chip in folder.chips] == [0, 90, 180, 270]
    plain = folder.load(folder.chips[0])
    for turns, chip in enumerate(folder.chips):
        arrays = folder.load(chip)
        assert np.array_equal(arrays.image, np.rot90(plain.image, turns, axes=(1, 2)))
        assert np.array_equal(arrays.label, np.rot90(plain.label, turns))


def test_odd_angles_turn_full_circle_and_place_the_chip_on_the_map(tmp_path):
    folder, _ = run(tmp_path, image(60, 60), [(pixel_box(20, 20, 40, 40), 1)], (1,), rotation_angle=100, stride_x=22, stride_y=22)
    assert {chip.angle for chip in folder.chips} == {0, 100, 200, 300}
    turned = next(chip for chip in folder.chips if chip.angle == 100 and chip.window == (22, 22, 16, 16))
    with rasterio.open(tmp_path / "chips" / turned.image) as chip:
        centre = chip.transform * (8, 8)
        x, y = NORTH_UP * (30, 30)
        assert centre == pytest.approx((x, y))
        assert chip.transform.b != 0
    assert (folder.load(turned).label == 1).all()


def test_larger_cells_are_averaged_and_classes_are_not(tmp_path):
    values = np.repeat(np.repeat(np.arange(1, 401, dtype=np.uint16).reshape(1, 20, 20) * 2, 2, axis=1), 2, axis=2)
    values[:, ::2, ::2] += 4
    folder, _ = run(tmp_path, values, [(pixel_box(0, 0, 10, 40), 1), (pixel_box(10, 0, 40, 40), 2)], cell_size=20)
    arrays = folder.load(folder.chips[0])
    assert folder.index.cell_size == (20, 20)
    expected = np.arange(1, 401).reshape(20, 20)[:16, :16] * 2 + 1
    assert np.array_equal(arrays.image[0], expected.astype(np.float32))
    assert np.array_equal(arrays.label, np.repeat([[1, 2]], 16, axis=0).repeat([5, 11], axis=1))


def test_smaller_cells_are_interpolated_and_nodata_stays_out(tmp_path):
    values = np.full((1, 20, 20), 50, np.int16)
    values[0, :, 10:] = 90
    values[0, 4:6, 4:6] = -1
    tiles = {"tile_size_x": 40, "tile_size_y": 40}
    folder, _ = run(tmp_path, values, [(pixel_box(0, 0, 20, 20), 1)], (1,), {"nodata": -1}, cell_size=5, **tiles)
    arrays = folder.load(folder.chips[0])
    assert arrays.image.shape == (1, 40, 40)
    assert (arrays.image[0, :, :18][arrays.valid[:, :18]] == 50).all()
    assert (arrays.image[0, :, 22:] == 90).all()
    assert 50 < arrays.image[0, 30, 20] < 90
    assert not arrays.valid[9:11, 9:11].any()


@pytest.mark.parametrize("mask", [False, True])
def test_cells_beyond_a_raster_without_nodata_value_are_invalid(tmp_path, mask):
    values = np.full((2, 30, 30), 7, np.uint8)
    shown = np.ones((30, 30), bool)
    shown[:6, :6] = not mask
    folder, _ = run(tmp_path, values, [(pixel_box(0, 0, 30, 30), 1)], (1,), {"mask": shown} if mask else None, cell_size=30)
    arrays = folder.load(folder.chips[0])
    assert arrays.valid.sum() == 10 * 10 - (4 if mask else 0)
    assert (arrays.image[:, arrays.valid] == 7).all()


def test_cell_size_that_the_raster_has_changes_nothing(tmp_path):
    folder, _ = run(tmp_path, cell_size=10)
    assert np.array_equal(folder.load(folder.chips[0]).image, image()[:, :16, :16].astype(np.float32))


def test_extent_counts_what_lies_outside_as_nodata(tmp_path):
    west, north = NORTH_UP * (4, 4)
    east, south = NORTH_UP * (24, 14)
    folder, _ = run(tmp_path, extent=(west, south, east, north))
    (chip,) = [chip for chip in folder.chips if chip.window[0] == 4]
    assert chip.window == (4, 4, 16, 16)
    assert folder.load(chip).valid.sum() == 16 * 10
    assert (folder.load(chip).label == 1).sum() == 4 * 4


def test_extent_beside_the_raster_is_refused(tmp_path):
    with pytest.raises(ToolboxError, match="EXTENT lies outside"):
        run(tmp_path, extent=(0, 0, 10, 10))


def test_only_chips_completely_inside_the_mask_are_written(tmp_path):
    mask = write_labels(tmp_path / "mask.gpkg", [(pixel_box(0, 0, 16, 16), 1), (pixel_box(17, 0, 48, 40), 1)], layer="mask")
    folder, _ = run(tmp_path, pairs=[(pixel_box(0, 0, 48, 40), 1)], class_values=(1,), mask=mask)
    assert [chip.window[:2] for chip in folder.chips] == [(0, 0), (32, 0), (32, 16)]


def test_mask_of_touching_polygons_is_one_area(tmp_path):
    mask = write_labels(tmp_path / "mask.gpkg", [(pixel_box(0, 0, 10, 16), 1), (pixel_box(10, 0, 20, 16), 1)], layer="mask")
    folder, _ = run(tmp_path, mask=mask)
    assert [chip.window[:2] for chip in folder.chips] == [(0, 0)]


ROTATED = Affine.translation(500_000, 5_200_000) * Affine.rotation(20) * Affine.scale(10, -10)


def test_pixel_space_takes_a_rotated_raster_and_leaves_the_map(tmp_path):
    folder, _ = run(
        tmp_path, pairs=[(move(np.array([shapely.box(18, 20, 30, 26)]), ROTATED)[0], 1)], class_values=(1,),
        raster={"transform": ROTATED}, reference_system="pixel_space",
    )  # fmt: skip
    (chip,) = folder.chips
    assert chip.window == (16, 16, 16, 16)
    expected = np.zeros((16, 16), np.uint16)
    expected[4:10, 2:14] = 1
    assert np.array_equal(folder.load(chip).label, expected)
    assert folder.index.crs_wkt is None
    assert chip.bounds == (16, -32, 32, -16)
    definition = json.loads((tmp_path / "chips" / "esri_model_definition.emd").read_text())
    assert definition["ImageSpaceUsed"] == "PIXEL_SPACE"


def two_rasters(tmp_path, shift=40, **second):
    """Two rasters beside each other (or overlapping), with a label in each; returns sources and the labels."""
    beside = NORTH_UP * Affine.translation(shift, 0)
    first = write_raster(tmp_path / "a.tif", image(32, 32))
    other = write_raster(tmp_path / "b.tif", image(32, 32) + 300, transform=beside, **second)
    pairs = [(pixel_box(2, 2, 8, 8), 1), (pixel_box(shift + 2, 2, shift + 8, 8), 2)]
    labels = write_labels(tmp_path / "labels.gpkg", pairs)
    write_labels(tmp_path / "more.gpkg", pairs, layer="labels_2")
    append_layer(tmp_path / "more.gpkg", labels)
    return first, other, labels


def append_layer(source, target):
    meta, _, geometry, fields = pyogrio.raw.read(source, layer="labels_2")
    options = {"geometry_type": "Unknown", "crs": meta["crs"], "layer": "labels_2", "driver": "GPKG"}
    pyogrio.raw.write(target, geometry, fields, meta["fields"], **options)


def test_several_rasters_go_into_one_folder(tmp_path):
    first, other, labels = two_rasters(tmp_path)
    folder, _ = export(tmp_path, first, labels=labels, more_rasters=[other])
    assert [(chip.name[-1], chip.source, chip.class_pixels) for chip in folder.chips] == [("0", 0, {1: 36}), ("1", 1, {2: 36})]
    assert folder.load(folder.chips[1]).image.min() > 300
    assert set(np.unique(folder.load(folder.chips[1]).blocks)) == {0, 2}
    assert [source.source for source in folder.index.sources] == [first, other]
    stats = json.loads((tmp_path / "chips" / "esri_accumulated_stats.json").read_text())
    assert stats["InputRastersProps"]["RasterCount"] == 2


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (image(32, 32, bands=3), None, "it has 3 bands instead of 2"),
        (image(32, 32, "float32"), None, "its values are float32 instead of uint16"),
        (image(32, 32), ["nir", "red"], "its band 1 is “nir” instead of “red”"),
    ],
)
def test_rasters_that_differ_are_refused_with_the_difference(tmp_path, values, names, message):
    first = write_raster(tmp_path / "a.tif", image(32, 32), names=["red", "nir"])
    other = write_raster(tmp_path / "b.tif", values, names=names)
    with pytest.raises(ToolboxError, match=message):
        export(tmp_path, first, BOX, more_rasters=[other])
    assert not (tmp_path / "chips").exists()


@pytest.mark.parametrize(("shift", "known"), [(32, True), (16, False)], ids=["beside", "overlapping"])
def test_squares_of_a_class_raster_are_trusted_only_where_rasters_do_not_overlap(tmp_path, shift, known):
    first, other, _ = two_rasters(tmp_path, shift)
    label_raster = write_raster(tmp_path / "classes.tif", np.full((32, 80), 2, np.uint8))
    folder, _ = export(tmp_path, first, more_rasters=[other], label_raster=label_raster)
    assert [chip.blocks is not None for chip in folder.chips] == [known] * 8
    if known:
        numbers = [set(np.unique(folder.load(chip).blocks)) for chip in folder.chips]
        assert numbers[:4] == [{1}] * 4
        assert numbers[4:] == [{2}] * 4


def test_adding_keeps_the_old_chips_and_has_the_statistics_of_both(tmp_path):
    before, _ = run(tmp_path)
    old = {path.name: path.read_bytes() for path in (tmp_path / "chips" / "images").iterdir()}
    beside = NORTH_UP * Affine.translation(100, 0)
    source = write_raster(tmp_path / "other.tif", image(32, 32) + 700, transform=beside)
    folder, events = export(tmp_path, source, [(pixel_box(102, 2, 108, 8), 3)], (3,), append=True)
    assert events["result"][0]["outputs"]["CHIPS"] == 3
    assert [chip.name for chip in folder.chips] == [f"{number:012d}" for number in range(3)]
    assert folder.classes.values == (1, 2, 3)
    assert all((tmp_path / "chips" / "images" / name).read_bytes() == content for name, content in old.items())
    assert folder.load(folder.chips[2]).image.min() > 700
    pixels = np.concatenate([folder.load(chip).image.reshape(2, -1) for chip in folder.chips], axis=1)
    for band, figures in enumerate(folder.bands):
        assert figures.count == 3 * 256
        assert figures.mean == pytest.approx(pixels[band].mean())
        assert figures.std == pytest.approx(pixels[band].std(), rel=1e-5)
        assert (figures.minimum, figures.maximum) == (pixels[band].min(), pixels[band].max())
        assert figures.high == pytest.approx(np.percentile(pixels[band], 99.5), rel=0.01)
    numbers = [set(np.unique(folder.load(chip).blocks)) - {0} for chip in folder.chips]
    assert numbers == [{1}, {2}, {3}]
    assert [chip.source for chip in folder.chips] == [0, 0, 1]
    assert len((tmp_path / "chips" / "map.txt").read_text().splitlines()) == 3
    stats = json.loads((tmp_path / "chips" / "esri_accumulated_stats.json").read_text())
    assert (stats["NumTiles"], stats["NextTileIndex"], stats["FeatureStats"]["NumFeaturesPerClass"]) == (3, 3, [1, 1, 1])
    assert not list((tmp_path / "chips").glob(".partial*"))
    assert len(before.chips) == 2


def test_adding_the_same_ground_again_gives_up_the_block_numbers(tmp_path):
    run(tmp_path)
    folder, _ = run_again(tmp_path, stride_x=8, append=True)
    assert len(folder.chips) > 2
    assert all(chip.blocks is None for chip in folder.chips)


def run_again(tmp_path, **settings):
    source, labels = str(tmp_path / "image.tif"), str(tmp_path / "labels.gpkg")
    options = {**CHIPS, "classes": classes(1, 2), **settings}
    events = drive(export_chips(ExportSettings(source, str(tmp_path / "chips"), labels=labels, **options), "test"))
    return ChipFolder.open(tmp_path / "chips"), events


def test_adding_to_nothing_makes_a_new_export(tmp_path):
    folder, _ = run(tmp_path, append=True)
    assert len(folder.chips) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tile_size_x": 24}, r"TILE_SIZE is \(24, 16\), there \(16, 16\)"),
        ({"metadata_format": "rcnn_masks"}, "METADATA_FORMAT is rcnn_masks, there classified_tiles"),
        ({"chip_format": "mrf"}, "CHIP_FORMAT is mrf, there tiff"),
        ({"bands": [1]}, "it has 1 bands instead of 2"),
        ({"classes": [{"value": 1, "name": "Water"}, {"value": 2, "name": "class 2"}]}, "Class 1 is “Water” here and “class 1” in"),
        (
            {"classes": [{"value": 1, "name": "class 1"}, {"value": 9, "name": "class 2"}]},
            "“class 2” is class 9 here, and “class 2” class 2 in",
        ),
        (
            {"classes": [{"value": 1, "name": "class 1"}, {"value": 9, "name": "Class 2"}]},
            "“Class 2” is class 9 here, and “class 2” class 2 in",
        ),
    ],
)
def test_adding_what_does_not_fit_is_refused_with_the_difference(tmp_path, settings, message):
    run(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "chips").rglob("*") if path.is_file()}
    with pytest.raises(ToolboxError, match=message):
        run_again(tmp_path, append=True, **settings)
    assert {path: path.read_bytes() for path in (tmp_path / "chips").rglob("*") if path.is_file()} == before


def test_adding_to_an_export_of_an_older_version_is_refused(tmp_path):
    run(tmp_path)
    path = tmp_path / "chips" / "toolbox_index.json"
    content = json.loads(path.read_text())
    old = ("schema", "version", "source", "label_kind", "tile_size", "stride", "bands", "classes", "crs_wkt", "cell_size", "gsd_m")
    chip = ("name", "image", "label", "blocks", "window", "bounds", "class_pixels", "valid_pixels")
    content = {name: content[name] for name in old} | {"schema": 1, "chips": [{key: c[key] for key in chip} for c in content["chips"]]}
    path.write_text(json.dumps(content))
    folder = ChipFolder.open(tmp_path / "chips")
    assert folder.index.metadata_format == "classified_tiles"
    assert folder.load(folder.chips[0]).label.max() == 1
    with pytest.raises(ToolboxError, match="older version"):
        run_again(tmp_path, append=True)


def test_failed_addition_leaves_the_older_export_as_it_was(tmp_path, monkeypatch):
    run(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "chips").rglob("*") if path.is_file()}
    from pathlib import Path

    replace = Path.replace

    def fail(self, target):
        if self.name == "esri_model_definition.emd" and self.parent.name.startswith(".partial"):
            raise PermissionError(13, "Permission denied", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ToolboxError, match="cannot be moved into"):
        run_again(tmp_path, append=True, stride_x=8)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in (tmp_path / "chips").rglob("*") if path.is_file()} == before


def test_two_classes_of_one_name_are_told_apart_with_a_warning(tmp_path):
    entries = [{"value": 1, "name": "Forest"}, {"value": 2, "name": "Forest"}]
    folder, events = run(tmp_path, classes=entries)
    assert [entry.name for entry in folder.classes.classes] == ["Forest", "Forest (2)"]
    assert events["warning"][0]["message"] == "Classes 1 and 2 are both named “Forest”; the latter is called “Forest (2)”."


def test_classes_whose_names_differ_in_case_only_are_told(tmp_path):
    entries = [{"value": 1, "name": "Forest"}, {"value": 2, "name": "forest"}]
    folder, events = run(tmp_path, classes=entries)
    assert [entry.name for entry in folder.classes.classes] == ["Forest", "forest"]
    assert "1 “Forest” and 2 “forest” differ in case only" in events["warning"][0]["message"]


def test_the_sensor_that_an_image_names_goes_on_into_index_and_metadata(tmp_path):
    source = write_raster(tmp_path / "image.tif", image(), names=["red", "nir"])
    with rasterio.open(source, "r+") as raster:
        raster.update_tags(SENSOR="sentinel2a")
    folder, _ = export(tmp_path, source, BOX)
    assert folder.index.sensor == "sentinel2a"
    emd = json.loads((tmp_path / "chips" / "esri_model_definition.emd").read_text())
    assert emd["InputRastersProps"]["SensorName"].startswith("Sentinel-2")


def test_adding_a_raster_without_band_names_keeps_those_of_the_export(tmp_path):
    run(tmp_path, raster={"names": ["red", "nir"]})
    beside = NORTH_UP * Affine.translation(100, 0)
    source = write_raster(tmp_path / "other.tif", image(32, 32), transform=beside)
    folder, _ = export(tmp_path, source, [(pixel_box(102, 2, 108, 8), 1)], append=True)
    assert [band.name for band in folder.bands] == ["red", "nir"]
    emd = json.loads((tmp_path / "chips" / "esri_model_definition.emd").read_text())
    assert emd["InputRastersProps"]["BandNames"] == ["red", "nir"]


def test_adding_a_raster_with_band_names_names_the_bands_that_had_none(tmp_path):
    run(tmp_path)
    beside = NORTH_UP * Affine.translation(100, 0)
    source = write_raster(tmp_path / "other.tif", image(32, 32), transform=beside, names=["red", "nir"])
    folder, _ = export(tmp_path, source, [(pixel_box(102, 2, 108, 8), 1)], append=True)
    assert [band.name for band in folder.bands] == ["red", "nir"]


def test_geometries_beyond_repair_are_named_and_left_out(tmp_path):
    endless = shapely.Point(np.inf, 3)
    folder, events = run(tmp_path, pairs=[(endless, 1), (pixel_box(2, 2, 8, 8), 1), (endless, 2)])
    assert "The labels 1, 3 (in the order of their ids) have a geometry" in events["warning"][0]["message"]
    assert folder.chips[0].class_pixels == {1: 36}


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_do_not_change_the_result(tmp_path, threads):
    run(tmp_path, stride_x=3, stride_y=5, threads=3)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "chips").rglob("*") if path.is_file()}
    run(tmp_path, stride_x=3, stride_y=5, threads=threads)
    assert {path.name: path.read_bytes() for path in (tmp_path / "chips").rglob("*") if path.is_file()} == expected


def test_second_raster_on_another_grid_is_brought_onto_the_first(tmp_path):
    coarse = write_raster(tmp_path / "coarse.tif", np.full((1, 20, 24), 9, np.float32), transform=NORTH_UP * Affine.scale(2))
    folder, _ = run(tmp_path, raster2=coarse)
    with rasterio.open(tmp_path / "chips" / folder.chips[0].image2) as chip:
        assert chip.shape == (16, 16)
        assert (chip.read(1) == 9).all()
    assert folder.index.bands2[0].mean == 9


def test_export_imports_no_pytorch():
    import subprocess
    import sys

    code = "import sys, deep_learning_toolbox.backend.chips.export; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
