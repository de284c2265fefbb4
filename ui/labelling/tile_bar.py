# SPDX-License-Identifier: GPL-2.0-or-later
"""The row of buttons for labelling tile by tile, with the progress."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsGeometry,
    QgsMapLayer,
    QgsMapLayerProxyModel,
    QgsProject,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QDoubleSpinBox, QHBoxLayout, QProgressBar, QPushButton, QToolButton, QWidget

from ...backend.errors import ToolboxError
from .texts import tr
from .tile_mode import DENSIFY, TileMode


class TileBar(QWidget):
    """Begins, steps through and ends the tiles of a `TileMode`; new tiles cover the view, an image, or the polygons of a mask."""

    def __init__(self, canvas: QgsMapCanvas, mode: TileMode, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas, self._mode = canvas, mode
        self.size_box = QDoubleSpinBox()
        self.size_box.setDecimals(6)
        self.size_box.setRange(0, 1e9)
        self.size_box.setSpecialValueText(tr("(quarter)"))
        self.size_box.setMaximumWidth(110)  # pixels; its range would ask for more
        self.size_box.setToolTip(tr("Width of a tile in map units; 0 = a quarter of the view's longer side"))
        self.area = QgsMapLayerComboBox()
        self.area.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer | QgsMapLayerProxyModel.Filter.RasterLayer)
        self.area.setAllowEmptyLayer(True, tr("(this view)"))
        self.area.setCurrentIndex(0)  # not setLayer(None), which shows a blank line instead of that text
        self.area.setMinimumContentsLength(8)
        self.area.setToolTip(tr("What to cut into tiles: the view, an image, or polygons (only the selected ones, if any are)"))
        self.start = QPushButton(tr("Make tiles"))
        self.back, self.finish, self.forward, self.stop = (QToolButton() for _ in range(4))
        self.progress = QProgressBar()
        self.progress.setFormat(tr("%v of %m done"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self.area, self.size_box, self.start, self.back, self.finish, self.forward, self.progress, self.stop):
            row.addWidget(widget)
        buttons = (
            (self.back, "‹", tr("Tile before (B)"), mode.previous),
            (self.finish, "✓", tr("Done, next tile (D)"), mode.mark_done),
            (self.forward, "›", tr("Next tile that is not done (N)"), mode.next),
            (self.stop, "×", tr("End, and forget the tiles"), mode.end),
        )
        for button, sign, text, work in buttons:
            button.setText(sign)
            button.setToolTip(text)
            button.clicked.connect(lambda _checked=False, work=work: work())
        self.start.clicked.connect(lambda _checked=False: self._begin())
        mode.changed.connect(self._show)
        self._show()

    def _begin(self) -> None:
        try:
            area = read_area(self.area.currentLayer(), self._canvas)
            view = self._canvas.extent()
            self._mode.begin(area, self.size_box.value() or max(view.width(), view.height()) / 4)
        except ToolboxError as failure:
            self._mode.failed.emit(str(failure))

    def _show(self) -> None:
        grid = self._mode.grid
        for widget in (self.area, self.size_box, self.start):
            widget.setVisible(grid is None)
        for widget in (self.back, self.finish, self.forward, self.progress, self.stop):
            widget.setVisible(grid is not None)
        if grid is not None:
            self.progress.setRange(0, len(grid.tiles))
            self.progress.setValue(len(grid.done))


def read_area(layer: QgsMapLayer | None, canvas: QgsMapCanvas) -> QgsGeometry:
    """What is to be labelled, in the canvas's coordinates: an image's extent, a mask's (selected) polygons, else the view.

    Raises:
        ToolboxError: It does not lie within where the canvas's coordinate system is defined.
    """
    if layer is None:
        return QgsGeometry.fromRect(canvas.extent())
    if isinstance(layer, QgsVectorLayer):
        request = QgsFeatureRequest().setNoAttributes()
        if layer.selectedFeatureCount():
            request.setFilterFids(layer.selectedFeatureIds())
        shapes = [feature.geometry() for feature in layer.getFeatures(request) if feature.hasGeometry()]
        area = QgsGeometry.unaryUnion([shape if shape.isGeosValid() else shape.makeValid() for shape in shapes])
    else:
        area = QgsGeometry.fromRect(layer.extent()).densifyByCount(DENSIFY)
    into = QgsCoordinateTransform(layer.crs(), canvas.mapSettings().destinationCrs(), QgsProject.instance().transformContext())
    try:
        area.transform(into)
    except QgsCsException as failure:
        text = tr("“{0}” cannot be brought into the project's coordinate system; choose another one for the project.")
        raise ToolboxError(text.format(layer.name())) from failure
    return area
