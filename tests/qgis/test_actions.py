# SPDX-License-Identifier: GPL-2.0-or-later
"""Menu and toolbar in a QGIS with windows, and that unloading leaves nothing of them."""

import deep_learning_toolbox
import pytest
from deep_learning_toolbox.algorithms.notices import NOTICES
from deep_learning_toolbox.ui.actions import ENTRIES
from deep_learning_toolbox.ui.training_monitor import OPENS
from qgis.core import QgsApplication, QgsSettings
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QCoreApplication, QEvent, Qt
from qgis.PyQt.QtWidgets import QAction, QDockWidget, QMainWindow, QPushButton, QToolBar
from qgis_helpers import refusal

MENU = "Deep Learning Toolbox"


class Interface:
    """The part of QGIS's interface that the plugin uses, around a real main window."""

    def __init__(self):
        self.window = QMainWindow()
        self.canvas = QgsMapCanvas(self.window)
        self.messages = QgsMessageBar(self.window)
        self.raster_menu = {}

    def mainWindow(self):  # noqa: N802 - QGIS's spelling, as below
        return self.window

    def addToolBar(self, name):  # noqa: N802
        toolbar = QToolBar(name, self.window)
        self.window.addToolBar(toolbar)
        return toolbar

    def addPluginToRasterMenu(self, menu, action):  # noqa: N802
        self.raster_menu.setdefault(menu, []).append(action)

    def mapCanvas(self):  # noqa: N802
        return self.canvas

    def messageBar(self):  # noqa: N802
        return self.messages

    def addDockWidget(self, area, dock):  # noqa: N802
        self.window.addDockWidget(area, dock)

    def setActiveLayer(self, layer):  # noqa: N802
        self.active = layer

    def removeDockWidget(self, dock):  # noqa: N802
        self.window.removeDockWidget(dock)

    def removePluginRasterMenu(self, menu, action):  # noqa: N802
        self.raster_menu[menu].remove(action)


@pytest.fixture
def interface(plugin):
    """An interface in which a second instance of the plugin is loaded; the session's provider is back afterwards."""
    plugin.unload()
    interface = Interface()
    interface.plugin = deep_learning_toolbox.classFactory(interface)
    interface.plugin.initGui()
    yield interface
    interface.plugin.unload()
    plugin.initProcessing()


