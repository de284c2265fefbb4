# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves a label by dragging it; with Shift turns it around its centre."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent
from qgis.PyQt import sip
from qgis.PyQt.QtCore import Qt, pyqtSignal

from .base import LabelTool


class MoveRotateTool(LabelTool):
    """Takes the label under the mouse, the uppermost of several.

    Signals:
        transformed: Id of a label, and its new shape in the canvas's coordinates.
    """

    transformed = pyqtSignal("qint64", QgsGeometry)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._layer: QgsVectorLayer | None = None
        self._label: int | None = None
        self._shape = QgsGeometry()
        self._start = self._mouse = QgsPointXY()
        self._turns = False
        self.setCursor(Qt.CursorShape.SizeAllCursor)

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Moves labels of this layer from now on."""
        self.cancel()
        self._layer = layer

    def outline(self) -> Sequence[QgsPointXY]:
        return []

    def reset(self) -> None:
        self._label, self._shape = None, QgsGeometry()
        super().reset()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.RightButton:
            self.cancel()
        elif event.button() == Qt.MouseButton.LeftButton and self._take(self.toMapCoordinates(event.pos())):
            self._start = self._mouse = self.toMapCoordinates(event.pos())
            self._turns = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.show(event.pos())

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        if self._label is not None:
            self._mouse = self.toMapCoordinates(event.pos())
            self.show(event.pos())

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self._label is None:
            return
        self._mouse = self.toMapCoordinates(event.pos())
        label, shape, has_moved = self._label, self._geometry(), self._mouse != self._start
        self.reset()
        if has_moved:
            self.transformed.emit(label, shape)

    def _geometry(self) -> QgsGeometry:
        """The label where the mouse has brought it."""
        shape = QgsGeometry(self._shape)
        if self._turns:
            centre = shape.centroid().asPoint()
            angles = [math.atan2(point.y() - centre.y(), point.x() - centre.x()) for point in (self._start, self._mouse)]
            shape.rotate(math.degrees(angles[0] - angles[1]), centre)  # clockwise
        else:
            shape.translate(self._mouse.x() - self._start.x(), self._mouse.y() - self._start.y())
        return shape

    def _take(self, point: QgsPointXY) -> bool:
        """Takes the label at a point; False when there is none."""
        if self._layer is None or sip.isdeleted(self._layer):
            return False
        to_canvas = QgsCoordinateTransform(self._layer.crs(), self.canvas().mapSettings().destinationCrs(), QgsProject.instance())
        try:
            place = to_canvas.transform(point, Qgis.TransformDirection.Reverse)
        except QgsCsException:
            return False
        spot = QgsGeometry.fromPointXY(place)
        request = QgsFeatureRequest().setFilterRect(QgsRectangle(place.x(), place.y(), place.x(), place.y())).setNoAttributes()
        found: list[QgsFeature] = [feature for feature in self._layer.getFeatures(request) if feature.geometry().contains(spot)]
        if not found:
            return False
        # Labels that are not saved yet, with ids below 0, were drawn later than all others.
        upper = max(found, key=lambda feature: (feature.id() < 0, abs(feature.id())))
        self._label, self._shape = upper.id(), QgsGeometry(upper.geometry())
        self._shape.transform(to_canvas)
        return True
