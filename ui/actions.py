# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin's menu (below Raster) and toolbar: one entry per step of the workflow, each opens the tool's dialog."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qgis.core import Qgis
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QPushButton, QToolBar, QWidget

from ..algorithms.base import icon_path
from ..algorithms.notices import NOTICES
from ..algorithms.provider import DeepLearningProvider

if TYPE_CHECKING:
    from .setup_dialog import SetupDialog

MENU = "Deep Learning Toolbox"
# Algorithm, icon, whether it also stands in the toolbar.
ENTRIES = (
    ("exporttrainingdata", "export.svg", True),
    ("trainmodel", "train.svg", True),
    ("classifypixels", "classify.svg", True),
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
        self._setup: SetupDialog | None = None
        self._add_setup()
        NOTICES.backend_missing.connect(self._offer_setup)

    def _add_setup(self) -> None:
        """The entry of the set-up dialog, which runs two tools."""
        action = QAction(QIcon(icon_path("setup.svg")), _translate("Set up…"), self._iface.mainWindow())
        action.setObjectName("deep_learning_toolbox_setup")
        action.triggered.connect(self.open_setup)
        self._iface.addPluginToRasterMenu(MENU, action)
        self._toolbar.addAction(action)
        self._actions.append(action)

    def open_setup(self, _checked: bool = False) -> None:
        """Opens the set-up dialog, the same one each time."""
        if self._setup is None:
            from .setup_dialog import SetupDialog

            self._setup = SetupDialog(self._iface.mainWindow())
        self._setup.open_fresh()

    def _offer_setup(self) -> None:
        """Offers the set-up in the message bar after a tool could not run."""
        bar = self._iface.messageBar()
        item = bar.createMessage(MENU, _translate("The deep learning libraries are not ready."))
        button = QPushButton(_translate("Set up…"), item)
        button.clicked.connect(self.open_setup)
        item.layout().addWidget(button)
        bar.pushWidget(item, Qgis.MessageLevel.Warning)

    def open_dialog(self, algorithm_id: str, _checked: bool = False) -> None:
        """Opens the dialog of a tool beside the main window; the message bar tells when Processing is switched off."""
        try:
            from processing import createAlgorithmDialog
        except ImportError:
            self._iface.messageBar().pushWarning(MENU, _translate("Switch on the plugin Processing, then try again."))
            return
        dialog = createAlgorithmDialog(algorithm_id)
        # Not `finished`: in QGIS's tool dialogs that is a method, which hides the signal.
        dialog.destroyed.connect(partial(self._forget, dialog))
        self._dialogs.append(dialog)
        dialog.show()

    def remove(self) -> None:
        """Closes the dialogs and removes toolbar and menu."""
        NOTICES.backend_missing.disconnect(self._offer_setup)
        if self._setup is not None:
            self._setup.stop()
            self._setup.close()
            self._setup.deleteLater()
            self._setup = None
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


def _translate(text: str) -> str:
    return QCoreApplication.translate("DeepLearningToolbox", text)
