# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin object: registers the Processing provider and, in a QGIS with windows, a menu and a toolbar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsApplication

from .algorithms.provider import DeepLearningProvider

if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .ui.actions import ToolboxActions


class DeepLearningToolboxPlugin:
    """What QGIS loads. `unload` undoes `initProcessing` and `initGui` in reverse."""

    def __init__(self, iface: QgisInterface | None) -> None:
        self.iface = iface
        self.provider: DeepLearningProvider | None = None
        self.actions: ToolboxActions | None = None

    def initProcessing(self) -> None:
        """Registers the provider; all that qgis_process needs."""
        self.provider = DeepLearningProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)
        # A model parses only after the algorithms it uses are registered, so the provider fills its list once more.
        self.provider.refreshAlgorithms()

    def initGui(self) -> None:
        """Registers the provider and adds menu and toolbar."""
        self.initProcessing()
        from .ui.actions import ToolboxActions

        self.actions = ToolboxActions(self.iface)

    def unload(self) -> None:
        """Removes everything again."""
        if self.actions is not None:
            self.actions.remove()
            self.actions = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
