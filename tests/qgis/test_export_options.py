# SPDX-License-Identifier: GPL-2.0-or-later
"""exporttrainingdata through its public id: formats, grids, further rasters, masks, legends, adding to a folder."""

import json

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsPalettedRasterRenderer,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QVariant
from qgis.PyQt.QtGui import QColor
from qgis_helpers import (
    LEFT,
    PIXEL,
    QUICK_TRAINING,
    SMALL_CHIPS,
    TOP,
    Log,
    label_pixels,
    make_labels,
    make_layer,
    make_scene,
    read_array,
    refusal,
    run,
    scene_array,
    square,
    tree,
    write_raster,
)

INT, TEXT = QVariant.Type.Int, QVariant.Type.String
SQUARE_PIXELS = 16 * 16


def export(scene, folder, feedback=None, **more):
    """Runs the tool into folder/chips; returns the folder and the index."""
    output = folder / "chips"
    run("exporttrainingdata", feedback, INPUT=scene, OUTPUT=output, **{**SMALL_CHIPS, **more})
    return output, json.loads((output / "toolbox_index.json").read_text(encoding="utf-8"))


def definition(chips):
    return json.loads((chips / "esri_model_definition.emd").read_text(encoding="utf-8"))


def extent(left, top, right, bottom):
    """A part of the scene, in pixels, as the text that the tool takes."""
    return f"{LEFT + left * PIXEL},{LEFT + right * PIXEL},{TOP - bottom * PIXEL},{TOP - top * PIXEL} [EPSG:32617]"


@pytest.mark.parametrize("form", ["pascal_voc", "kitti", "rcnn_masks", "labeled_tiles", "multilabeled_tiles", "imagenet"])
def test_formats_for_objects_are_written(scene, folder, form):
    chips, index = export(scene, folder, LABELS=make_labels(), METADATA_FORMAT=form)
    assert index["metadata_format"] == form
    assert definition(chips)["Classes"][0] == {"Value": 1, "Name": "Water", "Color": [31, 119, 180]}
    first = (chips / "map.txt").read_text(encoding="utf-8").split()
    assert all((chips / path.replace("\\", "/")).exists() for path in first)


def test_images_alone_need_no_labels(scene, folder):
    chips, index = export(scene, folder, METADATA_FORMAT="export_tiles")
    assert len(index["chips"]) == 9
    assert not (chips / "labels").exists()


def test_second_raster_lies_beside_the_first(scene, folder):
    second = make_scene(folder / "second.tif", bands=1, dtype="float32", scale=0.5)
    chips, index = export(scene, folder, LABELS=make_labels(), INPUT2=second)
    name = index["chips"][0]["image2"]
    assert (read_array(chips / name) == read_array(second)[:32, :32]).all()


def test_cyclegan_takes_two_rasters(scene, folder):
    second = make_scene(folder / "second.tif", bands=1, dtype="float32")
    chips, _ = export(scene, folder, METADATA_FORMAT="cyclegan", INPUT2=second)
    assert len(list((chips / "A" / "images").glob("*.tif"))) == len(list((chips / "B" / "images").glob("*.tif"))) == 9


def test_panoptic_takes_instances_by_their_field(scene, folder):
    things = make_layer([(square(5, 9, 4), 9), (square(12, 9, 4), 9)], [("kind", INT)])
    chips, _ = export(scene, folder, LABELS=make_labels(), METADATA_FORMAT="panoptic", INSTANCES=things, INSTANCE_FIELD="kind")
    masks = list((chips / "labels2" / "9").glob("*.tif"))
    assert {int(read_array(path).max()) for path in masks} == {2}


def test_extent_in_another_crs_limits_the_chips(scene, folder):
    chips, index = export(scene, folder, LABELS=make_labels(), EXTENT=extent(0, 0, 48, 40))
    assert label_pixels(chips) == {1: 2 * SQUARE_PIXELS}
    assert {tuple(chip["window"][:2]) for chip in index["chips"]} == {(0, 0), (32, 0)}


def test_cell_size_changes_the_size_of_the_chips_cells(scene, folder):
    chips, index = export(scene, folder, LABELS=make_labels(), CELL_SIZE=20)
    assert index["cell_size"] == [20, 20]
    assert gdal.Open(str(chips / "images" / "000000000000.tif")).GetGeoTransform()[1] == 20
    assert sum(label_pixels(chips).values()) == 8 * SQUARE_PIXELS / 4


def test_mask_in_another_crs_keeps_only_chips_inside(scene, folder):
    area = square(0, 0, 70)
    to_degrees = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:32617"), QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateTransformContext()
    )
    area = area.densifyByCount(50)
    area.transform(to_degrees)
    _, index = export(scene, folder, LABELS=make_labels(), MASK=make_layer([(area,)], [], "EPSG:4326"))
    assert [tuple(chip["window"][:2]) for chip in index["chips"]] == [(0, 0), (32, 0), (0, 32), (32, 32)]


