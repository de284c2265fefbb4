# SPDX-License-Identifier: GPL-2.0-or-later
"""A divider on the canvas: to its right other layers are seen than to its left. It is dragged, whichever tool draws."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsMapLayer, QgsMapRendererParallelJob, QgsMapSettings, QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPen
from qgis.PyQt.QtWidgets import QStyleOptionGraphicsItem, QWidget

REACH = 6  # pixels beside the divider where it can be taken
GRIP = 9  # pixels, radius of the handle
ABOVE_MAP, LEAST = -5, 0.02  # the map lies at -10, what is drawn at 0; share of the width that each side keeps


class SwipeItem(QgsMapCanvasItem):
    """The picture of the other layers, from the divider to the right, and the divider.

    Attributes:
        share: Where the divider stands, as a share of the canvas's width.
    """

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._picture, self._settings = QImage(), QgsMapSettings()
        self.share = 0.5
        self.setZValue(ABOVE_MAP)

    @property
    def place(self) -> float:
        """Where the divider stands, in pixels from the left."""
        return self.share * self._canvas.viewport().width()

    def show_picture(self, picture: QImage, settings: QgsMapSettings) -> None:
        """Shows a picture that was rendered with some settings."""
        self._picture, self._settings = picture, settings
        self.update()

    def boundingRect(self) -> QRectF:
        return QRectF(self._canvas.viewport().rect())

    def updatePosition(self) -> None:
        """Called by QGIS when the view moves: the item always fills it."""
        self.prepareGeometryChange()
        self.setPos(0, 0)

    def paint(self, painter: QPainter, _option: QStyleOptionGraphicsItem | None = None, _widget: QWidget | None = None) -> None:
        view, place = self.boundingRect(), self.place
        now, then = self._canvas.mapSettings(), self._settings
        painter.save()
        # While the view moves or zooms the picture goes along, until the next one is there.
        if not self._picture.isNull() and now.rotation() == then.rotation() and now.destinationCrs() == then.destinationCrs():
            painter.setClipRect(QRectF(place, 0, view.width() - place, view.height()))
            corner = self.toCanvasCoordinates(QgsPointXY(then.mapToPixel().toMapCoordinates(0, 0)))
            factor = then.mapUnitsPerPixel() / now.mapUnitsPerPixel()
            size = then.outputSize()
            target = QRectF(corner.x(), corner.y(), size.width() * factor, size.height() * factor)
            painter.fillRect(target, then.backgroundColor())
            painter.drawImage(target, self._picture)
            painter.setClipping(False)
        middle = QPointF(place, view.height() / 2)
        for color, width in ((QColor(0, 0, 0, 150), 4), (QColor(255, 255, 255), 2)):
            painter.setPen(QPen(color, width))
            painter.drawLine(QPointF(place, 0), QPointF(place, view.height()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(0, 0, 0, 150), 1.5))
        painter.setBrush(QColor(255, 255, 255))
        painter.drawEllipse(middle, GRIP, GRIP)
        for side in (-1, 1):
            tip, back = QPointF(middle.x() + side * 6, middle.y()), middle.x() + side * 3
            painter.drawLine(tip, QPointF(back, middle.y() - 3))
            painter.drawLine(tip, QPointF(back, middle.y() + 3))
        painter.restore()


class Swipe(QObject):
    """Shows the divider and keeps its picture up to date.

    Args:
        canvas: Where.
        layers: Gives the layers that are seen to the right, the uppermost first.
    """

    def __init__(self, canvas: QgsMapCanvas, layers: Callable[[], list[QgsMapLayer]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas, self._layers = canvas, layers
        self._job: QgsMapRendererParallelJob | None = None
        self._ending: set[QgsMapRendererParallelJob] = set()  # cancelled jobs that still run
        self._is_dragged = self._is_near = False
        self.item: SwipeItem | None = None

    def start(self) -> None:
        """Shows the divider."""
        if self.item is None:
            self.item = SwipeItem(self._canvas)
            self._canvas.mapCanvasRefreshed.connect(self.render)
            self._canvas.viewport().installEventFilter(self)
        self.render()

    def stop(self) -> None:
        """Gives the canvas back."""
        if self.item is None:
            return
        self._drop_job()
        for job in list(self._ending):
            job.cancel()  # waits for it, as nobody will be there when it ends
        self._ending.clear()
        if not sip.isdeleted(self._canvas):
            self._canvas.mapCanvasRefreshed.disconnect(self.render)
            self._canvas.viewport().removeEventFilter(self)
            self._show_cursor(False)
            self._canvas.scene().removeItem(self.item)
        sip.delete(self.item)
        self.item, self._is_dragged = None, False

    def render(self) -> None:
        """Renders the other layers as they are now, in the background."""
        if self.item is None:
            return
        self._drop_job()
        settings = QgsMapSettings(self._canvas.mapSettings())
        settings.setLayers(self._layers())
        self._job = QgsMapRendererParallelJob(settings)
        self._job.finished.connect(self._take_picture)
        self._job.start()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Takes the mouse at the divider, so that the drawing tool does not."""
        if self.item is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.MouseMove and self._is_dragged:
            width = max(self._canvas.viewport().width(), 1)
            self.item.share = min(max(event.pos().x() / width, LEAST), 1 - LEAST)
            self.item.update()
            return True
        if kind == QEvent.Type.MouseMove and event.buttons() == Qt.MouseButton.NoButton:
            self._show_cursor(self._reaches(event.pos().x()))
        elif kind == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton and self._reaches(event.pos().x()):
            self._is_dragged = True
            return True
        elif kind == QEvent.Type.MouseButtonRelease and self._is_dragged:
            self._is_dragged = False
            return True
        return False

    def _reaches(self, x: int) -> bool:
        return abs(x - self.item.place) <= REACH

    def _show_cursor(self, is_near: bool) -> None:
        """Shows that the divider can be dragged; elsewhere the canvas's cursor, which the tool has set, is seen again."""
        if is_near != self._is_near:
            self._is_near = is_near
            view = self._canvas.viewport()
            if is_near:
                view.setCursor(Qt.CursorShape.SplitHCursor)
            else:
                view.unsetCursor()

    def _take_picture(self) -> None:
        job, self._job = self._job, None
        if job is not None and self.item is not None:
            self.item.show_picture(job.renderedImage(), job.mapSettings())

    def _drop_job(self) -> None:
        if self._job is not None:
            self._job.finished.disconnect(self._take_picture)
            job, self._job = self._job, None
            self._ending.add(job)
            job.finished.connect(lambda: self._ending.discard(job))
            job.cancelWithoutBlocking()
