# SPDX-License-Identifier: GPL-2.0-or-later
"""The dialog of Classify pixels: Processing's own, with a line that tells what a run would take."""

import pytest
from deep_learning_toolbox.ui import tool_task
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRasterLayer
from qgis.PyQt import sip
from qgis_helpers import SIZE, Log, run, wait_until


@pytest.fixture
def dialog(plugin, qgis_iface, monkeypatch, scene, model, folder):
    """The dialog as the Toolbox opens it, filled in."""
    from qgis.gui import QgsBrowserGuiModel

    browser = QgsBrowserGuiModel()
    monkeypatch.setattr(qgis_iface, "browserModel", lambda: browser, raising=False)
    tool = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:classifypixels")
    dialog = tool.createCustomParametersWidget(None)
    dialog.setParameters(
        {"INPUT": str(scene), "MODEL": str(model), "OUTPUT": str(folder / "classes.tif"), "DEVICE": "cpu", "TILE_SIZE": 64}
    )
    dialog.show()
    yield dialog
    if not sip.isdeleted(dialog):
        dialog.close()


def change(dialog, name, value):
    dialog.mainWidget().wrappers[name].setParameterValue(value, QgsProcessingContext())


def test_a_click_tells_tiles_time_memory_and_disk_and_writes_nothing(dialog, folder):
    dialog.estimate.click()
    assert dialog.estimate.text() == "Cancel"
    wait_until(lambda: dialog.estimate.text() == "Estimate")
    assert "tiles of 64 × 64 pixels" in dialog.told.text()
    for part in (" s on CPU", "fp32", "MB of memory", "MB of disk"):
        assert part in dialog.told.text()
    assert list(folder.iterdir()) == []


def test_a_layer_of_the_project_can_be_estimated(dialog, scene):
    layer = QgsRasterLayer(str(scene), "my scene")
    QgsProject.instance().addMapLayer(layer)
    change(dialog, "INPUT", layer.id())
    dialog.estimate.click()
    wait_until(lambda: dialog.estimate.text() == "Estimate")
    assert "tiles of 64 × 64 pixels" in dialog.told.text()
    QgsProject.instance().removeMapLayer(layer.id())


def test_figures_for_other_parameters_are_said_to_be_old(dialog):
    dialog._end({"SUMMARY": "12 tiles"}, "")
    change(dialog, "OVERLAP", 32)
    assert dialog.told.text() == "Before the last change: 12 tiles"
    change(dialog, "OVERLAP", 16)
    assert dialog.told.text() == "Before the last change: 12 tiles"


def test_what_is_missing_or_wrong_is_told_in_the_same_place(dialog):
    change(dialog, "OVERLAP", 60)
    dialog.estimate.click()
    wait_until(lambda: dialog.estimate.text() == "Estimate")
    assert "OVERLAP is 60, but at most half of the tile, 32 pixels, is possible." in dialog.told.text()
    change(dialog, "MODEL", "")
    dialog.estimate.click()
    assert dialog.told.text() == "First choose: Model."
    assert dialog.estimate.text() == "Estimate"


@pytest.mark.parametrize("way", ["button", "change", "close", "run"])
def test_an_estimate_ends_when_nobody_waits_for_it(dialog, way, monkeypatch):
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    ran = []
    monkeypatch.setattr(AlgorithmDialog, "runAlgorithm", lambda self: ran.append(self))
    dialog.estimate.click()
    (task,) = tool_task._RUNNING
    ends = []
    task.finished.connect(lambda outputs, error: ends.append(outputs))
    if way == "button":
        dialog.estimate.click()
        assert dialog.told.text() == "Cancelled."
    elif way == "change":
        change(dialog, "OVERLAP", 8)
        assert dialog.told.text() == "The parameters have changed; estimate again."
    elif way == "close":
        dialog.close()
    else:
        dialog.runAlgorithm()
        assert ran == [dialog]
    wait_until(lambda: ends)
    assert ends == [None]
    assert not tool_task._RUNNING


def test_the_tool_gives_figures_to_scripts_and_keeps_no_request(scene, model, folder):
    log = Log()
    outputs = run("estimateclassification", log, INPUT=scene, MODEL=model, OUTPUT=folder / "classes.tif", DEVICE="cpu", TILE_SIZE=64)
    assert outputs["TILES"] == round(outputs["OVERLAP_FACTOR"] * SIZE**2 / 64**2)
    assert outputs["SECONDS"] > 0
    assert outputs["MEMORY_MB"] > 0
    assert outputs["OUTPUT_MB"] > 0
    assert outputs["SUMMARY"].startswith(f"{outputs['TILES']} tiles of 64")
    assert list(folder.iterdir()) == []


def test_no_dialog_of_its_own_has_the_hidden_tool(plugin):
    tool = QgsApplication.processingRegistry().createAlgorithmById("deeplearning:estimateclassification")
    assert tool.createCustomParametersWidget(None) is None