def test_rotation_repeats_the_chips(scene, folder):
    _, index = export(scene, folder, LABELS=make_labels(), ROTATION_ANGLE="90")
    assert len(index["chips"]) == 4 * 9


def test_mask_and_overlap_of_features(scene, folder):
    layer = make_layer([(square(24, 0, 10), 1)], [("value", INT)])
    assert len(export(scene, folder, LABELS=layer)[1]["chips"]) == 2
    assert len(export(scene, folder, LABELS=layer, MIN_OVERLAP_RATIO=0.5)[1]["chips"]) == 1


def test_blacken_and_bounding_box(scene, folder):
    layer = make_layer([(square(24, 4, 10), 1)], [("value", INT)])
    _, index = export(scene, folder, LABELS=layer, METADATA_FORMAT="imagenet", CROP_MODE="bounding_box", BLACKEN=True)
    assert [chip["window"] for chip in index["chips"]] == [[24, 4, 10, 10]]


def test_rotated_raster_is_exported_in_pixel_space(plugin, folder):
    raster = write_raster(folder / "turned.tif", scene_array(), transform=(LEFT, 8, 6, TOP, 6, -8))
    corner = [LEFT + 8 * 4 + 6 * 4, TOP + 6 * 4 - 8 * 4]
    ring = [(0, 0), (8, 0), (8, 8), (0, 8), (0, 0)]
    text = ", ".join(f"{corner[0] + 8 * x + 6 * y} {corner[1] + 6 * x - 8 * y}" for x, y in ring)
    layer = make_layer([(QgsGeometry.fromWkt(f"POLYGON(({text}))"), 1)], [("value", INT)])
    chips, index = export(raster, folder, LABELS=layer, REFERENCE_SYSTEM="pixel_space")
    label = read_array(chips / "labels" / "000000000000.tif")
    assert (label[4:12, 4:12] == 1).all()
    assert label.sum() == 64
    assert index["crs_wkt"] is None


@pytest.mark.parametrize("as_folder", [False, True], ids=["list", "folder"])
def test_further_rasters_are_cut_with_the_same_labels(scene, folder, as_folder):
    place = folder / "more scenes"
    write_raster(place / "east.tif", scene_array(), transform=(LEFT + 960, PIXEL, 0, TOP, 0, -PIXEL))
    (place / "notes.txt").write_text("no raster")
    layer = make_layer([(square(0, 0), 1), (square(100, 0), 2)], [("value", INT)])
    more = str(place) if as_folder else [str(place / "east.tif")]
    log = Log()
    chips, index = export(scene, folder, log, LABELS=layer, MORE_INPUTS=more)
    assert label_pixels(chips) == {1: SQUARE_PIXELS, 2: SQUARE_PIXELS}
    assert [chip["source"] for chip in index["chips"]] == [0, 1]
    assert any("2 labels meet the 2 rasters" in line for line in log.infos)


def test_folder_of_further_rasters_may_hold_the_others_of_the_request(folder):
    place = folder / "all in one"
    scene = write_raster(place / "a.tif", scene_array())
    write_raster(place / "b.tif", scene_array(), transform=(LEFT + 960, PIXEL, 0, TOP, 0, -PIXEL))
    labels = np.zeros((1, 96, 192), np.uint8)
    labels[0, :16, :16] = labels[0, :16, 100:116] = 3
    raster = write_raster(place / "classes.tif", labels)
    chips, index = export(scene, folder, LABEL_RASTER=raster, MORE_INPUTS=str(place))
    assert [source["source"].rpartition("/")[2] for source in index["sources"]] == ["a.tif", "b.tif"]
    assert label_pixels(chips) == {3: 2 * SQUARE_PIXELS}


def test_a_class_with_several_names_is_told(scene, folder):
    fields = [("Classvalue", INT), ("Classname", TEXT)]
    layer = make_layer([(square(0, 0), 1, "Wald"), (square(40, 0), 1, "Forest"), (square(40, 40), 1, "Forest")], fields)
    log = Log()
    chips, _ = export(scene, folder, log, LABELS=layer)
    assert definition(chips)["Classes"][0]["Name"] == "Wald"
    assert any("class 1" in text and "“Wald”, not “Forest”" in text for text in log.warnings)


