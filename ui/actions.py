# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin's menu (below Raster) and toolbar: one entry per step of the workflow, each opens a tool's dialog or a window of ours."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from qgis.core import Qgis, QgsMapLayer, QgsProject
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QDockWidget, QPushButton, QToolBar, QWidget

from ..algorithms.base import icon_path
from ..algorithms.notices import NOTICES
from ..algorithms.provider import DeepLearningProvider

if TYPE_CHECKING:
    from .labelling.dock import LabelDock
    from .labelling.labelling import Labelling
    from .review_dock import ReviewDock
    from .setup_dialog import SetupDialog
    from .training_monitor import TrainingMonitor

MENU = "Deep Learning Toolbox"
LABEL, REVIEW, SETUP, MONITOR = "label", "review", "setup", "monitor"  # entries that are no tools
# Tool or entry, icon, whether it also stands in the toolbar.
ENTRIES = (
    ("preparescene", "scene.svg", True),
    ("spectralindices", "indices.svg", True),
    (LABEL, "label.svg", True),
    ("exporttrainingdata", "export.svg", True),
    ("inspecttrainingdata", "inspect.svg", True),
    ("trainmodel", "train.svg", True),
    (MONITOR, "monitor.svg", False),
    ("classifypixels", "classify.svg", True),
    ("exportonnx", "onnx.svg", False),
    ("accuracypoints", "points.svg", False),
    (REVIEW, "review.svg", False),
    ("assessaccuracy", "assess.svg", False),
    (SETUP, "setup.svg", True),
)


