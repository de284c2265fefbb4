# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders exported by ArcGIS Pro are read as training needs them."""

import json

import numpy as np
import pytest
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.errors import ToolboxError

from .esri import ROAD, ROOF, EsriFolder, square
from .test_export import run


def two_chips(path, **options):
    folder = EsriFolder(path, **options)
    folder.classified(0, square(ROOF))
    folder.classified(1, square(ROAD))
    return folder


def names(opened):
    return [chip.name for chip in opened.chips]


@pytest.mark.parametrize("digits", [9, 12])
def test_old_and_new_exports_are_read(tmp_path, digits):
    opened = ChipFolder.open(two_chips(tmp_path / "esri", digits=digits).finish())
    assert names(opened) == [f"{0:0{digits}d}", f"{1:0{digits}d}"]
    assert [band.name for band in opened.bands] == (["Red", "Green", "Blue"] if digits == 12 else ["Band 1", "Band 2", "Band 3"])
    assert [(opened.load(chip).label == value).sum() for chip, value in zip(opened.chips, (ROOF, ROAD), strict=True)] == [36, 36]
    assert opened.notes == ()


def test_line_that_the_map_repeats_is_one_chip(tmp_path):
    folder = two_chips(tmp_path / "esri")
    folder.lines.insert(0, folder.lines[1])  # as in a real export of 3,382 chips
    assert names(ChipFolder.open(folder.finish())) == ["000000000001", "000000000000"]


def test_chip_missing_from_the_map_is_used_as_by_arcgis_and_told(tmp_path):
    folder = two_chips(tmp_path / "esri")
    del folder.lines[0]
    opened = ChipFolder.open(folder.finish())
    assert names(opened) == ["000000000001", "000000000000"]
    assert any("1 chip(s) that map.txt does not list (images/000000000000.tif" in note for note in opened.notes)


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_chip_whose_file_is_gone_is_left_out_and_named(tmp_path, kind):
    path = two_chips(tmp_path / "esri").finish()
    (path / kind / "000000000000.tif").unlink()
    opened = ChipFolder.open(path)
    assert names(opened) == ["000000000001"]
    assert f"{kind}/000000000000.tif, which is not in the folder" in opened.notes[0]


def test_folder_whose_files_are_all_gone_is_refused_naming_one(tmp_path):
    path = two_chips(tmp_path / "esri").finish()
    for file in (path / "images").iterdir():
        file.unlink()
    with pytest.raises(ToolboxError, match=r"nothing to train on.*images/000000000000\.tif, which is not in the folder"):
        ChipFolder.open(path)


def test_second_image_of_change_detection_is_told_to_be_unused(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    images = [folder.image(0), folder.image(0, folder="images2")]
    folder.list(*images, folder.raster("labels/000000000000.tif", square(ROOF), 0))
    opened = ChipFolder.open(folder.finish())
    assert (opened.load(opened.chips[0]).label == ROOF).sum() == 36
    assert ["second image" in note for note in opened.notes] == [True]


def test_masks_of_objects_are_burned_by_the_names_of_their_classes(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "RCNN_Masks")
    folder.masks(0, {"Roof": square(1) + square(2, 9, 9), "Paved road": square(1, 4, 4, 8)})
    folder.masks(1, {"Roof": square(7)})
    opened = ChipFolder.open(folder.finish())
    first, second = (opened.load(chip).label for chip in opened.chips)
    expected = np.where(square(1, 4, 4, 8), ROAD, np.where(square(1) + square(2, 9, 9), ROOF, 0))
    assert np.array_equal(first, expected)
    assert np.array_equal(second, np.where(square(1), ROOF, 0))
    assert any("UNLABELED=background" in note for note in opened.notes)


def test_masks_in_the_folder_of_no_class_are_refused(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "RCNN_Masks")
    folder.masks(0, {"10": square(1)})
    with pytest.raises(ToolboxError, match="a folder named “10”, which is none of the classes Roof, Paved road"):
        ChipFolder.open(folder.finish())


def test_class_chips_of_a_panoptic_export_are_the_labels(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "Panoptic_Segmentation")
    mask = folder.raster("labels2/Roof/000000000000.tif", square(1), 0)
    folder.list(folder.image(0), folder.raster("labels/000000000000.tif", square(ROAD), 0), mask)
    opened = ChipFolder.open(folder.finish())
    assert set(np.unique(opened.load(opened.chips[0]).label)) == {0, ROAD}


@pytest.mark.parametrize(
    ("mode", "labels"),
    [
        ("PASCAL_VOC_rectangles", "boxes"), ("KITTI_rectangles", "boxes"), ("Labeled_Tiles", "one class for a whole chip"),
        ("MultiLabeled_Tiles", "classes for a whole chip"), ("Imagenet", "one class for a whole chip"), ("Export_Tiles", "none"),
        ("CycleGAN", "none"),
    ],
)  # fmt: skip
def test_format_without_a_label_for_each_pixel_is_refused_with_what_to_do(tmp_path, mode, labels):
    path = two_chips(tmp_path / "esri", mode=mode).finish()
    with pytest.raises(ToolboxError, match=f"was exported as {mode}, whose labels are {labels}; .*export again as Classified_Tiles"):
        ChipFolder.open(path)


def test_unknown_format_is_refused_by_name(tmp_path):
    with pytest.raises(ToolboxError, match="exported as “Point_Cloud”, which is not known here"):
        ChipFolder.open(two_chips(tmp_path / "esri", mode="Point_Cloud").finish())


def test_class_zero_of_the_list_is_no_class(tmp_path):
    folder = two_chips(tmp_path / "esri", classes=((0, "NoData"), (ROOF, "Roof"), (ROAD, "Road")))
    assert ChipFolder.open(folder.finish()).classes.values == (ROOF, ROAD)


def test_turned_chips_are_read_with_the_box_around_them(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    transform = folder.transform(0) * folder.transform(0).rotation(90, (8, 8))
    folder.classified(0, square(ROOF), transform=transform)
    opened = ChipFolder.open(folder.finish())
    assert opened.chips[0].bounds == pytest.approx((500_000, 5_199_840, 500_160, 5_200_000))
    arrays = opened.load(opened.chips[0])
    assert arrays.transform == transform
    assert (arrays.label == ROOF).sum() == 36


@pytest.mark.parametrize("mode", ["RCNN_Masks", "KITTI_rectangles"])
def test_folder_of_our_own_in_such_a_format_is_read_or_refused_in_the_same_way(tmp_path, mode):
    opened, _ = run(tmp_path)
    path = opened.path
    for name in ("esri_model_definition.emd", "esri_accumulated_stats.json"):
        content = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps({**content, "MetaDataMode": mode}))
    lines = []
    for chip in opened.chips:
        value = next(iter(chip.class_pixels))
        target = path / "labels" / f"class {value}" / f"{chip.name}.tif"
        target.parent.mkdir(exist_ok=True)
        (path / chip.label).rename(target)
        lines.append(f"images\\{chip.name}.tif  labels\\class {value}\\{chip.name}.tif \n")
    (path / "map.txt").write_text("".join(lines))
    if mode == "KITTI_rectangles":
        with pytest.raises(ToolboxError, match="was exported as KITTI_rectangles, whose labels are boxes"):
            ChipFolder.open(path)
    else:
        again = ChipFolder.open(path)
        counts = [{value: int((again.load(chip).label == value).sum()) for value in chip.class_pixels} for chip in again.chips]
        assert counts == [chip.class_pixels for chip in again.chips]
