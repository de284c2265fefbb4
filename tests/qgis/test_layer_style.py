# SPDX-License-Identifier: GPL-2.0-or-later
"""A class raster that Processing loads into the project shows its classes by name and colour, in ascending order."""

import processing
import pytest
from qgis.core import QgsPalettedRasterRenderer, QgsProject
from qgis_helpers import FOREST, WATER, Log


@pytest.fixture
def loaded(scene, model, folder):
    """The layer that a classification put into the project, and the log."""
    QgsProject.instance().clear()
    log = Log()
    parameters = {"INPUT": str(scene), "MODEL": model, "OUTPUT": str(folder / "Straße 1.tif"), "DEVICE": "cpu"}
    processing.runAndLoadResults("deeplearning:classifypixels", parameters, feedback=log)
    (layer,) = QgsProject.instance().mapLayers().values()
    yield layer, log
    QgsProject.instance().clear()


def test_loaded_layer_shows_the_classes_by_name_and_colour(loaded):
    layer, log = loaded
    renderer = layer.renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    assert [(entry.value, entry.label) for entry in renderer.classes()] == [(WATER, "Water"), (FOREST, "Forest")]
    colors = [entry.color.name() for entry in renderer.classes()]
    assert len(set(colors)) == 2
    assert [text for text in log.warnings if "names" in text] == []
