# SPDX-License-Identifier: GPL-2.0-or-later
"""Results that Processing loads into the project: classes by name and colour in ascending order, percent from 0 to 100."""

import processing
import pytest
from qgis.core import QgsPalettedRasterRenderer, QgsProject, QgsSingleBandPseudoColorRenderer
from qgis_helpers import FOREST, WATER, Log


@pytest.fixture
def loaded(scene, model, folder):
    """The layers that a classification put into the project, by output, and the log."""
    QgsProject.instance().clear()
    log = Log()
    paths = {
        "OUTPUT": str(folder / "Straße 1.tif"),
        "OUTPUT_CONFIDENCE": str(folder / "sure.tif"),
        "OUTPUT_UNCERTAINTY": str(folder / "unsure.tif"),
        "OUTPUT_PROBABILITIES": str(folder / "shares.tif"),
    }
    processing.runAndLoadResults(
        "deeplearning:classifypixels", {"INPUT": str(scene), "MODEL": model, "DEVICE": "cpu", **paths}, feedback=log
    )
    layers = {layer.source(): layer for layer in QgsProject.instance().mapLayers().values()}
    yield {name: layers[path] for name, path in paths.items()}, log
    QgsProject.instance().clear()


def test_loaded_layer_shows_the_classes_by_name_and_colour(loaded):
    layers, log = loaded
    renderer = layers["OUTPUT"].renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    assert [(entry.value, entry.label) for entry in renderer.classes()] == [(WATER, "Water"), (FOREST, "Forest")]
    colors = [entry.color.name() for entry in renderer.classes()]
    assert len(set(colors)) == 2
    assert [text for text in log.warnings if "names" in text] == []


def test_rasters_of_percent_are_coloured_from_0_to_100_whatever_they_hold(loaded):
    layers, _ = loaded
    for name in ("OUTPUT_CONFIDENCE", "OUTPUT_UNCERTAINTY", "OUTPUT_PROBABILITIES"):
        renderer = layers[name].renderer()
        assert isinstance(renderer, QgsSingleBandPseudoColorRenderer)
        assert (renderer.classificationMin(), renderer.classificationMax()) == (0, 100)
        items = renderer.shader().rasterShaderFunction().colorRampItemList()
        assert [(item.value, item.label) for item in items] == [(value, f"{value} %") for value in (0, 25, 50, 75, 100)]
        block = renderer.block(1, layers[name].extent(), 20, 20)  # it draws
        assert {block.color(row, column) >> 24 for row in range(20) for column in range(20)} == {255}
