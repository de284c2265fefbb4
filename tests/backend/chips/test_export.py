# SPDX-License-Identifier: GPL-2.0-or-later
import json
import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import classes, drive, pixel_box, write_labels, write_raster

CHIPS = {"tile_size_x": 16, "tile_size_y": 16, "stride_x": 16, "stride_y": 16}


def image(rows=40, columns=48, dtype="uint16", bands=2):
    values = np.arange(bands * rows * columns).reshape(bands, rows, columns) % 200 + 1
    return values.astype(dtype)


def run(tmp_path, values=None, pairs=None, class_values=(1, 2), raster=None, **settings):
    """Exports into tmp_path/chips and returns the opened folder and the events."""
    source = write_raster(tmp_path / "image.tif", image() if values is None else values, **(raster or {}))
    pairs = pairs or [(pixel_box(2, 2, 8, 8), 1), (pixel_box(20, 18, 30, 30), 2)]
    labels = write_labels(tmp_path / "labels.gpkg", pairs)
    options = {**CHIPS, "labels": labels, "classes": classes(*class_values), **settings}
    events = drive(export_chips(ExportSettings(source, str(tmp_path / "chips"), **options), "test"))
    return ChipFolder.open(tmp_path / "chips"), events


def test_chips_hold_the_pixels_and_labels_of_their_window(tmp_path):
    folder, events = run(tmp_path)
    assert events["result"][0]["outputs"] == {"OUTPUT": str(tmp_path / "chips"), "CHIPS": 2, "CLASSES": 2}
    for chip in folder.chips:
        left, top, width, height = chip.window
        arrays = folder.load(chip)
        assert np.array_equal(arrays.image, image()[:, top : top + height, left : left + width].astype(np.float32))
        assert arrays.valid.all()
    first, second = (folder.load(chip) for chip in folder.chips)
    assert (first.label == 1).sum() == 36
    assert (first.label[2:8, 2:8] == 1).all()
    assert (second.label == 2).sum() == 10 * 12
    assert set(np.unique(second.blocks)) == {0, 2}
    assert folder.chips[1].class_pixels == {2: 120}


def test_chip_is_georeferenced_with_world_file_and_band_names(tmp_path):
    folder, _ = run(tmp_path, raster={"names": ["red", "nir"]})
    with rasterio.open(tmp_path / "chips" / folder.chips[1].image) as chip:
        assert chip.transform == Affine(10, 0, 500_160, 0, -10, 5_199_840)
        assert chip.crs.to_epsg() == 32632
        assert chip.descriptions == ("red", "nir")
        assert chip.dtypes == ("uint16", "uint16")
    world = (tmp_path / "chips" / folder.chips[1].image).with_suffix(".tfw").read_text().split()
    assert [float(line) for line in world] == [10, 0, 0, -10, 500_165, 5_199_835]
    assert [band.name for band in folder.bands] == ["red", "nir"]


def test_chosen_bands_come_in_their_order(tmp_path):
    folder, _ = run(tmp_path, raster={"names": ["red", "nir"]}, bands=[2, 1])
    assert [band.name for band in folder.bands] == ["nir", "red"]
    assert np.array_equal(folder.load(folder.chips[0]).image[0], image()[1, :16, :16].astype(np.float32))


@pytest.mark.parametrize(
    ("dtype", "nodata", "stored"),
    [("uint8", None, None), ("uint16", 0, 0), ("int16", -5, -5), ("float32", None, "nan"), ("float32", -9999, -9999)],
)
def test_beyond_the_raster_a_chip_is_nodata(tmp_path, dtype, nodata, stored):
    folder, _ = run(tmp_path, image(10, 12, dtype), [(pixel_box(1, 1, 5, 5), 1)], (1,), {"nodata": nodata})
    arrays = folder.load(folder.chips[0])
    assert len(folder.chips) == 1
    assert arrays.image.shape == (2, 16, 16)
    assert arrays.valid[:10, :12].all()
    assert not arrays.valid[10:].any()
    assert not arrays.valid[:, 12:].any()
    with rasterio.open(tmp_path / "chips" / folder.chips[0].image) as chip:
        assert str(chip.nodata) == "nan" if stored == "nan" else chip.nodata == stored


def test_label_on_nodata_is_unlabelled_and_reported(tmp_path):
    values = image(dtype="float32")
    values[1, 2:4, 2:8] = np.nan
    folder, events = run(tmp_path, values)
    arrays = folder.load(folder.chips[0])
    assert (arrays.label == 1).sum() == 24
    assert not arrays.valid[2:4, 2:8].any()
    assert any("12 of 36 labelled pixels of class 1 are nodata" in event["message"] for event in events["warning"])


def test_overlapping_chips_share_blocks_and_statistics_skip_nodata(tmp_path):
    values = image(dtype="float32")
    values[:, 30:, :] = -1
    folder, _ = run(tmp_path, values, raster={"nodata": -1}, stride_x=8, stride_y=8)
    assert len(folder.chips) > 2
    numbers = {number for chip in folder.chips for number in np.unique(folder.load(chip).blocks)}
    assert numbers == {0, 1, 2}
    assert folder.bands[0].minimum >= 1


def test_class_above_254_makes_16_bit_labels(tmp_path):
    folder, _ = run(tmp_path, pairs=[(pixel_box(2, 2, 8, 8), 255)], class_values=(255,))
    with rasterio.open(tmp_path / "chips" / folder.chips[0].label) as label:
        assert label.dtypes == ("uint16",)
        assert label.read(1).max() == 255