@pytest.mark.parametrize("form", ["rcnn_masks", "panoptic"])
def test_own_exports_with_masks_by_class_are_trained_on(scene, folder, form):
    labels = make_labels()
    things = {"INSTANCES": labels, "INSTANCE_FIELD": "Classvalue"} if form == "panoptic" else {}
    chips, _ = export(scene, folder, LABELS=labels, METADATA_FORMAT=form, **things)
    outputs = run("trainmodel", INPUT=chips, OUTPUT=folder / "model", **QUICK_TRAINING)
    mapped = run("classifypixels", INPUT=scene, MODEL=outputs["MODEL"], OUTPUT=folder / "map.tif", DEVICE="cpu")
    assert set(np.unique(read_array(mapped["OUTPUT"]))) <= {1, 4}


def test_raster_in_another_crs_is_labelled_in_the_same_place(scene, folder):
    other = folder / "degrees.tif"
    gdal.Warp(str(other), str(scene), dstSRS="EPSG:4326")
    layer = make_layer([(square(40, 40, 20), 1)], [("value", INT)])
    chips, index = export(scene, folder, LABELS=layer, MORE_INPUTS=[str(other)])
    by_source = {}
    for chip in index["chips"]:
        by_source[chip["source"]] = by_source.get(chip["source"], 0) + chip["class_pixels"]["1"]
        west, south, east, north = chip["bounds"]
        assert LEFT - 1000 < west < east < LEFT + 2000
        assert TOP - 2000 < south < north < TOP + 1000
    assert by_source[0] == 400
    assert by_source[1] > 100
    # One polygon has one number in both rasters.
    assert {block for chip in index["chips"] for block, _, _ in chip["features"]} == {1}
    assert len(list((chips / "images").glob("*.tif"))) == len(index["chips"])


def test_texts_keep_their_class_values_when_chips_are_added(scene, folder):
    first = make_layer([(square(0, 0), "Wiese"), (square(40, 0), "Acker")], [("Art", TEXT)])
    export(scene, folder, LABELS=first, CLASS_VALUE_FIELD="Art")
    more = make_layer([(square(0, 40), "Wiese"), (square(40, 40), "Bach")], [("Art", TEXT)])
    chips, index = export(scene, folder, LABELS=more, CLASS_VALUE_FIELD="Art", APPEND=True)
    assert {entry["Value"]: entry["Name"] for entry in definition(chips)["Classes"]} == {1: "Acker", 2: "Wiese", 3: "Bach"}
    assert label_pixels(chips) == {1: SQUARE_PIXELS, 2: 2 * SQUARE_PIXELS, 3: SQUARE_PIXELS}
    assert len(index["chips"]) == len(list((chips / "images").glob("*.tif")))


def test_codes_with_names_keep_their_class_values_when_chips_are_added(scene, folder):
    fields = {"CLASS_VALUE_FIELD": "Code", "CLASS_NAME_FIELD": "Art"}
    kinds = [("Code", TEXT), ("Art", TEXT)]
    first = [(square(0, 0), "w1", "Wiese"), (square(40, 0), "a1", "Acker"), (square(0, 40), "w2", "Wiese")]
    export(scene, folder, LABELS=make_layer(first, kinds), **fields)
    expected = {1: "Acker", 2: "Wiese", 3: "Wiese (3)"}
    more = make_layer([*first, (square(40, 40), "b1", "Bach")], kinds)
    chips, _ = export(scene, folder, LABELS=more, APPEND=True, **fields)
    assert {entry["Value"]: entry["Name"] for entry in definition(chips)["Classes"]} == {**expected, 4: "Bach"}
    assert label_pixels(chips) == {1: 2 * SQUARE_PIXELS, 2: 2 * SQUARE_PIXELS, 3: 2 * SQUARE_PIXELS, 4: SQUARE_PIXELS}


def class_raster(folder):
    values = np.zeros((1, 96, 96), np.uint8)
    values[0, 10:20, 10:20], values[0, 60:70, 60:80] = 2, 5
    return write_raster(folder / "classes.tif", values, nodata=0)


def test_style_of_a_label_raster_gives_names_and_colours(scene, folder):
    layer = QgsRasterLayer(str(class_raster(folder)), "classes")
    entries = [
        QgsPalettedRasterRenderer.Class(2, QColor(1, 2, 3), "Reed"),
        QgsPalettedRasterRenderer.Class(5, QColor(4, 5, 6), "5"),
    ]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, entries))
    chips, _ = export(scene, folder, LABEL_RASTER=layer)
    assert definition(chips)["Classes"] == [
        {"Value": 2, "Name": "Reed", "Color": [1, 2, 3]},
        {"Value": 5, "Name": "5", "Color": [4, 5, 6]},
    ]


