# SPDX-License-Identifier: GPL-2.0-or-later
"""Compute spectral indices by its public id, and that its result flows on to export and classification."""

import json
import subprocess

import numpy as np
import pytest
from deep_learning_toolbox.algorithms.image_bands import read_image_bands
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRasterLayer
from qgis_helpers import QUICK_TRAINING, SMALL_CHIPS, Log, make_labels, read_array, refusal, run, scene_array, tree, write_raster

NAMES = ("blue", "green", "red", "nir")
SENSOR_IDS = "from deep_learning_toolbox.backend.imagery.sensors import load_sensors; print(';'.join(load_sensors().sensors))"
DESCRIBE = """
import json, sys
from deep_learning_toolbox.backend.imagery.raster import describe
info = describe(sys.argv[1])
print(json.dumps([info.band_names, info.wavelengths]))
"""


@pytest.fixture
def image(folder):
    """Reflectance of water on the left and of forest on the right."""
    values = np.array([0.05, 0.08, 0.1, 0.3], np.float32)[:, None, None] + scene_array(4, dtype="float32") / 1000
    return write_raster(folder / "Bild.tif", values.astype(np.float32), names=NAMES)


def test_indices_by_name_and_own_formula(image, folder):
    log = Log()
    outputs = run("spectralindices", log, INPUT=image, INDICES="NDVI;mine=(N-R)*2", OUTPUT=folder / "indices.tif")
    assert outputs == {"OUTPUT": str(folder / "indices.tif")}
    _, _, red, nir = read_array(image)
    ndvi, mine = read_array(folder / "indices.tif")
    np.testing.assert_allclose(ndvi, (nir - red) / (nir + red), atol=1e-6)
    np.testing.assert_allclose(mine, (nir - red) * 2, atol=1e-6)
    assert read_image_bands(str(folder / "indices.tif")).names == ("NDVI", "mine")
    assert log.warnings == []
    assert "indices.request.json" in tree(folder)


def test_layer_of_the_project_is_taken(image, folder):
    layer = QgsRasterLayer(str(image), "Bild", "gdal")
    QgsProject.instance().addMapLayer(layer)
    try:
        run("spectralindices", INPUT=layer.id(), INDICES="NDWI", OUTPUT=folder / "out.tif")
    finally:
        QgsProject.instance().removeMapLayer(layer.id())
    assert read_array(folder / "out.tif").shape == (96, 96)


def test_every_option_reaches_the_worker(folder):
    values = np.stack([np.full((8, 8), value, np.float32) for value in (-0.1, 0.4)])
    raster = write_raster(folder / "two.tif", values)
    log = Log()
    options = {"SENSOR": "custom", "BAND_MAP": "R=1 N=2", "PARAMETERS": "L=0.5", "APPEND": True, "OUT_OF_RANGE": "clip"}
    run("spectralindices", log, INPUT=raster, INDICES="SAVI", OUTPUT=folder / "out.tif", **options)
    bands = read_array(folder / "out.tif")
    assert bands.shape == (3, 8, 8)
    assert bands[2, 0, 0] == pytest.approx(1.5 * 0.4 / 0.9)
    assert any("below 0 or above 1. They were clipped" in warning for warning in log.warnings)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"INDICES": "NDVY"}, "or NDVI or"),
        ({"INDICES": "NDBI"}, "NDBI needs S1 (swir1)"),
        ({"INDICES": "x=__import__('os')"}, "function call"),
        ({"INDICES": "NDVI", "PARAMETERS": "L"}, "PARAMETERS"),
        ({"INDICES": "NDVI", "SENSOR": "custom"}, "BAND_MAP must say"),
        ({"INDICES": "NDVI", "BAND_MAP": "N=9"}, "the image has the bands 1 to 4"),
        ({"INDICES": " "}, "INDICES"),
    ],
)
def test_wrong_input_is_refused_before_a_job_starts(image, folder, parameters, message):
    assert message in refusal("spectralindices", INPUT=image, OUTPUT=folder / "new" / "out.tif", **parameters)
    assert not (folder / "new").exists()


