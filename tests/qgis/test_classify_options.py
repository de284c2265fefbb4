# SPDX-License-Identifier: GPL-2.0-or-later
"""Outputs and options of the classification of one raster, and of many."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import QgsCoordinateTransformContext, QgsRasterLayer, QgsVectorFileWriter, QgsVectorLayer
from qgis_helpers import FOREST, SIZE, WATER, Log, make_layer, make_scene, read_array, refusal, run, square


def classify(scene, model, folder, log=None, **more):
    return run("classifypixels", log, INPUT=scene, MODEL=model, OUTPUT=folder / "classes.tif", DEVICE="cpu", **more)


def test_uncertainty_probabilities_and_polygons_are_written_when_asked_for(scene, model, folder):
    result = classify(
        scene,
        model,
        folder,
        OUTPUT_UNCERTAINTY=folder / "unsure.tif",
        OUTPUT_PROBABILITIES=folder / "shares.tif",
        OUTPUT_POLYGONS=folder / "regions.gpkg",
        MIN_REGION=20,
    )
    assert read_array(result["OUTPUT_UNCERTAINTY"]).max() <= 100
    shares = QgsRasterLayer(result["OUTPUT_PROBABILITIES"])
    assert (shares.bandCount(), shares.bandName(2)) == (2, "Band 2: Forest")
    regions = QgsVectorLayer(result["OUTPUT_POLYGONS"])
    assert regions.isValid()
    assert {feature["Classname"] for feature in regions.getFeatures()} == {"Water", "Forest"}
    assert sum(feature["Pixels"] for feature in regions.getFeatures()) == SIZE * SIZE
    assert min(feature["Pixels"] for feature in regions.getFeatures()) >= 20
    assert all(feature.geometry().isGeosValid() for feature in regions.getFeatures())
    assert regions.renderer().type() == "categorizedSymbol"


def test_only_what_lies_in_the_mask_polygons_is_classified(scene, model, folder):
    classify(scene, model, folder, MASK=make_layer([(square(16, 16, 32),)], []))
    classes = read_array(folder / "classes.tif")
    assert (classes != 255).sum() == 32 * 32


def test_a_mask_elsewhere_is_refused(scene, model, folder):
    elsewhere = make_layer([(square(5000, 5000, 8),)], [])
    text = refusal("classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "c.tif", MASK=elsewhere)
    assert "MASK cannot be used. No label meets the raster" in text


def test_cell_size_gives_a_coarser_map(scene, model, folder):
    fine = QgsRasterLayer(str(scene)).rasterUnitsPerPixelX()
    classify(scene, model, folder, CELL_SIZE=2 * fine)
    assert read_array(folder / "classes.tif").shape == (SIZE // 2, SIZE // 2)


def test_bands_can_be_named_by_hand_and_mistakes_are_told_before_the_run(scene, model, folder):
    assert "BAND_MAP takes pairs such as red=3 nir=5, and got “red”" in refusal(
        "classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "c.tif", BAND_MAP="red"
    )
    assert "BAND_MAP names “Band 1” twice" in refusal(
        "classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "c.tif", BAND_MAP="band 1=1; Band 1=2; band 2=2"
    )
    assert "BAND_MAP names purple, but the bands of the model" in refusal(
        "classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "c.tif", BAND_MAP="purple=1"
    )


@pytest.fixture
def rasters(folder):
    """A folder with two scenes side by side, and a file that is no raster."""
    place = folder / "scenes ü"
    place.mkdir()
    first = Path(make_scene(place / "a.tif"))
    second = place / "b.tif"
    shutil.copyfile(first, second)
    dataset = gdal.Open(str(second), gdal.GA_Update)
    left, width, turn, top, tilt, height = dataset.GetGeoTransform()
    dataset.SetGeoTransform((left + SIZE * width, width, turn, top, tilt, height))
    del dataset
    (place / "notes.txt").write_text("no raster", encoding="utf-8")
    return place


def test_a_folder_of_rasters_gives_a_class_raster_for_each_and_a_mosaic(rasters, model, folder):
    result = run("classifyfolder", INPUT=rasters, MODEL=model, OUTPUT=folder / "maps", DEVICE="cpu")
    assert result["CLASSIFIED"] == 2
    first = read_array(folder / "maps" / "a_classes.tif")
    mosaic = QgsRasterLayer(result["OUTPUT_VRT"])
    assert mosaic.isValid()
    assert (mosaic.width(), mosaic.height()) == (2 * SIZE, SIZE)
    joined = read_array(result["OUTPUT_VRT"])
    assert np.array_equal(joined[:, :SIZE], first)
    assert np.array_equal(joined[:, SIZE:], read_array(folder / "maps" / "b_classes.tif"))
    assert {WATER, FOREST} >= set(np.unique(joined))
    assert mosaic.renderer().type() == "paletted"


def test_a_raster_that_fails_is_named_and_does_not_stop_the_others(rasters, model, folder):
    log = Log()
    values = [str(rasters / "a.tif"), str(rasters / "b.tif")]
    make_scene(rasters / "one band.tif", bands=1)
    result = run("classifyfolder", log, INPUT=[*values, str(rasters / "one band.tif")], MODEL=model, OUTPUT=folder / "m", DEVICE="cpu")
    assert result["CLASSIFIED"] == 2
    assert any("1 of 3 rasters were left out: one band.tif." in line for line in log.warnings)


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_damaged_file_is_told_and_does_not_stop_the_others(rasters, model, folder, as_folder):
    (rasters / "damaged.tif").write_bytes((rasters / "a.tif").read_bytes()[:100])
    log = Log()
    value = rasters if as_folder else [str(rasters / name) for name in ("a.tif", "damaged.tif", "b.tif")]
    result = run("classifyfolder", log, INPUT=value, MODEL=model, OUTPUT=folder / "maps", DEVICE="cpu")
    assert result["CLASSIFIED"] == 2
    assert any("A raster is left out." in line and "damaged.tif is not a raster" in line for line in log.warnings)
    assert not any("notes.txt" in line for line in log.warnings)
    mosaic = gdal.Open(result["OUTPUT_VRT"])
    table = mosaic.GetRasterBand(1).GetDefaultRAT()
    assert [table.GetValueAsString(row, 1) for row in range(table.GetRowCount())] == ["Water", "Forest"]


def test_a_mask_beside_all_rasters_is_an_error(rasters, model, folder):
    elsewhere = make_layer([(square(5000, 5000, 8),)], [])
    text = refusal("classifyfolder", INPUT=rasters, MODEL=model, OUTPUT=folder / "m", MASK=elsewhere)
    assert "No polygon of MASK meets any of the rasters" in text


def test_the_request_beside_a_result_can_be_run_again_with_its_mask(scene, model, folder):
    classify(scene, model, folder, MASK=make_layer([(square(16, 16, 32),)], []))
    request = json.loads((folder / "classes.request.json").read_text(encoding="utf-8"))
    assert (folder / request["settings"]["mask"]).is_file()


def test_polygons_do_not_replace_the_mask_that_is_read(scene, model, folder):
    place = folder / "mask.gpkg"
    layer = make_layer([(square(16, 16, 32),)], [])
    options = QgsVectorFileWriter.SaveVectorOptions()
    assert not QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(place), QgsCoordinateTransformContext(), options)[0]
    before = place.read_bytes()
    text = refusal("classifypixels", INPUT=scene, MODEL=model, OUTPUT=folder / "c.tif", MASK=str(place), OUTPUT_POLYGONS=place)
    assert "is a file that is read, too" in text
    assert place.read_bytes() == before


def test_when_every_raster_fails_it_is_an_error(model, folder):
    make_scene(folder / "one band.tif", bands=1)
    text = refusal("classifyfolder", INPUT=[str(folder / "one band.tif")], MODEL=model, OUTPUT=folder / "m")
    assert "None of the 1 rasters could be classified" in text


def test_the_folder_of_the_rasters_is_refused_as_output(rasters, model):
    assert "OUTPUT is a folder of the rasters themselves" in refusal("classifyfolder", INPUT=rasters, MODEL=model, OUTPUT=rasters)
