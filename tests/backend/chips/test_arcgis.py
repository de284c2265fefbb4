# SPDX-License-Identifier: GPL-2.0-or-later
"""ArcGIS's metadata: what we write has the keys of real exports, and exports of ArcGIS are read."""

import json

import numpy as np
import pytest
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import write_raster
from .test_export import run

# Key orders of a real export of ArcGIS Pro (four bands, polygons), without the keys of a second raster.
EMD_KEYS = [
    "Framework", "ModelConfiguration", "ModelType", "ModelFile", "Description", "ImageHeight", "ImageWidth", "ExtractBands",
    "DataRange", "ModelPadding", "BatchSize", "PerProcessGPUMemoryFraction", "MetaDataMode", "BlackenAroundFeature",
    "IsMultidimensional", "CropTileMode", "ImageSpaceUsed", "MinCellSize", "MaxCellSize", "Classes", "InputRastersProps",
    "AllTilesStats",
]
STATS_KEYS = [
    "Version", "NumBands", "TileSizeX", "TileSizeY", "NumClasses", "NumTiles", "NumTilesAsDouble", "NextTileIndex",
    "OutputFeatures", "MetaDataMode", "MinCellSize", "MaxCellSize", "Classes", "FeatureStats", "InputRastersProps",
    "BandStatsState",
]
FEATURE_KEYS = [
    "NumClasses", "NumImagesTotal", "NumFeaturesTotal", "NumImagesPerClass", "NumFeaturesPerClass", "NumFeaturesPerImage",
    "FeatureAreaPerClass",
]


def test_definition_and_statistics_have_the_keys_of_a_real_export_in_order(tmp_path):
    run(tmp_path)
    definition = json.loads((tmp_path / "chips" / "esri_model_definition.emd").read_text())
    stats = json.loads((tmp_path / "chips" / "esri_accumulated_stats.json").read_text())
    assert list(definition)[:-1] == EMD_KEYS
    assert list(definition)[-1].startswith("WellKnownBandNames")
    assert list(stats) == STATS_KEYS
    assert list(stats["FeatureStats"]) == FEATURE_KEYS
    assert list(stats["BandStatsState"][0]) == ["Min", "Max", "Mean", "StdDev", "M1", "M2", "Num"]


def test_classes_are_ascending_and_coloured(tmp_path):
    run(tmp_path, class_values=(2, 1))
    definition = json.loads((tmp_path / "chips" / "esri_model_definition.emd").read_text())
    assert [entry["Value"] for entry in definition["Classes"]] == [1, 2]
    assert all(len(entry["Color"]) == 3 and min(entry["Color"]) >= 0 for entry in definition["Classes"])
    assert definition["MinCellSize"] == {"x": 10.0, "y": 10.0, "spatialReference": {"wkid": 32632, "latestWkid": 32632}}


def test_statistics_are_those_of_the_chips(tmp_path):
    folder, _ = run(tmp_path)
    stats = json.loads((tmp_path / "chips" / "esri_accumulated_stats.json").read_text())
    pixels = np.concatenate([folder.load(chip).image.reshape(2, -1) for chip in folder.chips], axis=1)
    state = stats["BandStatsState"][1]
    assert state["Num"] == pixels.shape[1]
    assert state["M1"] == pytest.approx(pixels[1].mean())
    assert (state["M2"] / state["Num"]) ** 0.5 == pytest.approx(pixels[1].std(), rel=1e-6)
    assert stats["FeatureStats"]["NumFeaturesPerClass"] == [1, 1]
    assert stats["FeatureStats"]["FeatureAreaPerClass"][0]["Sum"] == 36 * 100


def test_map_lists_image_and_label_with_two_blanks_between(tmp_path):
    run(tmp_path)
    first = (tmp_path / "chips" / "map.txt").read_bytes().splitlines(keepends=True)[0]
    assert first == b"images\\000000000000.tif  labels\\000000000000.tif \n"
    assert (tmp_path / "chips" / "stats.txt").read_text().startswith(
        "images = 2 *2*16*16\n\nClass feature statistics:\nfeatures = 2\n"
        "features per image = [min = 1, mean = 1.00, max = 1]\nclasses = 2\n"
    )


def test_statistics_of_a_class_raster_count_pixels_also_where_a_class_is_not(tmp_path):
    """As in a real export of two classes, whose rarer one has minimum 0 and the count of all chips."""
    label = np.ones((40, 48), np.uint8)
    label[:16, :5] = 2
    run(tmp_path, labels=None, label_raster=write_raster(tmp_path / "classes.tif", label), classes=[])
    stats = json.loads((tmp_path / "chips" / "esri_accumulated_stats.json").read_text())
    pixels = stats["ClassPixelStats"]
    assert list(pixels) == [
        "NumClasses", "NumImagesTotal", "NumImagesPerClass", "NumPixelsPerClass", "NumClassesPerImage", "PixelsPerClass",
    ]  # fmt: skip
    assert (stats["OutputFeatures"], pixels["NumImagesPerClass"], pixels["NumPixelsPerClass"]) == (False, [9, 1], [1840, 80])
    assert pixels["PixelsPerClass"][1] == {"Min": 0, "Max": 80, "Mean": 80 / 9, "Sum": 80, "Count": 9}
    assert all(isinstance(pixels["PixelsPerClass"][0][name], int) for name in ("Min", "Max", "Sum", "Count"))
    lines = (tmp_path / "chips" / "stats.txt").read_text().splitlines()
    assert lines[:3] == ["images = 9 *2*16*16", "classes = 2", "classes per image = [min = 1, mean = 1.11, max = 2]"]
    assert lines[3] == "cls name              cls value     images   pixels      min size   mean size    max size"
    assert lines[5] == "2                             2          1         80        0.00        8.89       80.00"


