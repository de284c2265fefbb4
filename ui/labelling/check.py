# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks all labels on request, in the background, and leads through what was found: selected, zoomed to, one after the other."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsDistanceArea, QgsFeatureRequest, QgsGeometry, QgsRectangle, QgsTask, QgsUnitTypes, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtGui import QColor

from .check_bar import CheckBar
from .editor import LabelEditor
from .label_check import Fault, examine, find_faults
from .label_index import LabelIndex
from .texts import tr

MARGIN = 1.6  # of the place's size in view
LEAST_SHARE = 0.25  # of the labels' size that is seen around the place, so that a sliver is not shown without its surroundings
COLOR, FILL = QColor(255, 0, 255), QColor(255, 0, 255, 90)


class LabelCheck(QObject):
    """The work of the button “Check” and of the row `CheckBar`.

    Args:
        bar: Tells what was found.
        editor: Its layer is checked.
        canvas: Shows the places.
    """

    def __init__(self, bar: CheckBar, editor: LabelEditor, canvas: QgsMapCanvas) -> None:
        super().__init__(bar)
        self._bar, self._editor, self._canvas = bar, editor, canvas
        self._task: QgsTask | None = None
        self._index: LabelIndex | None = None
        self._faults: list[Fault] = []
        self._place = 0
        self._band: QgsRubberBand | None = None
        bar.forward.connect(lambda: self._step(1))
        bar.back.connect(lambda: self._step(-1))
        bar.end.connect(self.end)

    @property
    def is_running(self) -> bool:
        """Whether labels are being looked at."""
        return self._task is not None

    def start(self, index: LabelIndex | None) -> None:
        """Checks the labels of the editor's layer, as they are now."""
        self.end()
        if self._editor.layer is None or index is None:
            self._editor.refused.emit(tr("There is no label layer: make a new one, or choose one above."))
            return
        self._index = index
        index.reset.connect(self.end)  # after saving, new labels have other ids
        shapes = self._read()
        task = QgsTask.fromFunction(tr("Check labels"), lambda task: find_faults(shapes, task.isCanceled), on_finished=self._take)
        self._task = task
        self._bar.tell(tr("Checking {} labels…").format(len(shapes)), False)
        QgsApplication.taskManager().addTask(task)

    def end(self) -> None:
        """Forgets what was found."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
        if self._index is not None:
            self._index.reset.disconnect(self.end)
            self._index = None
        self._faults = []
        self._mark(None)
        self._bar.hide()

    def _take(self, failure: Exception | None, faults: list[Fault] | None = None) -> None:
        if self._task is None:
            return  # ended meanwhile
        self._task = None
        if failure is not None:
            self.end()
            self._editor.refused.emit(tr("The labels could not be checked ({}); save them, and try again.").format(failure))
            return
        self._faults, self._place = faults or [], 0
        self._show()

    def _step(self, by: int) -> None:
        """Goes on from a fault, which leaves the list if it was mended."""
        if not self._faults:
            return
        fault = self._faults[self._place]
        if examine(self._read(fault.fids), fault.fids) is None:
            del self._faults[self._place]
            by = min(by, 0)  # the next one has moved up
        if self._faults:
            self._place = (self._place + by) % len(self._faults)
        self._show()

    def _show(self) -> None:
        """Shows the fault in work as it is now; passes over those that were mended."""
        while self._faults:
            self._place %= len(self._faults)
            fids = self._faults[self._place].fids
            fault = examine(self._read(fids), fids)
            if fault is not None:
                break
            del self._faults[self._place]
        else:
            self._mark(None)
            self._bar.tell(tr("No label crosses itself, and none overlaps another one."), False)
            return
        layer = self._editor.layer
        layer.selectByIds(list(fault.fids))
        self._zoom(fault)
        self._mark(fault)
        self._bar.tell(f"{self._place + 1}/{len(self._faults)}: {self._describe(fault)}", True)

    def _zoom(self, fault: Fault) -> None:
        layer = self._editor.layer
        place = QgsRectangle(fault.place)
        around = [geometry.boundingBox() for geometry in self._read(fault.fids).values()]
        place.grow(LEAST_SHARE * max(max(box.width(), box.height()) for box in around))
        view = self._canvas.mapSettings().layerExtentToOutputExtent(layer, place)
        view.scale(MARGIN)
        self._canvas.setExtent(view)
        self._canvas.refresh()

    def _mark(self, fault: Fault | None) -> None:
        """Shows on the canvas what two labels share, or the label whose outline crosses itself; nothing for None."""
        if self._band is not None:
            if not sip.isdeleted(self._canvas):
                self._canvas.scene().removeItem(self._band)
            sip.delete(self._band)
            self._band = None
        if fault is None:
            return
        self._band = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
        self._band.setStrokeColor(COLOR)
        self._band.setFillColor(FILL)
        self._band.setWidth(2)
        shape = self._read(fault.fids)[fault.fids[0]] if fault.shared.isEmpty() else fault.shared
        self._band.setToGeometry(shape, self._editor.layer)

    def _describe(self, fault: Fault) -> str:
        names = [self._name(fid) for fid in fault.fids]
        if len(fault.fids) == 1:
            return tr("{0}: the outline crosses itself.").format(names[0])
        area = QgsDistanceArea.formatArea(self._index.measure(fault.shared), 1, QgsUnitTypes.AreaUnit.AreaSquareMeters, False)
        if names[0] == names[1]:
            return tr("Two of {0} overlap by {1}.").format(names[0], area)
        return tr("{0} and {1} overlap by {2}; in training, the later one counts.").format(*names, area)

    def _name(self, fid: int) -> str:
        self._index.catch_up()
        row = self._index.rows.get(fid)
        entry = self._editor.schema.get(row.value) if row is not None and row.value is not None else None
        return entry.name if entry is not None else tr("(no class)")

    def _read(self, fids: tuple[int, ...] | None = None) -> dict[int, QgsGeometry]:
        """Geometries by id, of some labels or of all."""
        request = QgsFeatureRequest().setNoAttributes()
        if fids is not None:
            request.setFilterFids(list(fids))
        return {feature.id(): feature.geometry() for feature in self._editor.layer.getFeatures(request) if feature.hasGeometry()}
