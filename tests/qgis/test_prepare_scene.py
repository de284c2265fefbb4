# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare satellite scene by its public id: how its parameters reach the worker. The products themselves are tested in the backend."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from deep_learning_toolbox.algorithms.image_bands import read_image_bands
from osgeo import gdal
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRasterLayer
from qgis_helpers import CRS, LEFT, PIXEL, TOP, Log, read_array, refusal, run, tree, write_raster

PRODUCT = "LC08_L2SP_047027_20201204_20210313_02_T1"
SIZE = 24
NAMES = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")


def write_metadata(path):
    """A text MTL with the groups that matter."""
    files = [f'    FILE_NAME_BAND_{number} = "{PRODUCT}_SR_B{number}.TIF"' for number in range(1, 8)]
    scaling = [f"    REFLECTANCE_MULT_BAND_{number} = 2.75e-05\n    REFLECTANCE_ADD_BAND_{number} = -0.2" for number in range(1, 8)]
    groups = {
        "PRODUCT_CONTENTS": [
            f'    LANDSAT_PRODUCT_ID = "{PRODUCT}"', '    PROCESSING_LEVEL = "L2SP"', "    COLLECTION_NUMBER = 02", *files,
            f'    FILE_NAME_QUALITY_L1_PIXEL = "{PRODUCT}_QA_PIXEL.TIF"',
        ],
        "IMAGE_ATTRIBUTES": ['    SPACECRAFT_ID = "LANDSAT_8"', '    SENSOR_ID = "OLI_TIRS"', "    DATE_ACQUIRED = 2020-12-04"],
        "PROJECTION_ATTRIBUTES": ["    GRID_CELL_SIZE_REFLECTIVE = 30.00"],
        "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": scaling,
    }  # fmt: skip
    lines = [f"  GROUP = {group}\n" + "\n".join(entries) + f"\n  END_GROUP = {group}" for group, entries in groups.items()]
    text = "GROUP = LANDSAT_METADATA_FILE\n" + "\n".join(lines) + "\nEND_GROUP = LANDSAT_METADATA_FILE\nEND\n"
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def product(folder):
    """A Landsat 8 product; band n holds 10,000 + 1000 n, the upper left pixel is cloud."""
    path = folder / PRODUCT
    path.mkdir()
    for number in range(1, 8):
        values = np.full((1, SIZE, SIZE), 10_000 + 1000 * number, np.uint16)
        write_raster(path / f"{PRODUCT}_SR_B{number}.TIF", values, nodata=0, transform=(LEFT, 30, 0, TOP, 0, -30))
    quality = np.full((1, SIZE, SIZE), 21_824, np.uint16)
    quality[0, 0, 0] = 22_280
    write_raster(path / f"{PRODUCT}_QA_PIXEL.TIF", quality, nodata=1, transform=(LEFT, 30, 0, TOP, 0, -30))
    write_metadata(path / f"{PRODUCT}_MTL.txt")
    return path


def reflectance(number):
    return (10_000 + 1000 * number) * 0.0000275 - 0.2


def test_folder_becomes_a_stack_with_names_and_reflectance(product, folder):
    log = Log()
    outputs = run("preparescene", log, INPUT=product, OUTPUT=folder / "stack.tif")
    assert outputs == {"OUTPUT": str(folder / "stack.tif")}
    values = read_array(folder / "stack.tif")
    assert values[:, 5, 5] == pytest.approx([reflectance(number) for number in range(1, 8)], abs=1e-6)
    bands = read_image_bands(str(folder / "stack.tif"))
    assert bands.names == NAMES
    assert bands.sensor == "landsat8"
    assert bands.wavelengths_um[4] == pytest.approx(0.865)
    assert any("Landsat 8" in info for info in log.infos)
    assert log.warnings == []


@pytest.mark.parametrize("form", ["list", "metadata", "tar", "semicolons"])
def test_other_forms_of_input_are_taken(product, folder, form):
    with tarfile.open(folder / f"{PRODUCT}.tar", "w") as archive:
        for file in sorted(product.iterdir()):
            archive.add(file, file.name)
    bands = [str(product / f"{PRODUCT}_SR_B{number}.TIF") for number in (5, 4)]
    inputs = {
        "list": bands,
        "metadata": [str(product / f"{PRODUCT}_MTL.txt")],
        "tar": str(folder / f"{PRODUCT}.tar"),
        "semicolons": bands[:1],
    }
    run("preparescene", INPUT=inputs[form], OUTPUT=folder / "stack.tif")
    names = read_image_bands(str(folder / "stack.tif")).names
    assert names == {"list": ("nir", "red"), "semicolons": ("nir",)}.get(form, NAMES)


def test_every_option_reaches_the_worker(product, folder):
    extent = f"{LEFT},{LEFT + 12 * 30},{TOP - 12 * 30},{TOP} [{CRS}]"
    options = {"BANDS": "B5;red", "MASK_CLOUDS": True, "MASK_CLASSES": "cloud", "EXTENT": extent, "RESOLUTION": 60}
    run("preparescene", INPUT=product, OUTPUT=folder / "stack.tif", RESAMPLING="nearest", OUTPUT_TYPE="int16", **options)
    dataset = gdal.Open(str(folder / "stack.tif"))
    values = dataset.ReadAsArray()
    assert values.shape == (2, 6, 6)
    assert values.dtype == np.int16
    assert dataset.GetRasterBand(1).GetScale() == 0.0001
    assert values[:, 3, 3].tolist() == [round(10_000 * reflectance(5)), round(10_000 * reflectance(4))]
    run("preparescene", INPUT=product, OUTPUT=folder / "numbers.tif", SCALE="none", BANDS="nir")
    assert (read_array(folder / "numbers.tif") == 15_000).all()