def test_check_refuses_a_typo_without_running(image):
    algorithm = QgsApplication.processingRegistry().algorithmById("deeplearning:spectralindices")
    parameters = {"INPUT": str(image), "INDICES": "NDVY", "OUTPUT": "TEMPORARY_OUTPUT"}
    is_valid, message = algorithm.checkParameterValues(parameters, QgsProcessingContext())
    assert not is_valid
    assert "NDVI" in message


@pytest.mark.parametrize("empty", ["", " ", None])
@pytest.mark.parametrize("name", ["INPUT", "INDICES"])
def test_empty_image_or_list_is_told_by_name_with_what_to_do(image, name, empty):
    algorithm = QgsApplication.processingRegistry().algorithmById("deeplearning:spectralindices")
    parameters = {"INPUT": str(image), "INDICES": "NDVI", "OUTPUT": "TEMPORARY_OUTPUT", name: empty}
    is_valid, message = algorithm.checkParameterValues(parameters, QgsProcessingContext())
    assert not is_valid
    assert message.startswith(f"{name} is empty; ")


def test_sensors_are_those_of_the_table(provider, worker_python):
    listed = subprocess.run([str(worker_python), "-c", SENSOR_IDS], capture_output=True, text=True, check=True).stdout.strip()
    options = QgsApplication.processingRegistry().algorithmById("deeplearning:spectralindices").parameterDefinition("SENSOR").options()
    assert options == ["auto", *listed.split(";"), "custom"]


def test_qgis_and_the_worker_read_the_same_bands(image, worker_python):
    dataset = gdal.Open(str(image), gdal.GA_Update)
    dataset.GetRasterBand(3).SetMetadataItem("wavelength", "664.6")
    dataset.GetRasterBand(4).SetMetadataItem("wavelength", "0.8328")
    dataset.GetRasterBand(1).SetDescription("")
    del dataset
    done = subprocess.run([str(worker_python), "-c", DESCRIBE, str(image)], capture_output=True, text=True, check=True)
    names, wavelengths = json.loads(done.stdout)
    assert read_image_bands(str(image)).names == tuple(names)
    assert read_image_bands(str(image)).wavelengths_um == tuple(wavelengths)
    assert wavelengths[2:] == pytest.approx([0.6646, 0.8328])


def test_raster_that_gdal_cannot_read_has_no_bands(folder):
    (folder / "no.tif").write_text("no raster", encoding="utf-8")
    assert read_image_bands(str(folder / "no.tif")).names == ()


@pytest.mark.slow
def test_names_of_indices_flow_on_to_chips_model_and_classification(image, folder):
    """An image with appended indices is exported, trained on and classified; the model then refuses an image without them."""
    run("spectralindices", INPUT=image, INDICES="NDVI;NDWI", APPEND=True, OUTPUT=folder / "stack.tif")
    run("exporttrainingdata", INPUT=folder / "stack.tif", LABELS=make_labels(), OUTPUT=folder / "chips", **SMALL_CHIPS)
    index = json.loads(next((folder / "chips").glob("*index*.json")).read_text(encoding="utf-8"))
    assert [band["name"] for band in index["bands"]] == [*NAMES, "NDVI", "NDWI"]
    trained = run("trainmodel", INPUT=folder / "chips", OUTPUT=folder / "model", **QUICK_TRAINING)
    run("classifypixels", INPUT=folder / "stack.tif", MODEL=trained["MODEL"], OUTPUT=folder / "map.tif", DEVICE="cpu")
    assert set(np.unique(read_array(folder / "map.tif"))) <= {1, 4, 255}
    message = refusal("classifypixels", INPUT=image, MODEL=trained["MODEL"], OUTPUT=folder / "other.tif", DEVICE="cpu")
    assert "NDVI" in message
