# SPDX-License-Identifier: GPL-2.0-or-later
"""What the dock knows of each label without asking the layer again: class, area, imagery; and the sums by class.

Filled once per layer and kept up to date from its signals, so that one label more costs one feature, not ten thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import QgsDistanceArea, QgsFeature, QgsFeatureRequest, QgsGeometry, QgsProject
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ...algorithms.label_layer import IMAGERY
from .store import LabelStore, plain


@dataclass(frozen=True)
class LabelRow:
    """One label.

    Attributes:
        fid: Its id in the layer.
        value: Its class value; None when it has none.
        area: Square metres, on the project's ellipsoid.
        imagery: Name of the image it was drawn on.
    """

    fid: int
    value: int | None
    area: float
    imagery: str


@dataclass
class ClassSum:
    """Number and area (square metres) of the labels of one class."""

    count: int = 0
    area: float = 0.0


class LabelIndex(QObject):
    """The labels of a store.

    Signals:
        reset: All rows were read anew.
        added, removed, updated: Ids of some labels; of the removed ones the rows are gone already.
        summed: Counts or areas are others.
    """

    reset = pyqtSignal()
    added = pyqtSignal(list)
    removed = pyqtSignal(list)
    updated = pyqtSignal(list)
    summed = pyqtSignal()

    def __init__(self, store: LabelStore, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store, self._project = store, project
        self.rows: dict[int, LabelRow] = {}
        self.sums: dict[int | None, ClassSum] = {}
        self.total_area = 0.0
        self._dirty: set[int] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.catch_up)
        layer = store.layer
        self._links = [
            (layer.featureAdded, self._touch),
            (layer.featureDeleted, self._touch),
            (layer.geometryChanged, self._touch),
            (layer.attributeValueChanged, self._touch),
            (layer.afterCommitChanges, self.read),  # new labels get other ids
            (layer.afterRollBack, self.read),
        ]
        for signal, slot in self._links:
            signal.connect(slot)
        self.read()

    def close(self) -> None:
        """Listens to the layer no more."""
        if self._store.is_alive:
            for signal, slot in self._links:
                signal.disconnect(slot)
        self._links = []
        self._timer.stop()

    def read(self) -> None:
        """Reads all labels."""
        self._dirty.clear()
        self._measure = QgsDistanceArea()
        self._measure.setSourceCrs(self._store.layer.crs(), self._project.transformContext())
        self._measure.setEllipsoid(self._project.ellipsoid())
        self.rows = {feature.id(): self._row(feature) for feature in self._store.layer.getFeatures(self._request())}
        self.sums, self.total_area = {}, 0.0
        for row in self.rows.values():
            self._count(row, 1)
        self.reset.emit()
        self.summed.emit()

    def catch_up(self) -> None:
        """Takes over what changed since the last time."""
        self._timer.stop()
        if not self._dirty or not self._store.is_alive:
            return
        touched, self._dirty = self._dirty, set()
        found = {feature.id(): feature for feature in self._store.layer.getFeatures(self._request().setFilterFids(sorted(touched)))}
        added, removed, updated = [], [], []
        for fid in sorted(touched):
            before = self.rows.pop(fid, None) if fid not in found else self.rows.get(fid)
            if before is not None:
                self._count(before, -1)
            if fid in found:
                self.rows[fid] = self._row(found[fid])
                self._count(self.rows[fid], 1)
                (added if before is None else updated).append(fid)
            elif before is not None:
                removed.append(fid)
        for fids, signal in ((removed, self.removed), (added, self.added), (updated, self.updated)):
            if fids:
                signal.emit(fids)
        self.summed.emit()

    def measure(self, shape: QgsGeometry) -> float:
        """Area of a shape in the layer's coordinates in square metres."""
        return abs(self._measure.measureArea(shape))

    def _request(self) -> QgsFeatureRequest:
        fields = self._store.layer.fields()
        wanted = [name for name in (self._store.fields.value, IMAGERY) if name and fields.lookupField(name) >= 0]
        return QgsFeatureRequest().setSubsetOfAttributes(wanted, fields)

    def _row(self, feature: QgsFeature) -> LabelRow:
        value = self._store.value_of(feature)
        place = feature.fields().lookupField(IMAGERY)
        return LabelRow(feature.id(), value, self.measure(feature.geometry()), str(plain(feature[place]) or "") if place >= 0 else "")

    def _count(self, row: LabelRow, sign: int) -> None:
        entry = self.sums.setdefault(row.value, ClassSum())
        entry.count += sign
        entry.area += sign * row.area
        self.total_area += sign * row.area
        if not entry.count:
            del self.sums[row.value]

    def _touch(self, fid: int, *_more: Any) -> None:
        self._dirty.add(fid)
        if not self._timer.isActive():
            self._timer.start(0)
