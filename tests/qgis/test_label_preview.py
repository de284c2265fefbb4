# SPDX-License-Identifier: GPL-2.0-or-later
"""The button that shows what the labels so far teach, with the real worker."""

import numpy as np
import pytest
from label_desk import LabelDesk, box
from qgis.core import QgsPalettedRasterRenderer
from qgis.PyQt.QtCore import QEventLoop
from qgis_helpers import read_array


@pytest.fixture
def desk(plugin, scene, folder):
    desk = LabelDesk(scene)
    desk.new(folder / "labels.gpkg", "Water", "Forest")
    yield desk
    desk.close()


def preview(desk):
    """Presses the button and handles events until the run has ended; returns what was told when it failed."""
    told, loop = [], QEventLoop()
    desk.labelling.preview.failed.connect(told.append)
    for signal in (desk.labelling.preview.shown, desk.labelling.preview.failed):
        signal.connect(lambda *_text: loop.quit())
    desk.dock.preview.click()
    if not told:
        assert desk.dock.preview.text() == "Stop the preview"
        loop.exec()
    assert desk.dock.preview.text() == "Preview classes"
    return told


def layers(desk):
    return [(node.name(), node.itemVisibilityChecked()) for node in desk.project.layerTreeRoot().findLayers()]


def test_unsaved_labels_give_a_preview_of_the_view_that_the_next_one_replaces(desk):
    desk.labelling.choose(1)
    desk.draw(box(4, 4, 20))
    desk.labelling.choose(2)
    desk.draw(box(60, 4, 20))
    assert preview(desk) == []
    assert preview(desk) == []
    (classes,) = desk.project.mapLayersByName("Preview of classes")
    assert isinstance(classes.renderer(), QgsPalettedRasterRenderer)
    values = read_array(classes.source())
    half = values.shape[1] // 2
    assert (values[:, : half - 2] == 1).mean() > 0.9
    assert (values[:, half + 2 :] == 2).mean() > 0.9
    assert ("Preview of uncertainty", False) in layers(desk)
    assert np.unique(values).max() <= 2
    desk.dock.accept.accept.click()
    desk.draw(box(0, 60, 20))  # any tool, once that button is pressed
    assert desk.rows()[-1] == (1, "Water")
    assert len(desk.rows()) == 3
    desk.labelling.stop()
    assert [name for name, _shown in layers(desk) if name.startswith("Preview")] == []


def test_too_few_classes_are_told(desk):
    desk.draw(box(4, 4, 20))
    assert "only one class" in preview(desk)[0]
    assert desk.project.mapLayersByName("Preview of classes") == []


def test_nothing_to_preview_says_what_to_choose(desk):
    desk.dock.imagery.setLayer(None)
    desk.dock.preview.click()
    assert "Choose an image and a label layer first." in desk.told()
