# SPDX-License-Identifier: GPL-2.0-or-later
"""Drawing with one drag: press, move, release. Two clicks do the same, for those whose hand is unsteady."""

from __future__ import annotations

from qgis.core import QgsPointXY
from qgis.gui import QgsMapMouseEvent
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtWidgets import QApplication

from .base import LabelTool


class DragTool(LabelTool):
    """A tool whose shape follows from two points: `start` and `end`, None before the drag."""

    start: QgsPointXY | None = None
    end: QgsPointXY | None = None
    _pressed = QPoint()

    def reset(self) -> None:
        self.start = self.end = None
        super().reset()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.RightButton:
            self.cancel()
        elif event.button() == Qt.MouseButton.LeftButton and self.start is None:
            self.start = self.end = self.snapped(event)
            self._pressed = event.pos()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        point = self.snapped(event)
        if self.start is not None:
            self.end = point
            self.show(event.pos())

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self.start is None:
            return
        if (event.pos() - self._pressed).manhattanLength() < QApplication.startDragDistance():
            return  # a click: the next one ends the shape
        self.end = self.snapped(event)
        self.finish()
