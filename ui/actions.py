# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin's menu (below Raster) and toolbar: one entry per step of the workflow, each opens the tool's dialog."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qgis.core import QgsProject
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QToolBar, QWidget

from ..algorithms.base import icon_path
from ..algorithms.provider import DeepLearningProvider

if TYPE_CHECKING:
    from .review_dock import ReviewDock

MENU = "Deep Learning Toolbox"
# Algorithm, icon, whether it also stands in the toolbar.
ENTRIES = (
    ("exporttrainingdata", "export.svg", True),
    ("trainmodel", "train.svg", True),
    ("classifypixels", "classify.svg", True),
    ("accuracypoints", "points.svg", False),
    ("assessaccuracy", "assess.svg", False),
    ("checksetup", "setup.svg", True),
    ("installbackend", "install.svg", False),
)


class ToolboxActions:
    """Menu and toolbar; `remove` takes both away again."""

    def __init__(self, iface: QgisInterface) -> None:
        self._iface = iface
        self._dialogs: list[QWidget] = []  # those not yet deleted; QGIS deletes a tool's dialog when it is closed and idle
        self._toolbar: QToolBar = iface.addToolBar(MENU)
        self._toolbar.setObjectName("DeepLearningToolbox")  # QGIS restores its place by this name
        self._actions: list[QAction] = []
        self._review: ReviewDock | None = None
        names = {algorithm.name(): algorithm.displayName() for algorithm in DeepLearningProvider.tools()}
        for name, icon, in_toolbar in ENTRIES:
            action = QAction(QIcon(icon_path(icon)), f"{names[name]}…", iface.mainWindow())
            action.setObjectName(f"deep_learning_toolbox_{name}")
            action.triggered.connect(partial(self.open_dialog, f"{DeepLearningProvider.ID}:{name}"))
            iface.addPluginToRasterMenu(MENU, action)
            if in_toolbar:
                self._toolbar.addAction(action)
            self._actions.append(action)
            if name == "accuracypoints":
                self._add_review()

    def _add_review(self) -> None:
        """The entry of the review dock."""
        text = QCoreApplication.translate("DeepLearningToolbox", "Review accuracy points…")
        action = QAction(QIcon(icon_path("review.svg")), text, self._iface.mainWindow())
        action.setObjectName("deep_learning_toolbox_review")
        action.triggered.connect(self.open_review)
        self._iface.addPluginToRasterMenu(MENU, action)
        self._actions.append(action)

    def open_review(self, _checked: bool = False) -> None:
        """Shows the review dock; it is made when it is first asked for."""
        if self._review is None:
            from .review import Review
            from .review_dock import ReviewDock

            self._review = ReviewDock(self._iface.mainWindow())
            review = Review(self._review, self._iface.mapCanvas(), self._iface.messageBar(), QgsProject.instance())
            self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._review)
            review.suggest()
        self._review.show()
        self._review.raise_()

    def open_dialog(self, algorithm_id: str, _checked: bool = False) -> None:
        """Opens the dialog of a tool beside the main window; the message bar tells when Processing is switched off."""
        try:
            from processing import createAlgorithmDialog
        except ImportError:
            text = QCoreApplication.translate("DeepLearningToolbox", "Switch on the plugin Processing, then try again.")
            self._iface.messageBar().pushWarning(MENU, text)
            return
        dialog = createAlgorithmDialog(algorithm_id)
        # Not `finished`: in QGIS's tool dialogs that is a method, which hides the signal.
        dialog.destroyed.connect(partial(self._forget, dialog))
        self._dialogs.append(dialog)
        dialog.show()

    def remove(self) -> None:
        """Closes the dialogs and removes toolbar and menu."""
        for dialog in list(self._dialogs):
            dialog.close()
        self._dialogs.clear()
        if self._review is not None:
            self._review.close()
            self._iface.removeDockWidget(self._review)
            self._review.deleteLater()
            self._review = None
        for action in reversed(self._actions):
            self._toolbar.removeAction(action)
            self._iface.removePluginRasterMenu(MENU, action)
            action.deleteLater()
        self._actions.clear()
        self._iface.mainWindow().removeToolBar(self._toolbar)
        self._toolbar.deleteLater()

    def _forget(self, dialog: QWidget, _deleted: object = None) -> None:
        self._dialogs = [other for other in self._dialogs if other is not dialog]
