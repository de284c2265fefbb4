# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys, their order and the types of all values in the metadata, against the structure of real exports of ArcGIS Pro."""

import json

import numpy as np
import pytest
from deep_learning_toolbox.backend.chips import names
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.settings import ExportSettings

from ..rasters import drive, pixel_box, write_labels, write_raster
from .test_export import CHIPS, image

# Structure of two real exports: one of polygons with two rasters and four bands, one of a class raster. Types instead of values; of a
# list the type of its entries. JSON writes a whole number without a point, so a number is "number" where real files have either.
CELL = {"x": "number", "y": "number", "spatialReference": {"wkid": "int", "latestWkid": "int"}}
PROPS = {"RasterCount": "int", "SensorName": "str", "BandNames": ["str"]}
TILES = [{"BandName": "str", "Min": "number", "Max": "number", "Mean": "number", "StdDev": "number"}]
STATE = {"Min": "number", "Max": "number", "Mean": "int", "StdDev": "int", "M1": "number", "M2": "number", "Num": "int"}
PLACEHOLDERS_ABOVE = ("Framework", "ModelConfiguration", "ModelType", "ModelFile", "Description")
PLACEHOLDERS_BELOW = ("ExtractBands", "DataRange", "ModelPadding", "BatchSize", "PerProcessGPUMemoryFraction")
DEFINITION = {
    **dict.fromkeys(PLACEHOLDERS_ABOVE, "str"), "ImageHeight": "int", "ImageWidth": "int", **dict.fromkeys(PLACEHOLDERS_BELOW, "str"),
    "MetaDataMode": "str", "BlackenAroundFeature": "bool", "IsMultidimensional": "bool", "CropTileMode": "str",
    "ImageSpaceUsed": "str",
    "MinCellSize": CELL, "MaxCellSize": CELL,
    "Classes": [{"Value": "int", "Name": "str", "Color": ["int"]}],
    "InputRastersProps": PROPS, "InputRastersProps2": PROPS, "AllTilesStats": TILES, "AllTilesStats2": TILES,
    "WellKnownBandNames (FYI, these band names can be used in ExtractBands)": ["str"],
}  # fmt: skip
AREAS = {"Min": "number", "Max": "number", "Mean": "number", "Sum": "number", "Count": "int"}
COUNTS = {"Min": "int", "Max": "int", "Mean": "number", "Sum": "int", "Count": "int"}
FEATURES = {
    "NumClasses": "int", "NumImagesTotal": "int", "NumFeaturesTotal": "int", "NumImagesPerClass": ["int"],
    "NumFeaturesPerClass": ["int"], "NumFeaturesPerImage": COUNTS, "FeatureAreaPerClass": [AREAS],
}  # fmt: skip
PIXELS = {
    "NumClasses": "int", "NumImagesTotal": "int", "NumImagesPerClass": ["int"], "NumPixelsPerClass": ["int"],
    "NumClassesPerImage": COUNTS, "PixelsPerClass": [COUNTS],
}  # fmt: skip
ACCUMULATED = {
    "Version": "int", "NumBands": "int", "TileSizeX": "int", "TileSizeY": "int", "NumClasses": "int", "NumTiles": "int",
    "NumTilesAsDouble": "int", "NextTileIndex": "int", "OutputFeatures": "bool", "MetaDataMode": "str", "MinCellSize": CELL,
    "MaxCellSize": CELL, "Classes": [{"ClassValue": "int", "ClassName": "str", "Color": ["int"]}], "FeatureStats": FEATURES,
    "InputRastersProps": PROPS, "InputRastersProps2": PROPS, "BandStatsState": [STATE], "BandStatsState2": [STATE],
}  # fmt: skip
SECOND = ("InputRastersProps2", "AllTilesStats2", "BandStatsState2")  # only with a second raster
CLASSES = [{"value": 3, "name": "Bare soil", "color": [10, 20, 30]}, {"value": 7, "name": "Oak", "color": [40, 50, 60]}]


def structure(value):
    """The types in a piece of JSON, in the order of its keys."""
    if isinstance(value, dict):
        return {name: structure(entry) for name, entry in value.items()}
    if isinstance(value, list):
        kinds = [structure(entry) for entry in value]
        assert all(agrees(kind, kinds[0]) or agrees(kinds[0], kind) for kind in kinds), value
        return kinds[:1]
    return type(value).__name__