class ToolboxActions:
    """Menu and toolbar; `remove` takes both away again."""

    def __init__(self, iface: QgisInterface) -> None:
        self._iface = iface
        self._dialogs: list[QWidget] = []  # those not yet deleted; QGIS deletes a tool's dialog when it is closed and idle
        self._review: ReviewDock | None = None
        self._labels: LabelDock | None = None
        self._labelling: Labelling | None = None
        self._setup: SetupDialog | None = None
        self._monitor: TrainingMonitor | None = None
        self._toolbar: QToolBar = iface.addToolBar(MENU)
        self._toolbar.setObjectName("DeepLearningToolbox")  # QGIS restores its place by this name
        self._actions: list[QAction] = []
        own = {
            LABEL: (_translate("Label objects…"), self.open_labels),
            REVIEW: (_translate("Review accuracy points…"), self.open_review),
            MONITOR: (_translate("Training monitor…"), self.open_monitor),
            SETUP: (_translate("Set up…"), self.open_setup),
        }
        names = {algorithm.name(): algorithm.displayName() for algorithm in DeepLearningProvider.tools()}
        for name, icon, in_toolbar in ENTRIES:
            if name in own:
                text, run = own[name]
            else:
                text, run = f"{names[name]}…", partial(self.open_dialog, f"{DeepLearningProvider.ID}:{name}")
            self._add(name, icon, in_toolbar, text, run)
        NOTICES.backend_missing.connect(self._offer_setup)
        NOTICES.job_started.connect(self._notice_job)

    def open_dialog(self, algorithm_id: str, _checked: bool = False, parameters: dict[str, Any] | None = None) -> None:
        """Opens the dialog of a tool, perhaps filled in; the message bar tells when Processing is switched off."""
        try:
            from processing import createAlgorithmDialog
        except ImportError:
            self._iface.messageBar().pushWarning(MENU, _translate("Switch on the plugin Processing, then try again."))
            return
        dialog = createAlgorithmDialog(algorithm_id, parameters) if parameters else createAlgorithmDialog(algorithm_id)
        # Not `finished`: in QGIS's tool dialogs that is a method, which hides the signal.
        dialog.destroyed.connect(partial(self._forget, dialog))
        self._dialogs.append(dialog)
        dialog.show()

    def open_review(self, _checked: bool = False) -> None:
        """Shows the review dock; it is made when it is first asked for."""
        if self._review is None:
            from .review import Review
            from .review_dock import ReviewDock

            self._review = ReviewDock(self._iface.mainWindow())
            review = Review(self._review, self._iface.mapCanvas(), self._iface.messageBar(), QgsProject.instance())
            self._place(self._review)
            review.suggest()
        self._review.show()
        self._review.raise_()

    def open_monitor(self, _checked: bool = False, folder: Path | None = None) -> None:
        """Shows the training monitor, with the training of a job's folder if one is given; it is made when first asked for."""
        from .training_monitor import TrainingMonitor

        if self._monitor is None:
            from .training_dock import WIDTH, TrainingDock

            self._monitor = TrainingMonitor(TrainingDock(self._iface.mainWindow()))
            if not self._place(self._monitor.dock):
                self._iface.mainWindow().resizeDocks([self._monitor.dock], [WIDTH], Qt.Orientation.Horizontal)
        self._monitor.open(folder)
        self._monitor.dock.show()
        self._monitor.dock.raise_()

    def open_labels(self, _checked: bool = False) -> None:
        """Shows the label dock; it is made when it is first asked for."""
        if self._labels is None:
            from .labelling.dock import LabelDock
            from .labelling.labelling import Labelling
            from .labelling.tools import make_tools
            from .labelling.tools.transform import MoveRotateTool

            canvas, bar, project = self._iface.mapCanvas(), self._iface.messageBar(), QgsProject.instance()
            self._labels = LabelDock(self._iface.mainWindow())
            self._labelling = Labelling(
                self._labels, canvas, bar, project, self, make_tools(canvas), MoveRotateTool(canvas)
            )
            self._place(self._labels)
            self._labelling.suggest()
        self._labels.show()
        self._labels.raise_()

    def _place(self, dock: QDockWidget) -> bool:
        """Puts a new dock where it was when QGIS was closed, else on the right; returns whether it has a place of its own.

        Docks are made after QGIS has restored the places of its own; once one has been added, its old place is forgotten.
        """
        if self._iface.mainWindow().restoreDockWidget(dock):
            return True
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        return False

    def open_tool(self, name: str, parameters: dict[str, Any]) -> None:
        """Opens the dialog of one of the toolbox's tools, filled in."""
        self.open_dialog(f"{DeepLearningProvider.ID}:{name}", parameters=parameters)

    def set_active_layer(self, layer: QgsMapLayer) -> None:
        """Makes a layer the one that QGIS's own tools edit and select."""
        self._iface.setActiveLayer(layer)

    def open_setup(self, _checked: bool = False) -> None:
        """Opens the set-up dialog, the same one each time."""
        if self._setup is None:
            from .setup_dialog import SetupDialog

            self._setup = SetupDialog(self._iface.mainWindow())
        self._setup.open_fresh()

    def remove(self) -> None:
        """Closes the windows and removes toolbar and menu."""
        NOTICES.job_started.disconnect(self._notice_job)
        NOTICES.backend_missing.disconnect(self._offer_setup)
        for dialog in list(self._dialogs):
            dialog.close()
        self._dialogs.clear()
        if self._setup is not None:
            self._setup.stop()
            self._setup.close()
            self._setup.deleteLater()
            self._setup = None
        if self._monitor is not None:
            self._monitor.stop()
            self._monitor.dock.close()
            self._iface.removeDockWidget(self._monitor.dock)
            self._monitor.dock.deleteLater()
            self._monitor = None
        if self._review is not None:
            self._review.close()
            self._iface.removeDockWidget(self._review)
            self._review.deleteLater()
            self._review = None
        if self._labels is not None:
            self._labelling.stop()
            self._labels.close()
            self._iface.removeDockWidget(self._labels)
            self._labels.deleteLater()
            self._labels = self._labelling = None
        for action in reversed(self._actions):
            self._toolbar.removeAction(action)
            self._iface.removePluginRasterMenu(MENU, action)
            action.deleteLater()
        self._actions.clear()
        self._iface.mainWindow().removeToolBar(self._toolbar)
        self._toolbar.deleteLater()

    def _add(self, name: str, icon: str, in_toolbar: bool, text: str, run: Callable[..., None]) -> None:
        """Adds an entry to the menu and perhaps to the toolbar."""
        action = QAction(QIcon(icon_path(icon)), text, self._iface.mainWindow())
        action.setObjectName(f"deep_learning_toolbox_{name}")
        action.triggered.connect(run)
        self._iface.addPluginToRasterMenu(MENU, action)
        if in_toolbar:
            self._toolbar.addAction(action)
        self._actions.append(action)

    def _offer_setup(self) -> None:
        """Offers the set-up in the message bar after a tool could not run."""
        bar = self._iface.messageBar()
        item = bar.createMessage(MENU, _translate("The deep learning libraries are not ready."))
        button = QPushButton(_translate("Set up…"), item)
        button.clicked.connect(self.open_setup)
        item.layout().addWidget(button)
        bar.pushWidget(item, Qgis.MessageLevel.Warning)

    def _notice_job(self, stage: str, folder: str) -> None:
        """Shows a training that has started, or offers to, as the user has chosen."""
        from .training_monitor import STAGE, opens_by_itself

        if stage != STAGE:
            return
        if opens_by_itself():
            self.open_monitor(folder=Path(folder))
            return
        bar = self._iface.messageBar()
        item = bar.createMessage(MENU, _translate("A training has started."))
        button = QPushButton(_translate("Training monitor…"), item)
        button.clicked.connect(partial(self.open_monitor, folder=Path(folder)))
        item.layout().addWidget(button)
        bar.pushWidget(item, Qgis.MessageLevel.Info)

    def _forget(self, dialog: QWidget, _deleted: object = None) -> None:
        self._dialogs = [other for other in self._dialogs if other is not dialog]


def _translate(text: str) -> str:
    return QCoreApplication.translate("DeepLearningToolbox", text)
