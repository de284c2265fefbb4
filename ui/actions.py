# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin's menu (below Raster) and toolbar: one entry per step of the workflow, each opens the tool's dialog."""

from __future__ import annotations

from functools import partial

from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QToolBar, QWidget

from ..algorithms.base import icon_path
from ..algorithms.provider import DeepLearningProvider

MENU = "Deep Learning Toolbox"
# Algorithm, icon, whether it also stands in the toolbar.
ENTRIES = (
    ("preparescene", "scene.svg", True),
    ("spectralindices", "indices.svg", True),
    ("exporttrainingdata", "export.svg", True),
    ("trainmodel", "train.svg", True),
    ("classifypixels", "classify.svg", True),
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
        names = {algorithm.name(): algorithm.displayName() for algorithm in DeepLearningProvider.tools()}
        for name, icon, in_toolbar in ENTRIES:
            action = QAction(QIcon(icon_path(icon)), f"{names[name]}…", iface.mainWindow())
            action.setObjectName(f"deep_learning_toolbox_{name}")
            action.triggered.connect(partial(self.open_dialog, f"{DeepLearningProvider.ID}:{name}"))
            iface.addPluginToRasterMenu(MENU, action)
            if in_toolbar:
                self._toolbar.addAction(action)
            self._actions.append(action)

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
        for action in reversed(self._actions):
            self._toolbar.removeAction(action)
            self._iface.removePluginRasterMenu(MENU, action)
            action.deleteLater()
        self._actions.clear()
        self._iface.mainWindow().removeToolBar(self._toolbar)
        self._toolbar.deleteLater()

    def _forget(self, dialog: QWidget, _deleted: object = None) -> None:
        self._dialogs = [other for other in self._dialogs if other is not dialog]
