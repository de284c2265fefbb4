# SPDX-License-Identifier: GPL-2.0-or-later
"""An image that Processing loads is shown in natural or the usual false colours."""

import numpy as np
import processing
import pytest
from deep_learning_toolbox.algorithms.natural_colours import find_colour_bands
from qgis.core import QgsMultiBandColorRenderer, QgsProject
from qgis_helpers import Log, write_raster


@pytest.mark.parametrize(
    ("names", "bands"),
    [
        (("coastal", "blue", "green", "red", "nir"), (4, 3, 2)),
        (("Red", "Green", "Blue"), (1, 2, 3)),
        (("green", "red", "nir"), (3, 2, 1)),
        (("red", "nir", "swir1"), (3, 2, 1)),
        (("NDVI", "NDWI"), ()),
        ((), ()),
    ],
)
def test_bands_are_found_by_their_names(names, bands):
    assert find_colour_bands(names) == bands


def test_loaded_scene_is_shown_in_natural_colours(folder):
    values = np.random.default_rng(1).uniform(0, 0.4, (4, 16, 16)).astype(np.float32)
    image = write_raster(folder / "scene.tif", values, names=("blue", "green", "red", "nir"))
    QgsProject.instance().clear()
    parameters = {"INPUT": [str(image)], "OUTPUT": str(folder / "Bild.tif")}
    processing.runAndLoadResults("deeplearning:preparescene", parameters, feedback=Log())
    (layer,) = QgsProject.instance().mapLayers().values()
    renderer = layer.renderer()
    assert isinstance(renderer, QgsMultiBandColorRenderer)
    assert (renderer.redBand(), renderer.greenBand(), renderer.blueBand()) == (3, 2, 1)
    assert renderer.redContrastEnhancement().maximumValue() == pytest.approx(np.percentile(values[2], 98), abs=0.02)
    QgsProject.instance().clear()
