# SPDX-License-Identifier: GPL-2.0-or-later
"""What all drawing tools share: the rubber band in the class's colour, snapping, the area beside the cursor, and how drawing ends."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsDistanceArea, QgsGeometry, QgsPointXY, QgsProject, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand, QgsSnapIndicator
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent, QObject, QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QLabel

FILL_OPACITY = 70  # of 255
LINE_WIDTH = 2  # pixels
TEXT_OFFSET = QPoint(18, 14)  # pixels from the cursor
POLYGON = QgsWkbTypes.GeometryType.PolygonGeometry


class LabelTool(QgsMapTool):
    """A tool that draws an area on the canvas. A subclass gives `outline` and the mouse events.

    Signals:
        drawn: A finished area in the canvas's coordinates: valid, perhaps of several parts.
        removed: An area that is to be cut from labels.
    """

    drawn = pyqtSignal(QgsGeometry)
    removed = pyqtSignal(QgsGeometry)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._color = QColor(255, 120, 0)
        self._snap = QgsSnapIndicator(canvas)
        self._band: QgsRubberBand | None = None
        self._text: QLabel | None = None
        self.setCursor(Qt.CursorShape.CrossCursor)

    def flags(self) -> QgsMapTool.Flags:
        return QgsMapTool.Flag.EditTool

    def set_colour(self, colour: QColor) -> None:
        """Draws in the colour of a class from now on."""
        self._color = QColor(colour)
        if self._band is not None:
            self._paint(self._band)

    def outline(self) -> Sequence[QgsPointXY]:
        """Corners, in the canvas's coordinates, of what has been drawn so far; fewer than three while there is no area."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forgets what was drawn; subclasses forget their own, too."""
        self._clear()

    def cancel(self) -> None:
        """Ends the drawing without a result."""
        self.reset()

    def activate(self) -> None:
        super().activate()
        self._canvas.installEventFilter(self)
        self._canvas.destinationCrsChanged.connect(self._drop)

    def deactivate(self) -> None:
        self._canvas.removeEventFilter(self)
        self._canvas.destinationCrsChanged.disconnect(self._drop)
        self.cancel()
        super().deactivate()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Takes Esc in the middle of a drag, when the canvas hands no key to its tool."""
        if event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape and self._band is not None:
            self.cancel()
            return True
        return False

    def remove(self) -> None:
        """Takes everything off the canvas, before the tool is thrown away."""
        self.cancel()
        if not sip.isdeleted(self._canvas):
            self._canvas.unsetMapTool(self)
        self.deleteLater()

    def snapped(self, event: QgsMapMouseEvent) -> QgsPointXY:
        """The position of the mouse in the canvas's coordinates, snapped as the project says; shows where it snapped."""
        point = event.snapPoint()
        self._snap.setMatch(event.mapPointMatch())
        return QgsPointXY(point)

    def show(self, cursor: QPoint) -> None:
        """Shows what is being drawn, and its area beside the cursor (pixels of the canvas)."""
        if self._band is None:
            self._band = QgsRubberBand(self._canvas, POLYGON)
            self._paint(self._band)
        geometry = self._geometry()
        self._band.setToGeometry(geometry, None)
        self._write(cursor, self._describe(geometry))

    def finish(self, geometry: QgsGeometry | None = None) -> None:
        """Gives what was drawn, made valid, and begins anew; nothing when it has no area."""
        shape = self.to_area(self._geometry() if geometry is None else geometry)
        self.reset()
        if not shape.isEmpty():
            self.drawn.emit(shape)

    @staticmethod
    def to_area(geometry: QgsGeometry) -> QgsGeometry:
        """The polygons of a geometry, valid; all that an outline which crosses itself encloses. Empty without area."""
        valid = geometry if geometry.isGeosValid() else geometry.makeValid()
        parts = [part for part in valid.asGeometryCollection() if part.type() == POLYGON and part.area() > 0]
        return QgsGeometry.unaryUnion(parts) if parts else QgsGeometry()

    def to_screen(self, point: QgsPointXY) -> tuple[float, float]:
        """Pixels of the canvas of a point."""
        place = self._canvas.getCoordinateTransform().transform(point)
        return place.x(), place.y()

    def to_map(self, x: float, y: float) -> QgsPointXY:
        """Point of a place in pixels of the canvas."""
        return self._canvas.getCoordinateTransform().toMapCoordinatesF(x, y)  # the other one takes whole pixels

    def _drop(self) -> None:
        """What was drawn so far is in other coordinates than what would follow."""
        self.cancel()

    def _geometry(self) -> QgsGeometry:
        corners = list(self.outline())
        return QgsGeometry.fromPolygonXY([corners]) if len(corners) > 2 else QgsGeometry.fromPolylineXY(corners)

    def _paint(self, band: QgsRubberBand) -> None:
        fill = QColor(self._color)
        fill.setAlpha(FILL_OPACITY)
        band.setColor(self._color)
        band.setFillColor(fill)
        band.setSecondaryStrokeColor(QColor(255, 255, 255, 160))
        band.setWidth(LINE_WIDTH)

    def _describe(self, geometry: QgsGeometry) -> str:
        """Area on the ground, in a handy unit."""
        if geometry.type() != POLYGON:
            return ""
        project = QgsProject.instance()
        measure = QgsDistanceArea()
        measure.setSourceCrs(self._canvas.mapSettings().destinationCrs(), project.transformContext())
        measure.setEllipsoid(project.ellipsoid())
        area = measure.measureArea(geometry)
        return QgsDistanceArea.formatArea(area, 2, measure.areaUnits(), False) if area > 0 else ""

    def _write(self, cursor: QPoint, text: str) -> None:
        if self._text is None:
            self._text = QLabel(self._canvas.viewport())
            self._text.setStyleSheet("background: rgba(255, 255, 255, 210); color: black; padding: 1px 3px; border-radius: 2px;")
            self._text.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._text.setText(text)
        self._text.adjustSize()
        self._text.move(cursor + TEXT_OFFSET)
        self._text.setVisible(bool(text))

    def _clear(self) -> None:
        if self._band is not None:
            if not sip.isdeleted(self._canvas):
                self._canvas.scene().removeItem(self._band)
            sip.delete(self._band)
            self._band = None
        if self._text is not None:
            if not sip.isdeleted(self._text):
                self._text.hide()
                self._text.deleteLater()
            self._text = None
        if not sip.isdeleted(self._canvas):
            self._snap.setVisible(False)