def agrees(found, wanted):
    """Whether a structure is the one wanted: the same keys in the same order, each of the type wanted."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and list(found) == list(wanted)
            and all(agrees(found[name], wanted[name]) for name in wanted)
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and (not found or agrees(found[0], wanted[0]))
    return found == wanted or (wanted == "number" and found in ("int", "float")) or (wanted == "float" and found == "int")


def without(wanted, left_out):
    return {name: entry for name, entry in wanted.items() if name not in left_out}


def export(tmp_path, form, **settings):
    """Exports; returns the folder of the metadata."""
    source = write_raster(tmp_path / "image.tif", image(16, 32))
    drive(export_chips(ExportSettings(source, str(tmp_path / "chips"), metadata_format=form, **(CHIPS | settings)), "test"))
    return tmp_path / "chips"


def read(folder):
    names_of = ("esri_model_definition.emd", "esri_accumulated_stats.json")
    return [structure(json.loads((folder / name).read_text(encoding="utf-8"))) for name in names_of]


def vectors(tmp_path):
    pairs = [(pixel_box(1, 1, 4, 5), 3), (pixel_box(12.25, 10, 20, 14), 7)]
    return {"labels": write_labels(tmp_path / "labels.gpkg", pairs), "classes": CLASSES}


@pytest.mark.parametrize("form", [form for form in names.METADATA_FORMATS if form not in (names.CYCLEGAN, names.PANOPTIC)])
def test_every_format_has_the_structure_of_real_exports_of_polygons(tmp_path, form):
    labels = {} if form in names.WITHOUT_LABELS else vectors(tmp_path)
    definition, accumulated = read(export(tmp_path, form, **labels))
    assert agrees(definition, without(DEFINITION, SECOND)), definition
    assert agrees(accumulated, without(ACCUMULATED, SECOND)), accumulated


def test_a_second_raster_adds_its_keys_where_real_exports_have_them(tmp_path):
    second = write_raster(tmp_path / "later.tif", image(16, 32) + 5)
    definition, accumulated = read(export(tmp_path, names.CLASSIFIED_TILES, raster2=second, **vectors(tmp_path)))
    assert agrees(definition, DEFINITION), definition
    assert agrees(accumulated, ACCUMULATED), accumulated


def test_a_class_raster_has_counts_of_pixels_in_place_of_features(tmp_path):
    label = np.zeros((16, 32), np.uint8)
    label[2:9, 3:20], label[10:, 10:] = 3, 7
    raster = write_raster(tmp_path / "classes.tif", label)
    _, accumulated = read(export(tmp_path, names.CLASSIFIED_TILES, label_raster=raster))
    wanted = {("ClassPixelStats" if name == "FeatureStats" else name): entry for name, entry in ACCUMULATED.items()}
    assert agrees(accumulated, without(wanted, SECOND) | {"ClassPixelStats": PIXELS}), accumulated


def test_panoptic_adds_the_classes_of_instances_after_the_classes(tmp_path):
    labels = vectors(tmp_path)
    things = write_labels(tmp_path / "things.gpkg", [(pixel_box(1, 1, 4, 5), 1)], layer="instances")
    more = {"instances": things, "instance_classes": [{"value": 1, "name": "Tree"}]}
    definition, _ = read(export(tmp_path, names.PANOPTIC, **labels, **more))
    wanted = {}
    for name, entry in without(DEFINITION, SECOND).items():
        wanted[name] = entry
        if name == "Classes":
            wanted["Panoptic_Segmentation_Instance_Classes"] = entry
    assert agrees(definition, wanted), definition


def test_each_kind_of_cyclegan_is_a_complete_export_and_so_is_the_folder(tmp_path):
    second = write_raster(tmp_path / "other.tif", image(16, 32, bands=3) + 5)
    folder = export(tmp_path, names.CYCLEGAN, raster2=second)
    for kind in ("A", "B"):
        definition, accumulated = read(folder / kind)
        assert agrees(definition, without(DEFINITION, SECOND)), definition
        assert agrees(accumulated, without(ACCUMULATED, SECOND)), accumulated
    definition, accumulated = read(folder)
    assert agrees(definition, DEFINITION), definition
    assert agrees(accumulated, ACCUMULATED), accumulated
    stats = json.loads((folder / "B" / "esri_accumulated_stats.json").read_text())
    assert (stats["NumBands"], stats["NumTiles"]) == (3, 2)
    whole = json.loads((folder / "esri_accumulated_stats.json").read_text())
    assert (whole["NumBands"], whole["NumTiles"]) == (2, 4)
    assert [len(state) for state in (whole["BandStatsState"], whole["BandStatsState2"])] == [2, 3]