def test_attribute_table_of_a_label_raster_gives_names_and_colours(scene, folder):
    path = class_raster(folder)
    dataset = gdal.Open(str(path), gdal.GA_Update)
    table = gdal.RasterAttributeTable()
    columns = [("Value", gdal.GFT_Integer, gdal.GFU_MinMax), ("Class_name", gdal.GFT_String, gdal.GFU_Generic)]
    # By their usage newer QGIS finds the colours, too, when it styles the layer.
    usages = {"Red": gdal.GFU_Red, "Green": gdal.GFU_Green, "Blue": gdal.GFU_Blue}
    columns += [(name, gdal.GFT_Integer, usage) for name, usage in usages.items()]
    for column in columns:
        table.CreateColumn(*column)
    for row, (value, name, color) in enumerate([(2, "Reed", (9, 8, 7)), (5, "Sand", (6, 5, 4)), (6, "Ice", (0, 0, 0))]):
        table.SetValueAsInt(row, 0, value)
        table.SetValueAsString(row, 1, name)
        for column, part in enumerate(color, start=2):
            table.SetValueAsInt(row, column, part)
    dataset.GetRasterBand(1).SetDefaultRAT(table)
    del dataset
    chips, _ = export(scene, folder, LABEL_RASTER=path)
    assert definition(chips)["Classes"] == [
        {"Value": 2, "Name": "Reed", "Color": [9, 8, 7]},
        {"Value": 5, "Name": "Sand", "Color": [6, 5, 4]},
    ]


def test_attribute_table_of_arcgis_gives_names(scene, folder):
    from osgeo import ogr

    path = class_raster(folder)
    source = ogr.GetDriverByName("ESRI Shapefile").CreateDataSource(f"{path}.vat.dbf")
    table = source.CreateLayer("classes.tif.vat", geom_type=ogr.wkbNone)
    table.CreateField(ogr.FieldDefn("VALUE", ogr.OFTInteger))
    table.CreateField(ogr.FieldDefn("CLASS_NAME", ogr.OFTString))
    for value, name in ((2, "Reed"), (5, "Sand")):
        feature = ogr.Feature(table.GetLayerDefn())
        feature.SetField(0, value)
        feature.SetField(1, name)
        table.CreateFeature(feature)
    del feature, table, source
    chips, _ = export(scene, folder, LABEL_RASTER=path)
    assert [entry["Name"] for entry in definition(chips)["Classes"]] == ["Reed", "Sand"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"CHIP_FORMAT": "png"}, "CHIP_FORMAT=png holds one or three bands and 2 are to be written"),
        ({"CHIP_FORMAT": "jpeg", "BANDS": [1]}, None),
        ({"METADATA_FORMAT": "panoptic"}, "panoptic needs INSTANCES"),
        ({"METADATA_FORMAT": "cyclegan"}, "cyclegan takes no labels"),
        ({"BLACKEN": True}, "BLACKEN works with labeled_tiles and imagenet only"),
        ({"REFERENCE_SYSTEM": "pixel_space", "CELL_SIZE": 5}, "CELL_SIZE cannot be combined"),
        ({"MORE_INPUTS": "/nowhere.tif"}, "MORE_INPUTS: /nowhere.tif is not a raster that QGIS can read"),
        ({"ROTATION_ANGLE": 0.2}, "ROTATION_ANGLE is 0.2"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(scene, folder, parameters, message):
    settings = {"INPUT": scene, "LABELS": make_labels(), "OUTPUT": folder / "out" / "chips", **SMALL_CHIPS, **parameters}
    if message is None:
        assert run("exporttrainingdata", **settings)["CHIPS"] == 9
        return
    assert message in refusal("exporttrainingdata", **settings)
    assert tree(folder / "out") == []


def test_sixteen_bits_are_no_picture(plugin, folder):
    raster = make_scene(folder / "scene.tif", bands=3, dtype="uint16")
    told = refusal("exporttrainingdata", INPUT=raster, LABELS=make_labels(), CHIP_FORMAT="png", OUTPUT=folder / "chips", **SMALL_CHIPS)
    assert "holds 8-bit values (uint8) and the raster has uint16" in told
    assert not (folder / "chips").exists()


def test_angle_below_one_degree_is_refused_before_anything_runs(scene, folder):
    told = refusal("exporttrainingdata", INPUT=scene, LABELS=make_labels(), ROTATION_ANGLE=0.5, OUTPUT=folder / "chips", **SMALL_CHIPS)
    assert "ROTATION_ANGLE is 0.5, allowed are 0 (no rotation) and 1 to 180 degrees" in told
    assert not (folder / "chips").exists()


def test_training_refuses_another_format_by_name(scene, folder):
    chips, _ = export(scene, folder, LABELS=make_labels(), METADATA_FORMAT="pascal_voc")
    told = refusal("trainmodel", INPUT=chips, OUTPUT=folder / "model", BACKBONE="resnet18", WEIGHTS="none", DEVICE="cpu")
    assert "was exported as PASCAL_VOC_rectangles" in told
    assert "export again as Classified_Tiles" in told
