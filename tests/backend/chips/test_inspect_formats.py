# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage `inspect` on every other metadata format of ArcGIS: objects, classes of whole chips, pairs of images."""

import json

import numpy as np
import pytest
from deep_learning_toolbox.backend.chips.arcgis_folder import list_chips, read_metadata
from deep_learning_toolbox.backend.chips.chip_labels import LabelReader
from deep_learning_toolbox.backend.chips.inspection.pictures import INVALID, UNLISTED_COLOR, ChipPainter
from deep_learning_toolbox.backend.chips.map_file import read_map
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics

from .esri import ROAD, ROOF, SIDE, VOC, VOC_OBJECT, EsriFolder, square
from .inspection import inspect, kinds, stem

BOX, OTHER = (1.25, 2.0, 9.75, 8.5), (0.0, 0.0, 16.0, 16.0)


def paint(folder, chip=0):
    """Image and image with labels of a chip."""
    metadata = read_metadata(folder)
    labels = LabelReader(folder, metadata)
    bands = [BandStatistics(name, 0, 255, 100, 200, 0, 255, 1) for name in ("Red", "Green", "Blue")]
    return ChipPainter(folder, labels, metadata.all_classes, bands).paint(list(read_map(folder))[chip])


@pytest.mark.parametrize("mode", ["PASCAL_VOC_rectangles", "KITTI_rectangles"])
@pytest.mark.parametrize("names", [("10", "20"), ("Roof", "Paved road")])
def test_boxes_are_counted_by_value_or_name(tmp_path, mode, names):
    folder = EsriFolder(tmp_path / "esri", mode, digits=9)
    folder.boxes(0, [(names[0], BOX), (names[0], OTHER)])
    folder.boxes(1, [(names[1], BOX), ("99", BOX)])
    folder.boxes(2, [])
    found = inspect(folder.finish(), tmp_path)
    first, second, third = (found.rows[f"{number:09d}"] for number in range(3))
    assert (first["count_10"], first["count_20"], first["objects"], first["classes"]) == (2, 0, 2, "Roof × 2")
    assert (second["count_10"], second["count_20"], second["main_class"]) == (0, 1, ROAD)
    assert second["suspicious"] == "Label values that no class has: 99 (1)"
    assert third["suspicious"] == "Without any label: no label"
    assert "  10  Roof: 2 objects in 1 chips" in found.infos


@pytest.mark.parametrize("mode", ["PASCAL_VOC_rectangles", "KITTI_rectangles"])
def test_boxes_are_drawn_in_the_colour_of_their_class(tmp_path, mode):
    folder = EsriFolder(tmp_path / "esri", mode)
    folder.boxes(0, [("10", (2.0, 4.0, 10.0, 12.0))])
    path = folder.finish()
    plain, painted = paint(path)
    color = read_metadata(path).classes.classes[0].color
    changed = np.argwhere((plain != painted).any(axis=2))
    grown = plain.shape[0] // SIDE
    assert (changed.min(axis=0) == [4 * grown, 2 * grown]).all()
    assert (changed.max(axis=0) == [12 * grown - 1, 10 * grown - 1]).all()
    assert (painted[4 * grown, 5 * grown] == color).all()


