# SPDX-License-Identifier: GPL-2.0-or-later
"""Accepting the preview: a click asks for the region under the mouse, a drag for all in a rectangle."""

from __future__ import annotations

from qgis.core import QgsPointXY
from qgis.gui import QgsMapMouseEvent
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QApplication

from .rectangle import RectangleTool


class RegionTool(RectangleTool):
    """A rectangle that knows clicks.

    Signals:
        picked: Where was clicked, in the canvas's coordinates.
    """

    picked = pyqtSignal(QgsPointXY)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.start is not None:
            moved = (event.pos() - self._pressed).manhattanLength()
            if moved < QApplication.startDragDistance():
                self.reset()
                self.picked.emit(self.toMapCoordinates(event.pos()))
                return
        super().canvasReleaseEvent(event)