def test_clouds_become_nodata(product, folder):
    log = Log()
    run("preparescene", log, INPUT=product, MASK_CLOUDS=True, OUTPUT=folder / "stack.tif")
    values = read_array(folder / "stack.tif")
    assert np.argwhere(np.isnan(values[0])).tolist() == [[0, 0]]
    assert any(info.startswith("Masked: cloud 0.2 %") for info in log.infos)


def test_extent_in_degrees_is_transformed(product, folder):
    layer = QgsRasterLayer(str(product / f"{PRODUCT}_SR_B4.TIF"), "b4")
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform

    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    box = QgsCoordinateTransform(layer.crs(), degrees, QgsProject.instance()).transformBoundingBox(layer.extent().scaled(0.5))
    text = f"{box.xMinimum()},{box.xMaximum()},{box.yMinimum()},{box.yMaximum()} [EPSG:4326]"
    run("preparescene", INPUT=product, EXTENT=text, OUTPUT=folder / "stack.tif")
    rows, columns = read_array(folder / "stack.tif").shape[1:]
    assert 12 <= rows <= 14
    assert 12 <= columns <= 14


def test_layers_of_the_project_are_stacked_on_the_grid_of_the_first(folder):
    first = write_raster(folder / "first.tif", np.ones((1, 8, 8), np.float32), names=("red",))
    height = write_raster(folder / "height.tif", np.full((1, 4, 4), 300, np.int16), transform=(LEFT, 2 * PIXEL, 0, TOP, 0, -2 * PIXEL))
    layers = [QgsRasterLayer(str(path), path.stem) for path in (first, height)]
    QgsProject.instance().addMapLayers(layers)
    try:
        run("preparescene", INPUT=[layer.id() for layer in layers], OUTPUT=folder / "stack.tif")
    finally:
        QgsProject.instance().removeMapLayers([layer.id() for layer in layers])
    assert read_array(folder / "stack.tif").shape == (2, 8, 8)
    assert read_image_bands(str(folder / "stack.tif")).names == ("red", "height")


def test_prepared_scene_gives_indices_without_naming_the_sensor(product, folder):
    run("preparescene", INPUT=product, OUTPUT=folder / "stack.tif")
    log = Log()
    run("spectralindices", log, INPUT=folder / "stack.tif", INDICES="NDVI;NDBI;AWEInsh", OUTPUT=folder / "indices.tif")
    red, nir, swir1 = reflectance(4), reflectance(5), reflectance(6)
    values = read_array(folder / "indices.tif")
    assert values[:2, 3, 3] == pytest.approx([(nir - red) / (nir + red), (swir1 - nir) / (swir1 + nir)], abs=1e-6)
    assert log.warnings == []


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ("gone.tar", {}, "There is no file or folder"),
        (None, {"SCALE": "toa"}, "needs a Level-1 product"),
        (None, {"BANDS": "B11"}, "has no band “B11”"),
        (None, {"MASK_CLASSES": "fog"}, "MASK_CLASSES holds “fog”"),
        (None, {"EXTENT": "0,1,0,1 [EPSG:32617]"}, "EXTENT lies outside"),
    ],
)
def test_wrong_input_is_refused_and_leaves_nothing(product, folder, inputs, options, message):
    given = folder / inputs if inputs else product
    assert message in refusal("preparescene", INPUT=given, OUTPUT=folder / "new" / "out.tif", **options)
    assert not (folder / "new").exists()


def test_request_stays_beside_the_result_and_runs_again(product, folder, worker_python):
    import subprocess

    import deep_learning_toolbox

    run("preparescene", INPUT=product, OUTPUT=folder / "stack.tif")
    before = read_array(folder / "stack.tif")
    (folder / "stack.tif").unlink()
    launch = Path(deep_learning_toolbox.__file__).parent / "backend" / "runtime" / "launch.py"
    subprocess.run([str(worker_python), "-I", str(launch), str(folder / "stack.request.json")], check=True, capture_output=True)
    assert np.array_equal(read_array(folder / "stack.tif"), before)
    assert sorted(tree(folder))[-2:] == ["stack.request.json", "stack.tif"]


@pytest.mark.parametrize("value", ["", " ", [""], []])
def test_empty_input_is_refused_before_the_run(folder, value):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:preparescene")
    parameters = {"INPUT": value, "OUTPUT": str(folder / "stack.tif")}
    is_valid, message = algorithm.checkParameterValues(parameters, QgsProcessingContext())
    assert not is_valid
    assert "INPUT" in message or "Scene or rasters" in message


@pytest.mark.parametrize(("bands", "told"), [("red;nir;red", "BANDS names “red” twice"), (";", "names no band")])
def test_unusable_list_of_bands_is_refused_before_the_run(product, folder, bands, told):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:preparescene")
    parameters = {"INPUT": str(product), "BANDS": bands, "OUTPUT": str(folder / "stack.tif")}
    is_valid, message = algorithm.checkParameterValues(parameters, QgsProcessingContext())
    assert not is_valid
    assert told in message


@pytest.mark.parametrize(("classes", "told"), [("cloud;fog", "“fog”"), (";", "MASK_CLASSES is empty")])
def test_unusable_mask_classes_are_refused_before_the_run(product, folder, classes, told):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:preparescene")
    parameters = {"INPUT": str(product), "MASK_CLOUDS": True, "MASK_CLASSES": classes, "OUTPUT": str(folder / "stack.tif")}
    is_valid, message = algorithm.checkParameterValues(parameters, QgsProcessingContext())
    assert not is_valid
    assert told in message
