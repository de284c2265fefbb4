# SPDX-License-Identifier: GPL-2.0-or-later
"""Select by segment: a click takes a segment of a layer (see "Segment image"), a drag all that it touches, as one label."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
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


class SegmentTool(LabelTool):
    """Takes segments as they are.

    Signals:
        missing: There is no layer of segments to take one from.
    """

    missing = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._layer: QgsVectorLayer | None = None
        self._taken: dict[int, QgsGeometry] = {}
        self._is_dragging = False

    def set_segments(self, layer: QgsVectorLayer | None) -> None:
        """Takes segments of this layer from now on."""
        self.cancel()
        self._layer = layer

    def outline(self) -> Sequence[QgsPointXY]:
        return []

    def reset(self) -> None:
        self._taken, self._is_dragging = {}, False
        super().reset()

    def canvasPressEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.RightButton:
            self.cancel()
        elif event.button() == Qt.MouseButton.LeftButton:
            if self._layer is None or sip.isdeleted(self._layer):
                self.missing.emit()
                return
            self._is_dragging = True
            self._take(event)

    def canvasMoveEvent(self, event: QgsMapMouseEvent) -> None:
        if self._is_dragging:
            self._take(event)

    def canvasReleaseEvent(self, event: QgsMapMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._is_dragging:
            self.finish(self._geometry())

    def _geometry(self) -> QgsGeometry:
        return QgsGeometry.unaryUnion(list(self._taken.values())) if self._taken else QgsGeometry()

    def _take(self, event: QgsMapMouseEvent) -> None:
        """Adds the segment under the mouse."""
        if sip.isdeleted(self._layer):
            self.cancel()
            return
        to_canvas = QgsCoordinateTransform(self._layer.crs(), self.canvas().mapSettings().destinationCrs(), QgsProject.instance())
        try:
            point = to_canvas.transform(self.toMapCoordinates(event.pos()), Qgis.TransformDirection.Reverse)
        except QgsCsException:
            return  # outside of what the segments' coordinate system can hold: there is none
        place = QgsGeometry.fromPointXY(point)
        request = QgsFeatureRequest().setFilterRect(QgsRectangle(point.x(), point.y(), point.x(), point.y())).setNoAttributes()
        for feature in self._layer.getFeatures(request):
            if feature.id() not in self._taken and feature.geometry().contains(place):
                shape = QgsGeometry(feature.geometry())
                shape.transform(to_canvas)
                self._taken[feature.id()] = self.to_area(shape)
                self.show(event.pos())
                return
