# SPDX-License-Identifier: GPL-2.0-or-later
"""Deep Learning Toolbox: a QGIS plugin. QGIS and the worker both import this package, so nothing is imported at top level."""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, without importing it
if TYPE_CHECKING:
    from qgis.gui import QgisInterface

    from .plugin import DeepLearningToolboxPlugin


def classFactory(iface: QgisInterface | None) -> DeepLearningToolboxPlugin:
    """The plugin; called by QGIS. ``iface`` is None in qgis_process."""
    from .plugin import DeepLearningToolboxPlugin

    return DeepLearningToolboxPlugin(iface)
