# SPDX-License-Identifier: GPL-2.0-or-later
"""Freehand outlines (lasso): drag along the edge; releasing the mouse closes it."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsGeometry, QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent
from qgis.PyQt.QtCore import QPoint, Qt

from .base import LabelTool

STEP = 2  # pixels that the mouse moves between two points
TOLERANCE = 0.7  # pixels by which the outline may be simplified


class FreehandTool(LabelTool):
    """An outline that follows the mouse. It does not snap: the hand leads."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._points: list[QgsPointXY] = []
        self._last = QPoint()

    def outline(self) -> Sequence[QgsPointXY]:
        return self._points

    def reset(self) -> None:
        self._points = []
        super().reset()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._points, self._last = [self.toMapCoordinates(event.pos())], event.pos()
        elif event.button() == Qt.MouseButton.RightButton:
            self.cancel()

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        if self._points and (event.pos() - self._last).manhattanLength() >= STEP:
            self._points.append(self.toMapCoordinates(event.pos()))
            self._last = event.pos()
            self.show(event.pos())

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self._points:
            return
        tolerance = TOLERANCE * self.canvas().mapSettings().mapUnitsPerPixel()
        shape = QgsGeometry.fromPolygonXY([self._points]) if len(self._points) > 2 else QgsGeometry()
        simple = shape.simplify(tolerance)
        self.finish(simple if not simple.isEmpty() and simple.area() > 0 else shape)