def children(window, kind):
    """Names of the window's children of a kind that belong to the toolbox."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    names = [child.objectName() for child in window.findChildren(kind)]
    return sorted(name for name in names if name.lower().replace("_", "").startswith("deeplearningtoolbox"))


def test_menu_lists_the_tools_by_their_names_with_icons(interface):
    actions = interface.raster_menu[MENU]
    assert [action.text() for action in actions] == [
        "Prepare satellite scene…",
        "Compute spectral indices…",
        "Label objects…",
        "Export training data…",
        "Inspect training data…",
        "Train deep learning model…",
        "Training monitor…",
        "Classify pixels using deep learning…",
        "Export model to ONNX…",
        "Create accuracy assessment points…",
        "Review accuracy points…",
        "Assess accuracy…",
        "Set up…",
    ]
    assert not any(action.icon().isNull() for action in actions)


def test_toolbar_has_a_name_by_which_qgis_finds_its_place_again(interface):
    (toolbar,) = interface.window.findChildren(QToolBar)
    assert toolbar.objectName() == "DeepLearningToolbox"
    assert toolbar.actions()[:3] == interface.raster_menu[MENU][:3]


def test_action_opens_the_dialog_of_its_tool(interface, monkeypatch):
    import processing

    opened = []

    class Dialog(QMainWindow):
        def __init__(self, algorithm_id):
            super().__init__()
            opened.append(algorithm_id)

    monkeypatch.setattr(processing, "createAlgorithmDialog", Dialog)
    next(action for action in interface.raster_menu[MENU] if action.objectName().endswith("_trainmodel")).trigger()
    assert opened == ["deeplearning:trainmodel"]


def test_a_tool_that_finds_no_worker_offers_the_set_up_in_the_message_bar(interface, folder, scene, monkeypatch):
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_PYTHON")
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(folder / "home"))
    (folder / "m.dlpk").touch()
    told = refusal("classifypixels", INPUT=scene, MODEL=folder / "m.dlpk", OUTPUT=folder / "map.tif")
    assert "libraries are not installed: run the tool" in told
    QCoreApplication.processEvents()
    (button,) = interface.messages.currentItem().findChildren(QPushButton)
    assert button.text() == "Set up…"
    assert interface.plugin.actions._setup is None  # nothing opens by itself
    button.click()
    assert interface.plugin.actions._setup.isVisible()


def test_review_opens_one_dock_that_unloading_takes_away(interface):
    (action,) = [action for action in interface.raster_menu[MENU] if action.text() == "Review accuracy points…"]
    action.trigger()
    action.trigger()
    assert children(interface.window, QDockWidget) == ["DeepLearningToolboxReview"]
    interface.plugin.unload()
    assert children(interface.window, QDockWidget) == []


def notice_training(folder):
    NOTICES.job_started.emit("export", str(folder))
    NOTICES.job_started.emit("train", str(folder))
    QCoreApplication.processEvents()


def test_the_training_monitor_opens_when_a_training_starts_and_unloading_takes_it_away(interface, folder):
    notice_training(folder)
    notice_training(folder)
    assert children(interface.window, QDockWidget) == ["DeepLearningToolboxTraining"]
    assert interface.plugin.actions._monitor.run.folder == folder
    interface.plugin.unload()
    notice_training(folder)
    assert children(interface.window, QDockWidget) == []


def test_who_does_not_want_the_monitor_to_open_gets_a_button(interface, folder):
    QgsSettings().setValue(OPENS, False)
    try:
        notice_training(folder)
        assert children(interface.window, QDockWidget) == []
        (button,) = interface.messages.currentItem().findChildren(QPushButton)
        button.click()
        assert interface.plugin.actions._monitor.run.folder == folder
    finally:
        QgsSettings().remove(OPENS)


def test_labelling_opens_one_dock_that_unloading_takes_away(interface):
    (action,) = [action for action in interface.raster_menu[MENU] if action.text() == "Label objects…"]
    action.trigger()
    action.trigger()
    assert children(interface.window, QDockWidget) == ["DeepLearningToolboxLabels"]
    interface.plugin.unload()
    assert children(interface.window, QDockWidget) == []


@pytest.mark.parametrize("area", [Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea])
@pytest.mark.parametrize("opener", ["open_labels", "open_monitor", "open_review"])
def test_dock_comes_back_after_a_restart_where_it_was(plugin, area, opener):
    """As QGIS does it: the window's state is restored before the dock is made, which happens when it is first asked for."""
    plugin.unload()
    window = open_window()
    dock = open_dock(window, opener)
    window.addDockWidget(area, dock)
    state = window.saveState()
    window.plugin.unload()
    try:
        again = open_window()
        assert again.restoreState(state)
        dock = open_dock(again, opener)
        assert again.dockWidgetArea(dock) == area
        assert not dock.isHidden()
        again.plugin.unload()
    finally:
        plugin.initProcessing()


def open_window():
    """A main window with another dock, as QGIS has, and the plugin."""
    interface = Interface()
    window = interface.window
    other = QDockWidget("Layers", window)
    other.setObjectName("Layers")
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, other)
    window.plugin = deep_learning_toolbox.classFactory(interface)
    window.plugin.initGui()
    return window


def open_dock(window, opener):
    getattr(window.plugin.actions, opener)()
    (dock,) = [dock for dock in window.findChildren(QDockWidget) if dock.objectName().startswith("DeepLearningToolbox")]
    return dock


def test_unloading_leaves_neither_menu_nor_toolbar_nor_provider(interface):
    assert len(children(interface.window, QAction)) == len(interface.raster_menu[MENU]) == len(ENTRIES)
    interface.plugin.unload()
    assert interface.raster_menu[MENU] == []
    assert children(interface.window, QAction) == []
    assert children(interface.window, QToolBar) == []
    assert QgsApplication.processingRegistry().providerById("deeplearning") is None
    interface.plugin.unload()  # a second time does no harm
