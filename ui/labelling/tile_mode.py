# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels an area tile by tile: shows one after the other on the canvas and remembers which are done.

Keys on the canvas: N next tile that is not done, B the one before, D done and on to the next.
"""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsCsException, QgsGeometry, QgsProject, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor

from .texts import tr
from .tile_grid import TileGrid, make_grid
from .tile_memory import TileMemory

MARGIN = 1.1  # of the tile's size in view, so that what lies at its border can be judged
DENSIFY = 8  # points added to each side, which is bent in another CRS
COLOR = QColor(255, 255, 0)


class TileMode(QObject):
    """The tiles of one label layer at a time.

    Signals:
        changed: The tile or the progress is another one; see `grid`.
        failed: A sentence for the user.
    """

    changed = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas, self._project = canvas, project
        self._memory = TileMemory(project, "")
        self._band: QgsRubberBand | None = None
        self.grid: TileGrid | None = None

    def use(self, memory: TileMemory) -> None:
        """Goes on with the tiles that are remembered of a label layer."""
        self._memory = memory
        text = memory.read()
        self._take(TileGrid.from_text(text) if text else None)

    def begin(self, area: QgsGeometry, size: float) -> None:
        """Cuts an area, in the canvas's coordinates, into new tiles and shows the first.

        Raises:
            ToolboxError: See `make_grid`.
        """
        crs = self._canvas.mapSettings().destinationCrs()
        self._take(make_grid(area, size, crs.authid() or crs.toWkt()))
        self._keep()

    def end(self) -> None:
        """Forgets the tiles."""
        self._memory.forget()
        self._take(None)

    def next(self) -> None:
        """Shows the next tile that is not done; stays when there is none."""
        if self.grid is not None:
            self._go(self.grid.next_open())

    def previous(self) -> None:
        """Shows the tile before, whether it is done or not."""
        if self.grid is not None:
            self._go((self.grid.current - 1) % len(self.grid.tiles))

    def mark_done(self) -> None:
        """Notes that the tile is finished and goes on to the next."""
        if self.grid is not None:
            self.grid.done.add(self.grid.current)
            self._go(self.grid.next_open())

    def remove(self) -> None:
        """Gives the canvas back; the progress is kept."""
        self._memory = TileMemory(self._project, "")
        self._take(None)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Takes the keys of the canvas."""
        if event.type() != QEvent.Type.KeyPress or event.modifiers() != Qt.KeyboardModifier.NoModifier:
            return False
        work = {Qt.Key.Key_N: self.next, Qt.Key.Key_B: self.previous, Qt.Key.Key_D: self.mark_done}.get(event.key())
        if work is None:
            return False
        work()
        return True

    def _go(self, number: int | None) -> None:
        if number is not None:
            self.grid.current = number
        self._keep()
        self._show()
        self.changed.emit()

    def _keep(self) -> None:
        if self.grid is not None:
            self._memory.write(self.grid.to_text())

    def _take(self, grid: TileGrid | None) -> None:
        had, self.grid = self.grid is not None, grid
        if not sip.isdeleted(self._canvas):
            if had:
                self._canvas.removeEventFilter(self)
                self._canvas.destinationCrsChanged.disconnect(self._show)
            if grid is not None:
                self._canvas.installEventFilter(self)
                self._canvas.destinationCrsChanged.connect(self._show)
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        """Frames the tile and moves the view there."""
        if self._band is not None:
            if not sip.isdeleted(self._canvas):
                self._canvas.scene().removeItem(self._band)
            sip.delete(self._band)
            self._band = None
        if self.grid is None:
            return
        shape = QgsGeometry.fromRect(self.grid.rectangle).densifyByCount(DENSIFY)
        crs = QgsCoordinateReferenceSystem(self.grid.crs)
        into = QgsCoordinateTransform(crs, self._canvas.mapSettings().destinationCrs(), self._project.transformContext())
        try:
            shape.transform(into)
        except QgsCsException:
            self.failed.emit(tr("The tile cannot be shown in the project's coordinate system; choose another one for the project."))
            return
        self._band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setFillColor(QColor(0, 0, 0, 0))
        self._band.setStrokeColor(COLOR)
        self._band.setWidth(2)
        self._band.setToGeometry(shape, None)
        view = shape.boundingBox()
        view.scale(MARGIN)
        self._canvas.setExtent(view)
        self._canvas.refresh()
