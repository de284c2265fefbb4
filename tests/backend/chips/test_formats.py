# SPDX-License-Identifier: GPL-2.0-or-later
"""The metadata formats: folders, label files and the lines of map.txt, as ArcGIS's reader wants them."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import rasterio
import shapely
from deep_learning_toolbox.backend.chips import names
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.formats import FORMATS
from deep_learning_toolbox.backend.chips.formats.class_folders import folder_names
from deep_learning_toolbox.backend.chips.formats.rcnn_masks import number_instances
from deep_learning_toolbox.backend.chips.index import ChipIndex
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.labels.schema import ClassSchema

from ..rasters import drive, pixel_box, write_labels, write_raster
from .test_export import CHIPS, image

CLASSES = [{"value": 3, "name": "Bare soil", "color": [10, 20, 30]}, {"value": 7, "name": "Oak", "color": [40, 50, 60]}]
# Two boxes of class 3 and one of class 7 in the first chip of 16 × 16, one that reaches from the first into the second.
PAIRS = [
    (pixel_box(1, 1, 4, 5), 3),
    (pixel_box(6, 2, 9, 4), 7),
    (pixel_box(2, 8, 5, 12), 3),
    (pixel_box(12.25, 10, 20, 14), 7),
]


def export(tmp_path, form, values=None, pairs=PAIRS, **settings):
    """Exports into tmp_path/chips; returns the folder, the index and the lines of map.txt."""
    options = {**CHIPS, "classes": CLASSES, "metadata_format": form}
    if pairs:
        options["labels"] = write_labels(tmp_path / "labels.gpkg", pairs)
    source = write_raster(tmp_path / "image.tif", image(16, 32) if values is None else values)
    folder = tmp_path / "chips"
    drive(export_chips(ExportSettings(source, str(folder), **(options | settings)), "test"))
    return folder, ChipIndex.read(folder), (folder / "map.txt").read_text().splitlines()


def read(path):
    with rasterio.open(path) as raster:
        return raster.read()


def boxes(path):
    return [
        (entry.findtext("name"), *(entry.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")))
        for entry in ElementTree.parse(path).getroot().iterfind("object")
    ]


def test_every_format_of_the_table_has_its_class():
    assert list(FORMATS) == list(names.ESRI_MODES)


def test_pascal_voc_has_values_and_boxes_with_two_decimals(tmp_path):
    folder, index, lines = export(tmp_path, "pascal_voc")
    assert lines == [f"images\\{n:012d}.tif  labels\\{n:012d}.xml " for n in range(2)]
    assert boxes(folder / "labels" / "000000000000.xml") == [
        ("3", "1.00", "1.00", "4.00", "5.00"),
        ("7", "6.00", "2.00", "9.00", "4.00"),
        ("3", "2.00", "8.00", "5.00", "12.00"),
        ("7", "12.25", "10.00", "16.00", "14.00"),
    ]
    assert boxes(folder / "labels" / "000000000001.xml") == [("7", "0.00", "10.00", "4.00", "14.00")]
    root = ElementTree.parse(folder / "labels" / "000000000000.xml").getroot()
    assert [entry.tag for entry in root] == ["filename", "source", "size", "object", "object", "object", "object"]
    assert root.findtext("filename") == "000000000000.tif"
    assert [entry.text for entry in root.find("size")] == ["16", "16", "2"]
    assert index.chips[0].features[0] == (1, 3, 3 * 4 * 100)


def test_kitti_has_fifteen_columns_separated_by_blanks(tmp_path):
    folder, _, lines = export(tmp_path, "kitti", empty_tiles=True, values=image(16, 48))
    assert lines[:2] == [f"images\\{n:012d}.tif  labels\\{n:012d}.txt " for n in range(2)]
    rows = [line.split(" ") for line in (folder / "labels" / "000000000000.txt").read_text().splitlines()]
    assert {len(row) for row in rows} == {15}
    assert [row[0] for row in rows] == ["3", "7", "3", "7"]
    assert rows[3][4:8] == ["12.25", "10.00", "16.00", "14.00"]
    # A chip without objects has no label file, which ArcGIS's reader drops.
    assert lines[2] == "images\\000000000002.tif "
    assert not (folder / "labels" / "000000000002.txt").exists()


def test_rcnn_masks_number_the_features_of_a_class_in_a_folder_of_its_name(tmp_path):
    folder, index, lines = export(tmp_path, "rcnn_masks")
    assert lines[0] == "images\\000000000000.tif  labels\\Bare_soil\\000000000000.tif labels\\Oak\\000000000000.tif "
    assert lines[1] == "images\\000000000001.tif  labels\\Oak\\000000000001.tif "
    soil, oak = (read(folder / "labels" / name / "000000000000.tif")[0] for name in ("Bare_soil", "Oak"))
    assert (soil[1:5, 1:4] == 1).all()
    assert (soil[8:12, 2:5] == 2).all()
    assert np.count_nonzero(soil) == 24
    assert (oak[2:4, 6:9] == 1).all()
    assert (oak[10:14, 12:] == 2).all()
    assert read(folder / "labels" / "Oak" / "000000000001.tif").max() == 1
    definition = json.loads((folder / "esri_model_definition.emd").read_text())
    assert [entry["Name"] for entry in definition["Classes"]] == ["Bare_soil", "Oak"]
    assert index.classes.name_of(3) == "Bare soil"


def test_many_instances_need_sixteen_bits_and_a_full_chip_has_no_background():
    blocks = np.arange(1, 301, dtype=np.uint32).reshape(15, 20) * 5
    numbers = number_instances(np.full((15, 20), 4, np.uint16), blocks, 4)
    assert numbers.dtype == np.uint16
    assert numbers.ravel().tolist() == list(range(1, 301))
    assert number_instances(np.full((2, 2), 4, np.uint16), np.full((2, 2), 9, np.uint32), 4).tolist() == [[1, 1], [1, 1]]


def test_labeled_tiles_has_a_chip_around_each_feature(tmp_path):
    pairs = [(pixel_box(20, 30, 26, 34), 3), (pixel_box(2, 2, 4, 4), 7)]
    folder, index, lines = export(tmp_path, "labeled_tiles", image(60, 60), pairs)
    assert len(lines) == 2
    by_class = {next(iter(chip.class_pixels)): chip for chip in index.chips}
    assert by_class[3].window == (15, 24, 16, 16)
    assert boxes(folder / by_class[3].label) == [("3", "5.00", "6.00", "11.00", "10.00")]
    assert boxes(folder / by_class[7].label) == [("7", "7.00", "7.00", "9.00", "9.00")]
    assert np.array_equal(read(folder / by_class[3].image), image(60, 60)[:, 24:40, 15:31])


def test_bounding_box_crops_to_the_feature_and_blacken_clears_the_rest(tmp_path):
    triangle = shapely.Polygon([*pixel_box(20, 30, 26, 34).exterior.coords[:3]])
    folder, index, _ = export(tmp_path, "labeled_tiles", image(60, 60), [(triangle, 3)], crop_mode="bounding_box", blacken=True)
    (chip,) = index.chips
    assert chip.window == (20, 30, 6, 4)
    stored = read(folder / chip.image)
    assert stored.shape == (2, 4, 6)
    shown = stored[0] > 0
    assert 0 < shown.sum() < 24
    assert np.array_equal(stored[:, shown], image(60, 60)[:, 30:34, 20:26][:, shown])
    definition = json.loads((folder / "esri_model_definition.emd").read_text())
    assert (definition["BlackenAroundFeature"], definition["CropTileMode"]) == (True, "Variable_Size")


def test_imagenet_sorts_the_images_into_folders_of_the_classes(tmp_path):
    folder, _, lines = export(tmp_path, "imagenet", image(60, 60))
    assert sorted(line.rpartition("\\")[0] for line in lines) == ["images\\Bare_soil"] * 2 + ["images\\Oak"] * 2
    assert all(line.endswith(".tif ") for line in lines)
    assert len(list((folder / "images" / "Oak").glob("*.tif"))) == 2
    assert not (folder / "labels").exists()


def test_labeled_tiles_of_a_class_raster_take_the_commonest_class(tmp_path):
    label = np.zeros((16, 32), np.uint8)
    label[:4], label[4:14, 3:12] = 3, 7
    label[:, 16:] = 3
    raster = write_raster(tmp_path / "classes.tif", label)
    folder, index, _ = export(tmp_path, "labeled_tiles", pairs=None, label_raster=raster)
    assert [boxes(folder / chip.label)[0][0] for chip in index.chips] == ["7", "3"]
    assert boxes(folder / index.chips[0].label) == [("7", "3.00", "4.00", "12.00", "14.00")]


def test_multilabeled_tiles_lists_class_names_separated_by_commas(tmp_path):
    folder, _, _ = export(tmp_path, "multilabeled_tiles")
    assert boxes(folder / "labels" / "000000000000.xml") == [("Bare soil,Oak", "0.00", "0.00", "16.00", "16.00")]
    assert boxes(folder / "labels" / "000000000001.xml")[0][0] == "Oak"


def test_export_tiles_needs_no_labels_and_writes_all_with_data(tmp_path):
    folder, index, lines = export(tmp_path, "export_tiles", pairs=None, classes=[])
    assert lines == [f"images\\{n:012d}.tif " for n in range(2)]
    assert index.label_kind == "none"
    assert {entry.name for entry in folder.iterdir()} == {
        "images", "map.txt", "stats.txt", "esri_model_definition.emd", "esri_accumulated_stats.json", "toolbox_index.json",
    }  # fmt: skip


@pytest.mark.parametrize("form", ["export_tiles", "classified_tiles"])
def test_second_raster_is_cut_at_the_same_places(tmp_path, form):
    second = write_raster(tmp_path / "second.tif", image(16, 32, "float32", 1) + 500)
    folder, index, lines = export(tmp_path, form, raster2=second)
    for chip in index.chips:
        left = chip.window[0]
        assert np.array_equal(read(folder / chip.image2)[0], image(16, 32, "float32", 1)[0, :, left : left + 16] + 500)
    first = "images\\000000000000.tif  images2\\000000000000.tif  labels\\000000000000.tif "
    assert lines[0] == (first if form == "classified_tiles" else "images\\000000000000.tif  images2\\000000000000.tif ")
    definition = json.loads((folder / "esri_model_definition.emd").read_text())
    assert [len(definition[key]) for key in ("AllTilesStats", "AllTilesStats2")] == [2, 1]
    assert definition["AllTilesStats2"][0]["Min"] == 501
    stats = json.loads((folder / "esri_accumulated_stats.json").read_text())
    assert list(stats)[-4:] == ["InputRastersProps", "InputRastersProps2", "BandStatsState", "BandStatsState2"]


def test_cyclegan_writes_two_complete_exports(tmp_path):
    second = write_raster(tmp_path / "second.tif", image(40, 16, "float32", 3))
    folder, index, _ = export(tmp_path, "cyclegan", pairs=None, classes=[], raster2=second)
    for kind, count, bands in (("A", 2, 2), ("B", 3, 3)):
        lines = (folder / kind / "map.txt").read_text().splitlines()
        assert lines == [f"images\\{n:012d}.tif " for n in range(count)]
        assert len(list((folder / kind / "images").glob("*.tif"))) == count
        stats = json.loads((folder / kind / "esri_accumulated_stats.json").read_text())
        assert (stats["MetaDataMode"], stats["NumTiles"], stats["NumBands"]) == ("CycleGAN", count, bands)
    assert [chip.image[:2] for chip in index.chips] == ["A/", "A/", "B/", "B/", "B/"]


def test_panoptic_has_classes_and_instances(tmp_path):
    things = write_labels(tmp_path / "things.gpkg", [(pixel_box(1, 1, 3, 3), 2), (pixel_box(5, 5, 7, 7), 2)], layer="instances")
    instance_classes = [{"value": 2, "name": "Tree", "color": [1, 2, 3]}]
    folder, _, lines = export(tmp_path, "panoptic", instances=things, instance_classes=instance_classes)
    assert lines[0] == "images\\000000000000.tif  labels\\000000000000.tif labels2\\Tree\\000000000000.tif "
    trees = read(folder / "labels2" / "Tree" / "000000000000.tif")[0]
    assert (trees[1:3, 1:3] == 1).all()
    assert (trees[5:7, 5:7] == 2).all()
    assert read(folder / "labels" / "000000000000.tif")[0, 2, 2] == 3
    definition = json.loads((folder / "esri_model_definition.emd").read_text())
    assert definition["Panoptic_Segmentation_Instance_Classes"] == [{"Value": 2, "Name": "Tree", "Color": [1, 2, 3]}]


@pytest.mark.parametrize("form", ["pascal_voc", "rcnn_masks"])
def test_regions_of_a_class_raster_are_objects(tmp_path, form):
    label = np.zeros((16, 32), np.uint8)
    label[1:4, 1:6], label[8:10, 8:12], label[10:12, 12:14] = 3, 3, 3
    raster = write_raster(tmp_path / "classes.tif", label)
    folder, index, _ = export(tmp_path, form, pairs=None, label_raster=raster)
    assert [value for _, value, _ in index.chips[0].features] == [3, 3, 3]
    if form == "pascal_voc":
        # Regions that touch at a corner only are two.
        assert sorted(boxes(folder / index.chips[0].label)) == [
            ("3", "1.00", "1.00", "6.00", "4.00"),
            ("3", "12.00", "10.00", "14.00", "12.00"),
            ("3", "8.00", "8.00", "12.00", "10.00"),
        ]
    else:
        assert read(folder / index.chips[0].labels[0]).max() == 3


def test_object_on_nodata_is_left_out(tmp_path):
    values = image(16, 32, "float32")
    values[:, :6, :5] = np.nan
    folder, _, _ = export(tmp_path, "pascal_voc", values)
    assert [entry[0] for entry in boxes(folder / "labels" / "000000000000.xml")] == ["7", "3", "7"]


def test_feature_with_too_small_a_share_in_the_chip_is_dropped(tmp_path):
    folder, _, _ = export(tmp_path, "pascal_voc", min_overlap_ratio=0.5)
    assert len(boxes(folder / "labels" / "000000000000.xml")) == 3
    assert len(boxes(folder / "labels" / "000000000001.xml")) == 1


@pytest.mark.parametrize("form", [form for form in names.METADATA_FORMATS if form != "cyclegan"])
def test_no_path_in_the_map_has_a_blank_and_every_file_is_there(tmp_path, form):
    more = {}
    if form == "panoptic":
        more = {"instances": write_labels(tmp_path / "things.gpkg", PAIRS, layer="instances"), "instance_classes": CLASSES}
    folder, _, lines = export(tmp_path, form, **more)
    for line in lines:
        for path in line.split():
            assert (folder / path.replace("\\", "/")).is_file()
    stats = json.loads((folder / "esri_accumulated_stats.json").read_text())
    assert stats["MetaDataMode"] == names.ESRI_MODES[form]


def test_class_folders_are_fit_for_every_system():
    entries = [(1, "a/b: c"), (2, "A b"), (3, "a B"), (4, "con"), (5, "…"), (6, " . ")]
    schema = ClassSchema.from_dicts([{"value": value, "name": name} for value, name in entries])
    assert list(folder_names(schema).values()) == ["a_b_c", "A_b", "a_B_3", "con_4", "…", "class_6"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metadata_format": "kitti"}, "kitti needs labels"),
        ({"metadata_format": "cyclegan"}, "cyclegan needs INPUT2"),
        ({"metadata_format": "export_tiles", "instances": "x", "instance_classes": CLASSES}, "export_tiles knows no instances"),
        ({"labels": "x", "classes": CLASSES, "metadata_format": "panoptic"}, "panoptic needs INSTANCES"),
        ({"labels": "x", "classes": CLASSES, "metadata_format": "kitti", "raster2": "y"}, "kitti knows no second raster"),
        ({"labels": "x", "classes": CLASSES, "blacken": True}, "BLACKEN works with labeled_tiles and imagenet only"),
        ({"labels": "x", "classes": CLASSES, "crop_mode": "bounding_box"}, "CROP_MODE=bounding_box works with"),
        ({"label_raster": "x", "min_overlap_ratio": 0.1}, "MIN_OVERLAP_RATIO needs features"),
        ({"label_raster": "x", "reference_system": "pixel_space", "cell_size": 5}, "CELL_SIZE cannot be combined"),
        ({"label_raster": "x", "rotation_angle": 0.5}, "ROTATION_ANGLE is 0.5"),
        ({"label_raster": "x", "metadata_format": "coco"}, "METADATA_FORMAT is 'coco', allowed are classified_tiles"),
        ({"label_raster": "x", "metadata_format": "imagenet", "empty_tiles": True}, "EMPTY_TILES cannot be combined with imagenet"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ToolboxError, match=message):
        ExportSettings("raster", "output", **settings)