def test_classes_are_painted_upon_the_image_and_unlisted_values_in_magenta(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    values = np.zeros((3, SIDE, SIDE), np.uint8)
    values[:, 0, 0] = 255
    folder.classified(0, square(ROOF) + square(77, 10, 10, 4), values, nodata=255)
    path = folder.finish()
    _, painted = paint(path)
    grown = painted.shape[0] // SIDE
    color = np.array(read_metadata(path).classes.classes[0].color)
    assert (painted[3 * grown, 3 * grown] == color // 2).all()
    assert (painted[11 * grown, 11 * grown] == np.array(UNLISTED_COLOR) // 2).all()
    assert (painted[0, 0] == INVALID).all()


def test_masks_of_objects_are_counted_as_pixels_and_objects(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "RCNN_Masks")
    folder.masks(0, {"Roof": square(1) + square(2, 9, 9, 4), "Paved road": square(1, 2, 9, 5)})
    folder.masks(1, {"Tree": square(3)})
    found = inspect(folder.finish(), tmp_path)
    first = found.rows[stem(0)]
    assert (first["share_10"], first["share_20"], first["objects"]) == (52 / 256, 25 / 256, 3)
    assert found.rows[stem(1)]["suspicious"] == "Label values that no class has: Tree (1)"
    assert "  10  Roof: 52 pixels 2 objects in 1 chips" in found.infos


def test_masks_that_the_map_leaves_out_are_found_by_the_folders_of_the_classes(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "RCNN_Masks")
    folder.masks(0, {"Roof": square(1)})
    folder.lines = []
    folder.list(f"images/{stem(0)}.tif")
    assert inspect(folder.finish(), tmp_path).rows[stem(0)]["share_10"] == 36 / 256


def test_panoptic_export_has_classes_of_pixels_and_objects(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "Panoptic_Segmentation")
    folder.definition = {"Panoptic_Segmentation_Instance_Classes": [{"Value": 30, "Name": "Car", "Color": [1, 2, 3]}]}
    mask = folder.raster(f"labels2/Car/{stem(0)}.tif", square(1) + square(2, 9, 9), 0)
    folder.list(folder.image(0), folder.raster(f"labels/{stem(0)}.tif", square(ROAD), 0), mask)
    row = inspect(folder.finish(), tmp_path).rows[stem(0)]
    assert (row["share_20"], row["objects"], row["suspicious"]) == (36 / 256, 2, "")


@pytest.mark.parametrize(
    ("value", "name", "objects", "warned"), [(ROAD, "Paved_road", 2, False), (ROAD, "Car", 0, True), (30, "Car", 2, False)]
)
def test_value_that_is_another_class_among_the_objects_is_told_and_not_counted(tmp_path, value, name, objects, warned):
    folder = EsriFolder(tmp_path / "esri", "Panoptic_Segmentation")
    folder.definition = {"Panoptic_Segmentation_Instance_Classes": [{"Value": value, "Name": name, "Color": [1, 2, 3]}]}
    mask = folder.raster(f"labels2/{name}/{stem(0)}.tif", square(1) + square(2, 9, 9), 0)
    folder.list(folder.image(0), folder.raster(f"labels/{stem(0)}.tif", square(ROAD), 0), mask)
    found = inspect(folder.finish(), tmp_path)
    assert (found.rows[stem(0)]["objects"], found.rows[stem(0)]["suspicious"]) == (objects, "")
    assert any("The value 20 is Paved road in the class chips and Car" in text for text in found.warnings) == warned


def test_labeled_tiles_have_one_class_each(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "Labeled_Tiles")
    folder.boxes(0, [("10", OTHER)])
    folder.boxes(1, [("20", OTHER)])
    found = inspect(folder.finish(), tmp_path)
    assert [found.rows[stem(number)]["classes"] for number in (0, 1)] == ["Roof × 1", "Paved road × 1"]


def test_multilabeled_tiles_have_a_list_of_class_names(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "MultiLabeled_Tiles")
    folder.boxes(0, [("Roof,Paved road", OTHER)])
    folder.boxes(1, [("Roof, Tree", OTHER)])
    found = inspect(folder.finish(), tmp_path)
    assert (found.rows[stem(0)]["count_10"], found.rows[stem(0)]["count_20"]) == (1, 1)
    assert found.rows[stem(1)]["suspicious"] == "Label values that no class has: Tree (1)"


def test_imagenet_has_a_folder_for_each_class(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "Imagenet")
    folder.list(folder.image(0, folder="images/Roof"))
    folder.list(folder.image(1, folder="images/Paved road"))
    folder.image(2, folder="images/Tree")
    found = inspect(folder.finish(), tmp_path)
    assert [found.rows[stem(number)]["main_class"] for number in range(3)] == [ROOF, ROAD, 0]
    assert found.rows[stem(2)]["suspicious"] == "Label values that no class has: Tree (1)"
    assert found.rows[stem(1)]["chip"] == "images/Paved road/000000000001.tif"


def test_tiles_without_labels_are_listed(tmp_path):
    folder = EsriFolder(tmp_path / "esri", "Export_Tiles", classes=())
    folder.list(folder.image(0), folder.image(0, folder="images2"))
    folder.list(folder.image(1), folder.image(1, folder="images2"))
    found = inspect(folder.finish(), tmp_path)
    assert kinds(found) == {}
    assert len(found.rows) == 2
    assert "This format has no labels." in found.report


def test_old_names_of_the_folders_of_change_detection_are_known(tmp_path):
    folder = EsriFolder(tmp_path / "esri", digits=9)
    for number in range(2):
        pair = [folder.image(number, folder=name) for name in ("images_before", "images_after")]
        folder.list(*pair, folder.raster(f"labels/{number:09d}.tif", square(ROOF), number))
    del folder.lines[1]  # found by its name, with its second image and its label
    path = folder.finish()
    found = inspect(path, tmp_path)
    assert [row["chip"] for row in found.rows.values()] == [f"images_before/{number:09d}.tif" for number in range(2)]
    assert [row["share_10"] for row in found.rows.values()] == [36 / 256] * 2
    assert {chip.second for chip, _ in list_chips(path, lambda _: True)} == {f"images_after/{number:09d}.tif" for number in range(2)}


def test_second_image_of_another_size_makes_a_pair_unreadable(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    small = folder.image(0, np.ones((3, 8, 8), np.uint8), "images2")
    folder.list(folder.image(0), small, folder.raster(f"labels/{stem(0)}.tif", square(ROOF), 0))
    assert kinds(inspect(folder.finish(), tmp_path)) == {"Image missing or damaged": [0]}


def test_pairs_that_differ_in_the_second_image_only_are_no_duplicates(tmp_path):
    folder = EsriFolder(tmp_path / "esri")
    same = np.random.default_rng(9).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8)
    for number, second in enumerate((same, same // 2, same)):
        label = folder.raster(f"labels/{stem(number)}.tif", square(ROOF), number)
        folder.list(folder.image(number, same), folder.image(number, second, "images2"), label)
    assert kinds(inspect(folder.finish(), tmp_path)) == {"Same pixels as another chip": [0, 2]}


def test_both_domains_of_a_cyclegan_export_are_listed(tmp_path):
    for number, domain in enumerate("AB"):
        folder = EsriFolder(tmp_path / "esri" / domain, "CycleGAN", classes=())
        bands = slice(0, 3 - 2 * number)  # the domains may have other bands
        for chip in (number, number + 2):
            values = np.random.default_rng(chip).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8)
            folder.list(folder.image(chip, values[bands]))
        folder.finish()
    found = inspect(tmp_path / "esri", tmp_path)
    assert kinds(found) == {}
    assert sorted(row["chip"] for row in found.rows.values()) == [
        f"{domain}/images/{stem(number)}.tif" for domain, number in (("A", 0), ("A", 2), ("B", 1), ("B", 3))
    ]


@pytest.mark.parametrize(
    "content",
    [
        "<annotation><object><name>10</name><bndbox><xmin>a</xmin></bndbox></object></annotation>",
        "<annotation><object>",
        '<!DOCTYPE a [<!ENTITY b "bomb">]><annotation><object><name>&b;</name></object></annotation>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation><object><name>&b;</name></object></annotation>',
        VOC.format(stem="x", objects=VOC_OBJECT.format(name="10", box=(float("nan"), 1, 2, 3))),
    ],
)
def test_label_file_that_is_damaged_or_hostile_is_told(tmp_path, content):
    folder = EsriFolder(tmp_path / "esri", "PASCAL_VOC_rectangles")
    folder.boxes(0, [("10", BOX)])
    path = folder.finish()
    (path / "labels" / f"{stem(0)}.xml").write_text(content)
    found = inspect(path, tmp_path)
    assert kinds(found) == {"Label missing or damaged": [0]}
    assert found.rows[stem(0)]["objects"] == 0


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ToolboxError, match="exported as “Captions”, which is not known here"):
        inspect(EsriFolder(tmp_path / "esri", "Captions").finish(), tmp_path)


def test_metadata_that_are_no_object_are_refused(tmp_path):
    path = EsriFolder(tmp_path / "esri").finish()
    (path / "esri_model_definition.emd").write_text(json.dumps([1]))
    with pytest.raises(ToolboxError, match="is not a JSON object"):
        inspect(path, tmp_path)
