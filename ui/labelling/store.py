# SPDX-License-Identifier: GPL-2.0-or-later
"""The label layer in use: opened as it is, edited through QGIS's edit buffer, and journalled against a crash.

Whatever changes the edit buffer (our tools, QGIS's own, undo and redo) is journalled, since the layer's signals are listened to. A layer
that is no label layer of ours is foreign: it is shown and counted, but edited only after `allow_editing`.
"""

from __future__ import annotations

import os
import uuid

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsProviderRegistry,
    QgsVectorDataProvider,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QByteArray, QObject, QTimer, QVariant, pyqtSignal

from ...algorithms.label_classes import LabelFields
from ...algorithms.label_layer import CODE, IMAGERY, NAME, VALUE, LabelLayerFile
from ...algorithms.label_schema import SCHEMA_PROPERTY, LabelSchema
from ...backend.errors import ToolboxError
from ..review_dock import tr
from .journal import Journal, LabelState, Unsaved


class LabelStore(QObject):
    """One label layer while the dock shows it.

    Signals:
        saved: The edits are in the file.
        discarded: The edits were rolled back; the argument tells whether they can be brought back.
        failed: What went wrong, for the user.
    """

    saved = pyqtSignal()
    discarded = pyqtSignal(bool)
    failed = pyqtSignal(str)

    def __init__(self, layer: QgsVectorLayer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        if QgsWkbTypes.geometryType(layer.wkbType()) != QgsWkbTypes.GeometryType.PolygonGeometry:
            raise ToolboxError(f"“{layer.name()}” holds no polygons; convert it with the tool “Use existing features as labels”.")
        self.layer = layer
        self.fields = LabelFields.find(layer.fields(), "", "")
        self.is_own = is_label_layer(layer)
        self.may_edit = self.is_own
        self._dirty: set[int] = set()
        self._committing = False
        self.journal = self._make_journal()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self.flush)
        self._connect()
        if layer.isEditable():
            self._begin()

    # -- life ----------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Lets the layer go; unsaved labels stay in its edit buffer and in the journal."""
        if self.is_alive:
            self.flush()
            for signal, slot in self._links:
                signal.disconnect(slot)
        self._later.stop()
        if self.journal is not None:
            self.journal.release()

    @property
    def is_alive(self) -> bool:
        """Whether QGIS still has the layer."""
        return not sip.isdeleted(self.layer)

    def allow_editing(self) -> None:
        """The user wants this foreign layer edited as it is; raises ToolboxError when it has no field for the class."""
        if not self.fields.value:
            raise ToolboxError(
                f"“{self.layer.name()}” has no field Classvalue or Value; convert it with the tool “Use existing features as labels”."
            )
        self.may_edit = True

    def start_editing(self) -> None:
        """Opens the edit buffer, if it is not open; raises ToolboxError when the layer cannot or must not be edited."""
        name = self.layer.name()
        if not self.may_edit:
            raise ToolboxError(f"“{name}” is a file of another program; press “Edit it as it is” or “Copy to a label layer” first.")
        if self.layer.isEditable():
            return
        wanted = QgsVectorDataProvider.Capability.AddFeatures | QgsVectorDataProvider.Capability.ChangeGeometries
        source = self._file()
        read_only = source and not os.access(source, os.W_OK)
        if read_only or self.layer.readOnly() or (self.layer.dataProvider().capabilities() & wanted) != wanted:
            raise ToolboxError(f"“{name}” is read-only; copy it to a label layer in a folder of your own, and label there.")
        if self.journal is not None:
            self.journal.claim()
        if not self.layer.startEditing():
            raise ToolboxError(f"“{name}” cannot be edited now; close programs that use it, and try again.")

    def save(self) -> None:
        """Writes the edits into the file and goes on editing; raises ToolboxError when it cannot, and then all stays as it is."""
        if self.layer.isEditable() and self.layer.isModified() and not self.layer.commitChanges(False):
            reason = "; ".join(self.layer.commitErrors()[-1:]) or tr("no reason given")
            raise ToolboxError(
                f"The labels cannot be saved to “{self.layer.name()}” now ({reason}); close programs that use it, and save again."
            )

    # -- journal -------------------------------------------------------------------------------------------------------

    def unsaved(self) -> Unsaved | None:
        """Labels of a session that ended without saving. Raises ToolboxError when another QGIS has them under way."""
        if self.journal is None or self.layer.isModified() or not self.journal.path.exists():
            return None
        self.journal.claim()
        return self.journal.read()

    def restore(self, discarded: bool = False) -> int:
        """Puts unsaved labels back into the edit buffer, as one step to undo; returns how many. Raises ToolboxError."""
        unsaved = self.journal.read(discarded) if self.journal is not None else None
        if unsaved is None:
            return 0
        self.start_editing()
        self.layer.beginEditCommand(tr("Recover unsaved labels"))
        try:
            count = sum(self._restore_one(state, unsaved.highest) for state in unsaved.states.values())
        except BaseException:
            self.layer.destroyEditCommand()
            raise
        self.layer.endEditCommand()
        # The new lines now tell the same; the old ones would be replayed twice.
        old = self.journal.discarded if discarded else self.journal.path
        self.journal.release()
        self.journal.claim()
        old.unlink(missing_ok=True)
        self._dirty |= set(self._touched)
        self.flush()
        return count

    def flush(self) -> None:
        """Writes the state of all labels touched since the last time."""
        if not self._dirty or self.journal is None or self._committing or not self.is_alive or not self.layer.isEditable():
            self._dirty.clear()
            return
        touched, self._dirty = self._dirty, set()
        found = {feature.id(): feature for feature in self.layer.getFeatures(QgsFeatureRequest().setFilterFids(list(touched)))}
        try:
            self.journal.append(self._state(fid, found.get(fid)) for fid in sorted(touched))
        except ToolboxError as failure:
            self.failed.emit(str(failure))

    def _restore_one(self, state: LabelState, highest: int) -> bool:
        """Brings one label into the state; returns whether that changed anything."""
        layer = self.layer
        known = layer.getFeature(state.fid) if state.fid >= 0 else QgsFeature()
        if state.shape is None:
            self._touched.add(state.fid)
            return known.isValid() and layer.deleteFeature(state.fid)
        geometry = QgsGeometry()
        geometry.fromWkb(QByteArray.fromHex(state.shape.encode()))
        names = {name: value for name, value in state.attributes.items() if layer.fields().lookupField(name) >= 0}
        if known.isValid():
            self._touched.add(state.fid)
            same = known.geometry().asWkb() == geometry.asWkb()
            changes = {layer.fields().lookupField(name): value for name, value in names.items() if _plain(known[name]) != value}
            return (same or layer.changeGeometry(state.fid, geometry)) and (not changes or layer.changeAttributeValues(state.fid, changes))
        if state.fid < 0 and self._was_committed(geometry, highest):
            return False
        feature = QgsFeature(layer.fields())
        for name, value in names.items():
            feature[name] = value
        feature.setGeometry(geometry)
        added = layer.addFeature(feature)
        self._touched.add(feature.id())
        return added

    def _was_committed(self, geometry: QgsGeometry, highest: int) -> bool:
        """Whether this new label reached the file just before the crash."""
        request = QgsFeatureRequest().setFilterRect(geometry.boundingBox()).setNoAttributes()
        return any(
            feature.id() > highest and feature.geometry().asWkb() == geometry.asWkb() for feature in self.layer.getFeatures(request)
        )

    def _state(self, fid: int, feature: QgsFeature | None) -> LabelState:
        if feature is None:
            return LabelState(fid, None)
        names = feature.fields().names()
        attributes = {name: _plain(value) for name, value in zip(names, feature.attributes()) if name != "fid"}
        return LabelState(fid, bytes(feature.geometry().asWkb().toHex()).decode(), attributes)
