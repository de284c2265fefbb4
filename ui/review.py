# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a review: connects dock, map canvas, keys and session.

Keys work while the canvas or the dock has the focus: those of the classes, S skip, B back, N next open point, C comment. In a blind
review the rasters that show classes are hidden, and shown again at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qgis.core import (
    QgsApplication,
    QgsCoordinateTransform,
    QgsCsException,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsMessageBar, QgsRubberBand, QgsVertexMarker
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, Qt, QTimer
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QInputDialog

from ..backend.errors import ToolboxError
from .review_classes import UNKNOWN_COLOR, ReviewClass, classes_of_raster, list_classes
from .review_dock import ReviewDock, tr
from .review_keys import ReviewKeys
from .review_session import DECIDED, DISPUTED, SKIPPED, TRUTH, PointState, ReviewSession

MARK_COLOR, HALO_COLOR = QColor(230, 57, 70), QColor(255, 255, 255)
MARK_SIZE, MARK_WIDTH = 20, 3
LARGEST_VALUE = 65_534
MARGIN = 1.5  # a chip fills two thirds of the canvas


class Review(QObject):
    """The review of one layer at a time.

    Args:
        dock: What the user sees; it belongs to whoever made it.
        canvas: Where the points are shown.
        messages: Where failures are told.
        project: Whose layers are reviewed.
    """

    def __init__(self, dock: ReviewDock, canvas: QgsMapCanvas, messages: QgsMessageBar, project: QgsProject) -> None:
        super().__init__(dock)
        self._dock, self._canvas, self._messages, self._project = dock, canvas, messages, project
        self.session: ReviewSession | None = None
        self._classes: list[ReviewClass] = []
        self._keys: ReviewKeys | None = None
        self._marks: list[QgsVertexMarker | QgsRubberBand] = []
        self._hidden: list[str] = []
        self._refresh_timer = QTimer(self)  # gathers the many signals of one change
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.timeout.connect(self._refresh)
        if not dock.reviewer.text():
            dock.reviewer.setText(QgsApplication.userFullName() or QgsApplication.userLoginName())
        dock.start_clicked.connect(self.toggle)
        dock.class_chosen.connect(self.answer)
        dock.skip_clicked.connect(self.skip)
        dock.back_clicked.connect(self.back)
        dock.next_clicked.connect(self.go_on)
        dock.commented.connect(self.comment)
        dock.other_clicked.connect(self.ask_class)
        dock.options_changed.connect(self._show)
        dock.comment.returnPressed.connect(canvas.setFocus)  # else the next key would be written into the comment
        dock.closed.connect(self.stop)
        project.layersWillBeRemoved.connect(self._forget_removed)

    def suggest(self) -> None:
        """Chooses the first points and the first class raster of the project, as long as no review is under way."""
        if self.session is not None:
            return
        layers = [node.layer() for node in self._project.layerTreeRoot().findLayers() if node.layer() is not None]
        vectors = [layer for layer in layers if isinstance(layer, QgsVectorLayer) and layer.fields().lookupField(TRUTH) >= 0]
        self._dock.layer.setLayer(next(iter(vectors), self._dock.layer.currentLayer()))
        self._dock.class_raster.setLayer(next(filter(_shows_classes, layers), None))

    def toggle(self) -> None:
        """Begins or ends the review."""
        if self.session is None:
            self.start()
        else:
            self.stop()

    def start(self) -> None:
        """Begins the review of the layer that the dock names; a message tells why it cannot."""
        layer = self._dock.layer.currentLayer()
        if layer is None:
            self._warn(tr("Load points first, e.g. with “Create accuracy assessment points”."))
            return
        raster = self._dock.class_raster.currentLayer()
        try:
            session = ReviewSession(layer, self._dock.reviewer.text())
        except ToolboxError as failure:
            self._warn(str(failure))
            return
        self._classes = list_classes(classes_of_raster(raster), session.values())
        if not self._classes:
            self._warn(tr("There are no classes: choose the class raster that the points belong to."))
            return
        self.session = session
        session.deciding = self._dock.deciding.isChecked()
        self._watch(layer)
        if session.answered_before:
            text = tr("{} points are already answered under the name {}; the review goes on there.")
            self._messages.pushInfo(self._dock.windowTitle(), text.format(session.answered_before, session.reviewer))
        if self._dock.blind.isChecked():
            self._hide_class_rasters()
        self._dock.show_classes(self._classes)
        self._dock.show_running(True)
        self._keys = self._make_keys()
        if not session.go_to_next_open():
            self._messages.pushInfo(self._dock.windowTitle(), tr("All points are answered."))
        self._show()
        self._canvas.setFocus()

    def stop(self) -> None:
        """Ends the review; all answers are in the layer."""
        if self.session is None:
            return
        if self.session.ids:  # else all points were deleted
            self.comment(self._dock.comment.text())
        self._unwatch()
        self.session = None
        if self._keys is not None:
            self._keys.remove()
            self._keys = None
        self._clear_marks()
        root = self._project.layerTreeRoot()
        for layer in filter(None, map(root.findLayer, self._hidden)):
            layer.setItemVisibilityChecked(True)
        self._hidden.clear()
        self._dock.show_running(False)

    def answer(self, value: int) -> None:
        """Takes the true class of the current point, and goes on if so wished."""
        self._keep_comment()
        if self.session is not None and self._try(lambda session: session.answer(value)) and self._dock.advance.isChecked():
            self._advance()
        self._show()

    def skip(self) -> None:
        """Leaves the point for later."""
        self._keep_comment()
        if self.session is not None and self._try(lambda session: session.skip()):
            self._advance()
        self._show()

    def back(self) -> None:
        """Goes to the point before, answered or not."""
        self._keep_comment()
        if self.session is not None:
            self.session.step(-1)
            self._show()

    def go_on(self) -> None:
        """Goes to the next open point."""
        self._keep_comment()
        if self.session is not None:
            self._advance()
            self._show()

    def comment(self, text: str) -> None:
        """Keeps a comment on the current point."""
        if self.session is not None:
            self._try(lambda session: session.comment(text))

    def ask_class(self) -> None:
        """Asks for the value of a class that is not listed, lists it, and takes it as the answer."""
        if self.session is None:
            return
        text = tr("Value of the class (it gets a name where the accuracy is assessed):")
        value, given = QInputDialog.getInt(self._dock, self._dock.windowTitle(), text, 1, 0, LARGEST_VALUE)
        if given:
            self._add_class(value)
            self.answer(value)

    def _add_class(self, value: int) -> None:
        if value not in {entry.value for entry in self._classes}:
            self._classes.append(ReviewClass(value, str(value), QColor(*UNKNOWN_COLOR), ""))
            self._dock.show_classes(self._classes)

    def _keep_comment(self) -> None:
        """Keeps what is being typed, before the point changes."""
        if self.session is not None:
            self.comment(self._dock.comment.text())

    def _watch(self, layer: QgsVectorLayer) -> None:
        """Follows changes of the layer by others: undo, rollback, features added or deleted."""
        for signal in self._signals(layer):
            signal.connect(self._plan_refresh)

    def _unwatch(self) -> None:
        self._refresh_timer.stop()
        if self.session is not None and not sip.isdeleted(self.session.layer):
            for signal in self._signals(self.session.layer):
                signal.disconnect(self._plan_refresh)

    @staticmethod
    def _signals(layer: QgsVectorLayer) -> list:
        changed = layer.featureDeleted, layer.featureAdded, layer.attributeValueChanged
        return [layer.afterRollBack, *changed, layer.committedFeaturesAdded]

    def _plan_refresh(self, *_args: object) -> None:
        self._refresh_timer.start(0)

    def _refresh(self) -> None:
        """Shows the layer as it is now; ends the review when nothing is left of it."""
        if self.session is None:
            return
        if self.session.refresh():
            self._keep_typing()
        else:
            self.stop()

    def _keep_typing(self) -> None:
        """Shows the point anew, without losing what is being typed."""
        typed = self._dock.comment.text() if self._dock.comment.hasFocus() else None
        self._show()
        if typed is not None:
            self._dock.comment.setText(typed)

    def _advance(self) -> None:
        session = self.session
        if session is None:
            return
        self._dock.comment.clearFocus()
        place = session.place
        session.step(1)
        if not session.go_to_next_open():
            session.step(place - session.place)
            self._messages.pushInfo(self._dock.windowTitle(), tr("All points are answered."))

    def _try(self, action: Callable[[ReviewSession], None]) -> bool:
        """Runs an action of the session; a message tells when it fails."""
        try:
            action(self.session)
        except ToolboxError as failure:
            self._warn(str(failure))
            return False
        return True

    def _warn(self, text: str) -> None:
        self._messages.pushWarning(self._dock.windowTitle(), text)

    def _show(self) -> None:
        """Brings dock and canvas to the current point."""
        session = self.session
        if session is None:
            return
        state = session.state()
        text = tr("Point {} of {}").format(session.place + 1, len(session.ids))
        marks = {SKIPPED: tr("skipped"), DISPUTED: tr("reviewers differ"), DECIDED: tr("decided")}
        if state.status in marks:
            text += f" ({marks[state.status]})"
        answer = state.truth if session.deciding else state.answer
        self._dock.show_point(text, answer, self._describe(state, answer), state.comment)
        self._dock.show_progress(session.done, len(session.ids), self._describe_agreement(session))
        self._move_canvas(session)

    def _describe(self, state: PointState, answer: int | None) -> str:
        """The class of the map, as soon as it cannot sway the answer any more."""
        if state.classified is None or (answer is None and self._dock.blind.isChecked()):
            return ""
        names = {entry.value: entry.name for entry in self._classes}
        return tr("On the map: {}").format(names.get(state.classified, str(state.classified)))

    def _describe_agreement(self, session: ReviewSession) -> str:
        lines = []
        for entry in session.agreements():
            if entry.both:
                kappa = "–" if entry.kappa is None else f"{entry.kappa:.2f}"
                share = 100 * entry.same / entry.both
                lines.append(
                    tr("Agrees with {} at {:.0f} % of {} points (kappa {})").format(entry.other, share, entry.both, kappa)
                )
        if session.disputed:
            lines.append(tr("{} points are disputed.").format(session.disputed))
        return "\n".join(lines)

    def _move_canvas(self, session: ReviewSession) -> None:
        """Centres the canvas on the feature and marks it."""
        self._clear_marks()
        geometry = session.geometry()
        transform = QgsCoordinateTransform(session.layer.crs(), self._canvas.mapSettings().destinationCrs(), self._project)
        try:
            geometry.transform(transform)
        except QgsCsException:
            self._warn(tr("This point lies outside of what the project's coordinate system can show."))
            return
        if geometry.isEmpty():
            self._warn(tr("This feature has no geometry; skip it."))
            return
        if QgsWkbTypes.geometryType(geometry.wkbType()) == QgsWkbTypes.GeometryType.PointGeometry:
            center = geometry.boundingBox().center()
            # Not setCenter, which does nothing while the canvas has no extent yet; the scale then sets the size.
            self._canvas.setExtent(QgsRectangle.fromCenterAndSize(center, 1, 1))
            self._canvas.zoomScale(self._dock.scale.scale())
            self._mark_point(center)
        else:
            box = geometry.boundingBox()
            box.scale(MARGIN)
            self._canvas.setExtent(box)
            mark = QgsRubberBand(self._canvas, QgsWkbTypes.GeometryType.LineGeometry)
            mark.setToGeometry(geometry.convertToType(QgsWkbTypes.GeometryType.LineGeometry, True))
            mark.setColor(MARK_COLOR)
            mark.setSecondaryStrokeColor(HALO_COLOR)
            mark.setWidth(MARK_WIDTH)
            self._marks.append(mark)
        self._canvas.refresh()

    def _mark_point(self, center: QgsPointXY) -> None:
        """A box around the point, bordered so that it stands out from any image."""
        for color, width in ((HALO_COLOR, MARK_WIDTH + 3), (MARK_COLOR, MARK_WIDTH)):
            mark = QgsVertexMarker(self._canvas)
            mark.setCenter(center)
            mark.setIconType(QgsVertexMarker.IconType.ICON_BOX)
            mark.setColor(color)
            mark.setIconSize(MARK_SIZE)
            mark.setPenWidth(width)
            self._marks.append(mark)

    def _clear_marks(self) -> None:
        for mark in self._marks:
            self._canvas.scene().removeItem(mark)
            sip.delete(mark)  # else it would live on without a scene until QGIS ends
        self._marks.clear()

    def _hide_class_rasters(self) -> None:
        """Hides what would give the class away: rasters of classes, and the chosen map however it is shown."""
        for node in self._project.layerTreeRoot().findLayers():
            gives_away = _shows_classes(node.layer()) or node.layer() is self._dock.class_raster.currentLayer()
            if gives_away and node.itemVisibilityChecked():
                node.setItemVisibilityChecked(False)
                self._hidden.append(node.layerId())

    def _make_keys(self) -> ReviewKeys:
        actions: dict[int, Callable[[], None]] = {}
        for entry in self._classes:
            if entry.key:
                actions[ord(entry.key)] = partial(self.answer, entry.value)
        actions |= {ord("S"): self.skip, ord("B"): self.back, ord("N"): self.go_on, ord("C"): self._dock.comment.setFocus}
        actions[int(Qt.Key.Key_Backspace)] = self.back
        return ReviewKeys((self._canvas, self._dock), actions, self)

    def _forget_removed(self, ids: list[str]) -> None:
        if self.session is not None and self.session.layer.id() in ids:
            self.stop()


def _shows_classes(layer: QgsMapLayer | None) -> bool:
    return isinstance(layer, QgsRasterLayer) and isinstance(layer.renderer(), QgsPalettedRasterRenderer)