def arcgis_export(path, digits=9, mode="Classified_Tiles", class_value=10):
    for name in ("images", "labels"):
        (path / name).mkdir(parents=True)
    lines = []
    for number in range(2):
        stem = f"{number + 7:0{digits}d}"
        write_raster(path / "images" / f"{stem}.tif", np.full((3, 16, 16), 50 * number + 10, np.uint8))
        write_raster(path / "labels" / f"{stem}.tif", np.full((16, 16), 10 * number, np.int32))
        lines.append(f"images\\{stem}.tif  labels\\{stem}.tif \r\n")
    (path / "map.txt").write_bytes("".join(lines).encode())
    definition = {"MetaDataMode": mode, "Classes": [{"Value": class_value, "Name": "Roof", "Color": [-1, -1, -1]}]}
    (path / "esri_model_definition.emd").write_text(json.dumps(definition))
    (path / "esri_accumulated_stats.json").write_text(json.dumps({"MetaDataMode": mode}))
    return path


@pytest.mark.parametrize("digits", [9, 12])
def test_export_of_arcgis_is_read(tmp_path, digits):
    folder = ChipFolder.open(arcgis_export(tmp_path / "esri", digits))
    assert [(entry.value, entry.name) for entry in folder.classes.classes] == [(10, "Roof")]
    assert [band.mean for band in folder.bands] == [35.0] * 3
    arrays = folder.load(folder.chips[1])
    assert (arrays.label == 10).all()
    assert arrays.blocks is None


def test_map_that_leads_out_of_the_folder_is_refused(tmp_path):
    path = arcgis_export(tmp_path / "esri")
    (path / "map.txt").write_text("..\\..\\etc\\passwd  labels\\000000007.tif\n")
    with pytest.raises(ToolboxError, match="which is not in the folder"):
        ChipFolder.open(path)


@pytest.mark.parametrize(("value", "dtype"), [(-1, np.int32), (65_546, np.int32), (10.5, np.float32)])
def test_label_of_arcgis_that_is_no_class_value_is_refused_instead_of_wrapped_around(tmp_path, value, dtype):
    path = arcgis_export(tmp_path / "esri")
    folder = ChipFolder.open(path)
    write_raster(path / folder.chips[0].label, np.full((16, 16), value, dtype))
    with pytest.raises(ToolboxError, match=rf"000000007\.tif: The class value {value} is not allowed"):
        folder.load(folder.chips[0])


@pytest.mark.parametrize(("class_value", "expected"), [(10, [0, 10]), (255, [10, 255])])
def test_declared_nodata_of_a_label_is_unlabelled_unless_it_is_a_class(tmp_path, class_value, expected):
    path = arcgis_export(tmp_path / "esri", class_value=class_value)
    folder = ChipFolder.open(path)
    label = np.full((16, 16), 255, np.uint8)
    label[3] = 10
    write_raster(path / folder.chips[0].label, label, nodata=255)
    assert np.unique(folder.load(folder.chips[0]).label).tolist() == expected


def test_image_paired_with_the_label_of_another_is_refused(tmp_path):
    path = arcgis_export(tmp_path / "esri")
    (path / "map.txt").write_text("images\\000000007.tif  labels\\000000008.tif \n")
    with pytest.raises(ToolboxError, match=r"pairs the image images/000000007\.tif with the label labels/000000008\.tif"):
        ChipFolder.open(path)


@pytest.mark.parametrize("shape", [(4, 16, 16), (3, 8, 16)])
def test_chip_unlike_the_first_is_refused(tmp_path, shape):
    path = arcgis_export(tmp_path / "esri")
    write_raster(path / "images" / "000000008.tif", np.ones(shape, np.uint8))
    with pytest.raises(ToolboxError, match=f"has {shape[0]} bands of 16 × {shape[1]} pixels, the first chip 3 of 16 × 16"):
        ChipFolder.open(path)


def test_map_in_another_encoding_is_refused(tmp_path):
    path = arcgis_export(tmp_path / "esri")
    (path / "map.txt").write_bytes("images\\ü.tif  labels\\ü.tif".encode("latin-1"))
    with pytest.raises(ToolboxError, match=r"map\.txt of .* cannot be read"):
        ChipFolder.open(path)
