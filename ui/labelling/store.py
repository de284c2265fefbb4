# SPDX-License-Identifier: GPL-2.0-or-later
"""The label layer in use: opened as it is, edited through QGIS's edit buffer, and journalled against a crash.

Whatever changes the edit buffer (our tools, QGIS's own, undo and redo) is journalled, since the layer's signals are listened to. A
layer that is no label layer of ours is foreign: it is shown and counted, but edited only after `allow_editing`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import QgsFeature, QgsFeatureRequest, QgsVectorDataProvider, QgsVectorLayer, QgsWkbTypes
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QTimer, QVariant, pyqtSignal

from ...algorithms.label_classes import LabelFields
from ...algorithms.label_layer import CODE, IMAGERY, NAME, UNSAVED, VALUE
from ...backend.errors import ToolboxError
from .journal import Journal, LabelState, Unsaved
from .recovery import restore_states
from .texts import tr


class LabelStore(QObject):
    """One label layer while the dock shows it.

    Args:
        layer: Polygons.
        parent: Owner.

    Signals:
        saved: The edits are in the file.
        discarded: The edits were rolled back; the argument tells whether they can be brought back.
        recovered: Labels that an earlier session had not saved are back; the argument is their number.
        failed: What went wrong, for the user.

    Raises:
        ToolboxError: The layer has no polygons.
    """

    saved = pyqtSignal()
    discarded = pyqtSignal(bool)
    recovered = pyqtSignal(int)
    failed = pyqtSignal(str)

    def __init__(self, layer: QgsVectorLayer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        if QgsWkbTypes.geometryType(layer.wkbType()) != QgsWkbTypes.GeometryType.PolygonGeometry:
            raise ToolboxError(f"“{layer.name()}” holds no polygons; convert it with the tool “Use existing features as labels”.")
        self.layer = layer
        self.fields = LabelFields.find(layer.fields(), "", "")
        self.codes: dict[Any, int] = {}  # class values of the texts in the class field, where it holds texts that are no numbers
        self.is_own = is_label_layer(layer)
        self.may_edit = self.is_own
        self.journal = _journal_of(layer)
        self._dirty: set[int] = set()
        self._paused = False  # while a commit gives labels their final ids, or a journal is replayed
        self._restores = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.flush)
        self._connect()
        if layer.isEditable():
            self._begin()

    @property
    def is_alive(self) -> bool:
        """Whether QGIS still has the layer."""
        return not sip.isdeleted(self.layer)

    def close(self) -> None:
        """Lets the layer go; unsaved labels stay in its edit buffer and in the journal."""
        if self.is_alive:
            self.flush()
            for signal, slot in self._links:
                signal.disconnect(slot)
        self._links = []
        self._later.stop()
        if self.journal is not None:
            self.journal.release()

    def allow_editing(self) -> None:
        """The user wants this foreign layer edited as it is; raises ToolboxError when it has no field for the class."""
        if not self.fields.value:
            raise ToolboxError(
                f"“{self.layer.name()}” has no field Classvalue or Value; convert it with the tool “Use existing features as labels”."
            )
        self.may_edit = True

    def value_of(self, feature: QgsFeature) -> int | None:
        """Class value of a label; None when it has none."""
        if not self.fields.value:
            return 1
        content = plain(feature[self.fields.value])
        try:
            return self.codes[str(content)] if self.codes else int(content)
        except (KeyError, TypeError, ValueError):
            return None

    def content_of(self, value: int, name: str) -> Any:
        """What the class field holds for a class: its value, or its text where the field holds texts."""
        if self.codes:
            if not self.fields.name:
                return name  # the text is the name
            return next((text for text, code in self.codes.items() if code == value), name)
        field = self.layer.fields().at(self.layer.fields().lookupField(self.fields.value))
        return value if field.isNumeric() else str(value)

    def learn(self, content: Any, value: int) -> None:
        """A label gets this content of the class field for a class, perhaps a text that was not there before."""
        if self.codes:
            self.codes[str(content)] = value

    def start_editing(self) -> None:
        """Opens the edit buffer, if it is not open; raises ToolboxError when the layer cannot or must not be edited."""
        name = self.layer.name()
        if not self.may_edit:
            raise ToolboxError(f"“{name}” is a file of another program; press “Edit it as it is” or “Copy to a label layer” first.")
        if self.layer.isEditable():
            return
        wanted = QgsVectorDataProvider.Capability.AddFeatures | QgsVectorDataProvider.Capability.ChangeGeometries
        path = file_of(self.layer)
        read_only = bool(path) and not os.access(path, os.W_OK)
        if read_only or self.layer.readOnly() or (self.layer.dataProvider().capabilities() & wanted) != wanted:
            raise ToolboxError(f"“{name}” is read-only; copy it to a label layer in a folder of your own, and label there.")
        if self.journal is not None:
            self.journal.claim()
        if not self.layer.startEditing():
            raise ToolboxError(f"“{name}” cannot be edited now; close programs that use it, and try again.")

    def save(self) -> None:
        """Writes the edits into the file and goes on editing; raises ToolboxError when it cannot, and then all stays as it is."""
        self.flush()
        if not self.layer.isEditable() or not self.layer.isModified():
            return
        if not self.layer.commitChanges(False):
            self._resume()
            errors = [line.strip() for line in self.layer.commitErrors() if "ERROR" in line or "failed" in line.lower()]
            reason = errors[-1] if errors else tr("the file is locked or full")
            raise ToolboxError(
                f"The labels cannot be saved to “{self.layer.name()}” now ({reason}); close programs that use it, and save again."
            )

    def unsaved(self) -> Unsaved | None:
        """Labels of a session that ended without saving; None when there are none.

        Raises:
            ToolboxError: Another QGIS has them under way.
        """
        if self.journal is None or not self.journal.path.exists():
            return None
        self.journal.claim()
        found = self.journal.read()
        return None if found is None or (found.owner == self._session and self.layer.isModified()) else found

    def restore(self, unsaved: Unsaved) -> int:
        """Puts unsaved labels back into the edit buffer, as one step to undo; returns how many. Raises ToolboxError."""
        self.may_edit = True  # it was edited before, on the user's wish
        self._restores = True
        try:
            self.start_editing()
            self._paused = True
            count = restore_states(self.layer, unsaved)
        except ToolboxError:
            if self.layer.isEditable():
                self._spare_journal()
            raise
        finally:
            self._paused = self._restores = False
        touched, self._dirty = self._dirty, set()
        # In one step: ids of labels that are not in the file yet are others than in the lines before.
        self.journal.rewrite(self._states(touched))
        return count

    def bring_back(self) -> int:
        """Puts the labels that were rolled back last into the edit buffer again; returns how many. Raises ToolboxError."""
        unsaved = self.journal.read(discarded=True) if self.journal is not None else None
        if unsaved is None:
            return 0
        self.start_editing()
        count = restore_states(self.layer, unsaved)
        self.flush()
        self.journal.discarded.unlink(missing_ok=True)
        return count

    def flush(self) -> None:
        """Writes the states of all labels touched since the last time into the journal."""
        if self._paused or not self.is_alive or not self._dirty:
            return
        touched, self._dirty = self._dirty, set()
        if self.journal is None or not self.layer.isEditable():
            return
        try:
            self.journal.append(self._states(touched))
            if not self.layer.isModified():
                self.journal.forget()  # all is undone: the file counts, also when others change it from now on
        except ToolboxError as failure:
            self._dirty |= touched  # they are written with the next ones
            self.failed.emit(str(failure))

    def _states(self, touched: set[int]) -> list[LabelState]:
        request = QgsFeatureRequest().setFilterFids(sorted(touched))
        found = {feature.id(): feature for feature in self.layer.getFeatures(request)}
        return [_state(fid, found.get(fid)) for fid in sorted(touched)]

    def _connect(self) -> None:
        layer = self.layer
        stack = layer.undoStack()
        self._links = [
            (layer.editingStarted, self._start),
            (layer.featureAdded, self._touch),
            (layer.featureDeleted, self._touch),
            (layer.geometryChanged, self._touch),
            (layer.attributeValueChanged, self._touch),
            (stack.indexChanged, self._flush_step),  # after each command, undo and redo
            (layer.beforeCommitChanges, self._pause_for_commit),
            (layer.afterCommitChanges, self._committed),
            (layer.beforeRollBack, self._pause),  # which undoes step by step
            (layer.afterRollBack, self._rolled_back),
        ]
        for signal, slot in self._links:
            signal.connect(slot)

    def _start(self) -> None:
        """Editing begins, by whatever tool: labels of an earlier session come back first, since those of now would take their ids."""
        self._begin()
        if self._restores:
            return
        try:
            unsaved = self.unsaved()
            count = self.restore(unsaved) if unsaved is not None else 0
        except ToolboxError as failure:
            self.failed.emit(str(failure))
            return
        if count:
            self.recovered.emit(count)

    def _spare_journal(self) -> None:
        """Leaves the journal as it is, with labels that could not be put back; what is drawn from now on is not kept in it."""
        self._dirty.clear()
        self.journal.release()
        self.journal = None

    def _begin(self) -> None:
        """Notes what the file holds before the first edit."""
        if self.journal is None:
            return
        try:
            self.journal.claim()
        except ToolboxError as failure:
            self.journal = None
            self.failed.emit(str(failure))
            return
        request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry).setNoAttributes()
        # The provider's own features: those of the edit buffer have no id in the file yet.
        highest = max((feature.id() for feature in self.layer.dataProvider().getFeatures(request)), default=0)
        self.journal.begin(highest, self._session)
        buffer = self.layer.editBuffer()
        if buffer is not None:  # edits made before the dock was opened
            self._dirty |= {*buffer.addedFeatures(), *buffer.changedGeometries(), *buffer.changedAttributeValues()}
            self._dirty |= set(buffer.deletedFeatureIds())
            self._later.start(0)

    @property
    def _session(self) -> str:
        """Tells this layer in this run of QGIS from those before."""
        return f"{os.getpid()} {self.layer.id()}"

    def _touch(self, fid: int, *_more: Any) -> None:
        self._dirty.add(fid)
        if not self._later.isActive():
            self._later.start(0)  # for edits outside of a command

    def _flush_step(self, _index: int) -> None:
        self.flush()

    def _pause(self) -> None:
        self._paused = True

    def _pause_for_commit(self, *_stop: bool) -> None:
        self._paused = True
        QTimer.singleShot(0, self._resume)  # nothing tells of a commit that failed

    def _resume(self) -> None:
        self._paused = False
        self.flush()

    def _committed(self) -> None:
        self._paused = False
        self._dirty.clear()
        if self.journal is not None:
            self.journal.remove()
            self._begin()
        self.saved.emit()

    def _rolled_back(self) -> None:
        self._paused = False
        self._dirty.clear()
        self.discarded.emit(self.journal is not None and self.journal.discard())


def is_label_layer(layer: QgsVectorLayer) -> bool:
    """Whether a layer has the form of our label layers."""
    names = layer.fields().names()
    return layer.storageType() == "GPKG" and all(name in names for name in (NAME, VALUE, CODE, IMAGERY))


def file_of(layer: QgsVectorLayer) -> str:
    """Path of the layer's file; empty when it lies in no file."""
    path = layer.source().partition("|")[0] if layer.providerType() == "ogr" else ""
    return path if os.path.isfile(path) else ""


def plain(value: Any) -> Any:
    """A field's content; None for NULL."""
    return None if value is None or (isinstance(value, QVariant) and value.isNull()) else value


def file_beside(layer: QgsVectorLayer, ending: str) -> Path | None:
    """A file of ours beside a layer's file, named after both; None when the layer lies in no file."""
    path = file_of(layer)
    if not path:
        return None
    name = next((part[10:] for part in layer.source().split("|") if part.startswith("layername=")), "")
    name = name or os.path.splitext(os.path.basename(path))[0]
    plain_name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in name)
    return Path(f"{path}.{plain_name}{ending}")


def _journal_of(layer: QgsVectorLayer) -> Journal | None:
    """The journal beside a layer's file; None when it lies in no file."""
    path = file_beside(layer, UNSAVED)
    return None if path is None else Journal(path)


def _state(fid: int, feature: QgsFeature | None) -> LabelState:
    if feature is None:
        return LabelState(fid, None)
    attributes = {name: plain(value) for name, value in zip(feature.fields().names(), feature.attributes()) if name != "fid"}
    return LabelState(fid, bytes(feature.geometry().asWkb().toHex()).decode(), attributes)
