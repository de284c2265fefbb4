# SPDX-License-Identifier: GPL-2.0-or-later
"""Polygons corner by corner: a click each; right-click or double-click finishes, Backspace drops the last corner."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QKeyEvent

from .base import LabelTool


class PolygonTool(LabelTool):
    """A polygon of clicked corners; while it is drawn, the mouse is one more."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._corners: list[QgsPointXY] = []
        self._mouse: QgsPointXY | None = None
        self._cursor = QPoint()
        self._is_double = False  # until the mouse is released after a double-click

    def outline(self) -> Sequence[QgsPointXY]:
        return [*self._corners, self._mouse] if self._corners and self._mouse is not None else self._corners

    def reset(self) -> None:
        self._corners, self._mouse = [], None
        super().reset()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        self._mouse, self._cursor = self.snapped(event), event.pos()
        if self._corners:
            self.show(self._cursor)

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        self._is_double = False

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if self._is_double:
            self._is_double = False
            return  # it would begin the next polygon
        point = self.snapped(event)
        if event.button() == Qt.MouseButton.LeftButton:
            if not self._corners or point != self._corners[-1]:  # a double click comes as two
                self._corners.append(point)
            self._mouse, self._cursor = point, event.pos()
            self.show(self._cursor)
        elif event.button() == Qt.MouseButton.RightButton:
            self._end()

    def canvasDoubleClickEvent(self, event: QgsMapMouseEvent) -> None:
        self._is_double = True
        self._end()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Backspace, Qt.Key.Key_Delete) and self._corners:
            self._corners.pop()
            if self._corners:
                self.show(self._cursor)
            else:
                self.cancel()
            event.accept()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._corners:
            self._end()
            event.accept()
        else:
            event.ignore()  # QGIS's own keys

    def _end(self) -> None:
        """Finishes with the corners that were clicked; goes on while they have no area."""
        self._mouse = None
        if len(self._corners) > 2:
            self.finish()
