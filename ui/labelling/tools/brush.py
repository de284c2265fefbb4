# SPDX-License-Identifier: GPL-2.0-or-later
"""A brush that adds to labels, or with Shift cuts from them. Alt and the wheel, or [ and ], change its size."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsGeometry, QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsRubberBand
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QColor, QKeyEvent, QWheelEvent

from .base import LabelTool
from .brush_cursor import brush_cursor

SMALLEST, LARGEST, USUAL = 1, 200, 10  # pixels, radius
STEP = 1.25  # factor
QUARTER = 8  # straight pieces of a quarter circle
CUT_COLOR = QColor(40, 40, 40)
TOLERANCE = 0.5  # pixels


class BrushTool(LabelTool):
    """Paints along the mouse."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._radius = float(USUAL)
        self._path: list[QgsPointXY] = []
        self._cuts = False
        self._cursor = QPoint()
        self._show_size()

    @property
    def radius(self) -> float:
        """Radius in pixels of the canvas."""
        return self._radius

    def set_radius(self, pixels: float) -> None:
        """Makes the brush this large, within limits."""
        self._radius = min(max(pixels, SMALLEST), LARGEST)
        self._show_size()
        if self._path:
            self.show(self._cursor)

    def outline(self) -> Sequence[QgsPointXY]:
        return []

    def reset(self) -> None:
        self._path, self._cuts = [], False
        super().reset()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.RightButton:
            self.cancel()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._cuts = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._path = []
            self._extend(event)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        if self._path and (event.pos() - self._cursor).manhattanLength() >= max(self._radius / 4, 1):
            self._extend(event)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self._path:
            return
        self._extend(event)
        shape, cuts = self.to_area(self._geometry()), self._cuts
        self.reset()
        if not shape.isEmpty():
            (self.removed if cuts else self.drawn).emit(shape)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.text() in ("[", "]"):
            self.set_radius(self._radius * (STEP if event.text() == "]" else 1 / STEP))
            event.accept()
        else:
            event.ignore()  # QGIS's own keys

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            # With Alt some systems turn the wheel's direction into the horizontal one.
            turned = event.angleDelta().y() or event.angleDelta().x()
            self.set_radius(self._radius * (STEP if turned > 0 else 1 / STEP))
            event.accept()
        else:
            event.ignore()

    def _show_size(self) -> None:
        self.setCursor(brush_cursor(self._radius, self.canvas().devicePixelRatioF()))

    def _extend(self, event: QgsMapMouseEvent) -> None:
        self._cursor = event.pos()
        point = self.toMapCoordinates(event.pos())
        if not self._path or point != self._path[-1]:
            self._path.append(point)
        self.show(self._cursor)

    def _geometry(self) -> QgsGeometry:
        """The area that was painted."""
        if not self._path:
            return QgsGeometry()
        unit = self.canvas().mapSettings().mapUnitsPerPixel()
        line = QgsGeometry.fromPolylineXY(self._path) if len(self._path) > 1 else QgsGeometry.fromPointXY(self._path[0])
        return line.buffer(self._radius * unit, QUARTER).simplify(TOLERANCE * unit)

    def _paint(self, band: QgsRubberBand) -> None:
        super()._paint(band)
        if self._cuts:
            band.setColor(CUT_COLOR)