def test_empty_tiles_are_written_on_request(tmp_path):
    folder, _ = run(tmp_path, empty_tiles=True)
    assert len(folder.chips) == 9


def test_chips_with_too_few_labels_are_left_out(tmp_path):
    folder, _ = run(tmp_path, min_labeled_ratio=0.2)
    assert [chip.class_pixels for chip in folder.chips] == [{2: 120}]


def test_class_raster_labels_chips_in_square_blocks(tmp_path):
    source = write_raster(tmp_path / "image.tif", image(64, 64))
    labels = write_raster(tmp_path / "classes.tif", np.full((64, 64), 3, np.uint8))
    settings = ExportSettings(source, str(tmp_path / "chips"), label_raster=labels, **CHIPS)
    drive(export_chips(settings, "test"))
    folder = ChipFolder.open(tmp_path / "chips")
    assert folder.classes.values == (3,)
    assert len(folder.chips) == 16
    blocks = [set(np.unique(folder.load(chip).blocks)) for chip in folder.chips]
    assert blocks[:4] == [{1}, {1}, {2}, {2}]
    assert blocks[8:12] == [{3}, {3}, {4}, {4}]


def test_any_path_works(tmp_path):
    place = tmp_path / "Größe der Städte"
    place.mkdir()
    folder, _ = run(place)
    assert folder.load(folder.chips[0]).label.max() == 1


def test_previous_result_is_replaced_with_nothing_left_over(tmp_path):
    run(tmp_path, stride_x=4, stride_y=4)
    folder, _ = run(tmp_path)
    assert len(list((tmp_path / "chips" / "images").glob("*.tif"))) == len(folder.chips) == 2
    assert not list((tmp_path / "chips").glob(".partial*"))


def test_foreign_file_in_the_output_is_refused_and_kept(tmp_path):
    (tmp_path / "chips").mkdir()
    (tmp_path / "chips" / "thesis.docx").write_text("mine")
    with pytest.raises(ToolboxError, match=r"holds other files \(thesis\.docx\)"):
        run(tmp_path)
    assert [entry.name for entry in (tmp_path / "chips").iterdir()] == ["thesis.docx"]


def test_output_below_a_file_is_refused(tmp_path):
    (tmp_path / "chips").write_text("a file")
    with pytest.raises(ToolboxError, match="is a file; choose a folder"):
        run(tmp_path)


@pytest.mark.parametrize(
    ("values", "pairs", "raster", "message"),
    [
        (None, [(pixel_box(100, 100, 120, 120), 1)], {}, "No label lies on the raster"),
        (np.zeros((1, 20, 20), np.uint8), [(pixel_box(1, 1, 9, 9), 1)], {"nodata": 0}, "Every labelled pixel is nodata"),
        (image(), None, {"transform": Affine.rotation(10) * Affine.scale(10, -10)}, "rotated"),
    ],
)
def test_refusals_write_nothing(tmp_path, values, pairs, raster, message):
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, values, pairs, raster=raster)
    assert not (tmp_path / "chips").exists()


def test_cancelled_export_leaves_nothing(tmp_path):
    source = write_raster(tmp_path / "image.tif", image())
    labels = write_labels(tmp_path / "labels.gpkg", [(pixel_box(2, 2, 8, 8), 1)])
    settings = ExportSettings(source, str(tmp_path / "new" / "chips"), labels=labels, classes=classes(1), **CHIPS)
    events = export_chips(settings, "test")
    while next(events)["event"] != "progress":
        assert (tmp_path / "new" / "chips" / ".partial-test").is_dir()
    events.close()
    assert not (tmp_path / "new").exists()


def test_faulty_settings_are_told_at_once():
    with pytest.raises(ToolboxError, match=r"TILE_SIZE_X is 3.*STRIDE_Y is 0.*either LABELS or LABEL_RASTER"):
        ExportSettings("a.tif", "out", tile_size_x=3, stride_y=0)


def test_chip_of_another_size_than_its_label_is_refused(tmp_path):
    folder, _ = run(tmp_path)
    label = tmp_path / "chips" / folder.chips[0].label
    write_raster(label, np.ones((8, 16), np.uint8))
    with pytest.raises(ToolboxError, match="16 × 8 pixels, its image 16 × 16"):
        folder.load(folder.chips[0])


def test_index_that_leads_out_of_the_folder_is_refused(tmp_path):
    folder, _ = run(tmp_path)
    index = json.loads((tmp_path / "chips" / "toolbox_index.json").read_text())
    index["chips"][0]["image"] = "../image.tif"
    (tmp_path / "chips" / "toolbox_index.json").write_text(json.dumps(index))
    folder = ChipFolder.open(tmp_path / "chips")
    with pytest.raises(ToolboxError, match="outside the folder"):
        folder.load(folder.chips[0])


def test_folder_without_an_export_is_refused(tmp_path):
    with pytest.raises(ToolboxError, match="holds no training data"):
        ChipFolder.open(tmp_path)
    with pytest.raises(ToolboxError, match="does not exist"):
        ChipFolder.open(tmp_path / "nowhere")


def test_damaged_index_is_refused(tmp_path):
    run(tmp_path)
    index = tmp_path / "chips" / "toolbox_index.json"
    index.write_text(index.read_text()[:100])
    with pytest.raises(ToolboxError, match="export the training data again"):
        ChipFolder.open(tmp_path / "chips")
    shutil.rmtree(tmp_path / "chips")
