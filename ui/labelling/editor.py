# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns drawn shapes into changes of the label layer: one step to undo each, valid, in the layer's coordinates.

Map tools know nothing of layers, and the dock shows only; whatever is edited by the toolbox goes through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerUtils,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...algorithms.label_layer import CODE, IMAGERY
from ...algorithms.label_schema import LabelClass, LabelSchema
from ...backend.errors import ToolboxError
from .free_ground import FreeGround
from .label_check import make_valid, overlap
from .preview_regions import Region
from .store import LabelStore
from .texts import tr

DENSIFIED = 16  # points added to each edge before it is reprojected, since straight lines become curves
STRAIGHT = 1e-5  # of a shape's size: how far the points kept may stray from such a curve


class LabelEditor(QObject):
    """Edits the labels of the current store.

    Attributes:
        schema: The classes.
        current: Value of the class that new labels get; None for none.
        imagery: Name of the image that is being labelled.

    Signals:
        changed: The layer was edited.
        told: Something that the user should know, though the edit was made.
        refused: Why an edit was not made.
    """

    changed = pyqtSignal()
    told = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(self, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project = project
        self.store: LabelStore | None = None
        self.schema = LabelSchema()
        self.current: int | None = None
        self.imagery = ""

    @property
    def layer(self) -> QgsVectorLayer | None:
        """The label layer; None while there is none."""
        return self.store.layer if self.store is not None and self.store.is_alive else None

    def add(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> None:
        """Adds a label of the current class."""
        with self._refusing(), self._command(tr("Draw label")) as layer:
            self._insert(layer, self._place(geometry, crs, layer), self._class())

    def add_regions(self, regions: Sequence[Region], crs: QgsCoordinateReferenceSystem) -> None:
        """Adds labels of several classes in one step, where nothing is labelled yet; parts that this makes specks are left out."""
        with self._refusing(), self._command(tr("Accept preview")) as layer:
            count, unknown = 0, set()
            shapes = [self._place(region.shape, crs, layer) for region in regions]
            free = FreeGround(layer, shapes)
            for region, shape in zip(regions, shapes):
                entry = self.schema.get(region.value)
                if entry is None:
                    unknown.add(region.value)
                    continue
                left = free.parts(shape, region.least * shape.area() / region.shape.area())
                if not left.isEmpty():
                    self._create(layer, _polygons(left, layer), entry)
                    count += 1
            if unknown:
                listed = ", ".join(map(str, sorted(unknown)))
                raise ToolboxError(tr("The preview shows classes that are no longer in the list ({}); make it anew.").format(listed))
            if not count:
                raise ToolboxError(tr("Nothing to accept here: it is labelled, too unsure, or in too small pieces."))
            self.told.emit(tr("Accepted as labels: {}. What was labelled before stays as it was.").format(count))

    def extend(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> None:
        """Adds an area to the label of the current class that it touches; several such become one; without any it is a new label."""
        with self._refusing(), self._command(tr("Paint label")) as layer:
            entry = self._class()
            shape = self._place(geometry, crs, layer)
            touched = [feature for feature in self._meeting(layer, shape) if self.store.value_of(feature) == entry.value]
            if not touched:
                self._insert(layer, shape, entry)
                return
            merged = _computed(QgsGeometry.unaryUnion([feature.geometry() for feature in touched] + [shape]))
            self._reshape(layer, touched[0], _polygons(merged, layer))
            for feature in touched[1:]:
                _demand(layer.deleteFeature(feature.id()), layer)

    def cut(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> None:
        """Cuts an area from the selected labels, or from all when none is selected; labels of which nothing is left are deleted."""
        with self._refusing(), self._command(tr("Cut from labels")) as layer:
            shape = self._place(geometry, crs, layer)
            selected = set(layer.selectedFeatureIds())
            for feature in self._meeting(layer, shape):
                if selected and feature.id() not in selected:
                    continue
                rest = _polygons(_computed(feature.geometry().difference(shape)), layer)
                if rest.isEmpty():
                    _demand(layer.deleteFeature(feature.id()), layer)
                else:
                    self._reshape(layer, feature, rest)

    def replace(self, fid: int, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> None:
        """Gives a label another shape."""
        with self._refusing(), self._command(tr("Change label")) as layer:
            self._reshape(layer, layer.getFeature(fid), self._place(geometry, crs, layer))

    def set_class(self, fids: Iterable[int], value: int) -> None:
        """Gives labels another class."""
        with self._refusing(), self._command(tr("Change class")) as layer:
            entry = self.schema.get(value)
            if entry is None:
                raise ToolboxError(f"There is no class of value {value}; add it first.")
            self._write_class(layer, fids, entry)

    def rewrite_class(self, before: int, entry: LabelClass) -> bool:
        """Writes value, name and code of a class that was changed into its labels; returns whether that was done."""
        with self._refusing(), self._command(tr("Change class")) as layer:
            self._write_class(layer, self.labels_of(before), entry)
            return True
        return False

    def delete(self, fids: Iterable[int]) -> bool:
        """Deletes labels; returns whether that was done."""
        with self._refusing(), self._command(tr("Delete labels")) as layer:
            for fid in list(fids):
                _demand(layer.deleteFeature(fid), layer)
            return True
        return False

    def labels_of(self, value: int) -> list[int]:
        """Ids of the labels of a class."""
        if self.layer is None:
            return []
        request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
        return [feature.id() for feature in self.layer.getFeatures(request) if self.store.value_of(feature) == value]

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Tells why an edit was not made, and whether it was."""
        try:
            yield
        except ToolboxError as failure:
            self.refused.emit(str(failure))
        else:
            self.changed.emit()

    @contextmanager
    def _command(self, text: str) -> Iterator[QgsVectorLayer]:
        """One step to undo; an error takes it all back."""
        layer = self.layer
        if layer is None:
            raise ToolboxError(tr("There is no label layer: make a new one, or choose one above."))
        self.store.start_editing()
        layer.beginEditCommand(text)
        try:
            yield layer
        except BaseException:
            layer.destroyEditCommand()
            raise
        layer.endEditCommand()
        layer.triggerRepaint()

    def _class(self) -> LabelClass:
        entry = self.schema.get(self.current) if self.current is not None else None
        if entry is None:
            raise ToolboxError(tr("No class is chosen: add a class, or choose one in the list."))
        return entry

    def _insert(self, layer: QgsVectorLayer, shape: QgsGeometry, entry: LabelClass) -> None:
        others = [feature for feature in self._meeting(layer, shape) if not overlap(feature.geometry(), shape).isEmpty()]
        self._create(layer, shape, entry)
        differing = sum(self.store.value_of(other) != entry.value for other in others)
        if differing:
            self.told.emit(tr("The label overlaps {} of other classes; in training, the later one counts.").format(differing))
        elif others:
            self.told.emit(tr("The label overlaps {} of the same class.").format(len(others)))

    def _create(self, layer: QgsVectorLayer, shape: QgsGeometry, entry: LabelClass) -> None:
        """Adds a label of a class, with the name of the image."""
        values = self._class_values(layer, entry)
        place = layer.fields().lookupField(IMAGERY)
        if place >= 0:
            values[place] = self.imagery or None
        for piece in _pieces(shape, layer):
            _demand(layer.addFeature(QgsVectorLayerUtils.createFeature(layer, piece, values)), layer)

    def _reshape(self, layer: QgsVectorLayer, feature: QgsFeature, shape: QgsGeometry) -> None:
        """Gives a label another shape; pieces that it cannot hold become labels like it."""
        first, *others = _pieces(shape, layer)
        _demand(feature.isValid() and layer.changeGeometry(feature.id(), first), layer)
        keys = layer.primaryKeyAttributes()
        values = {place: content for place, content in enumerate(feature.attributes()) if place not in keys}
        for piece in others:
            _demand(layer.addFeature(QgsVectorLayerUtils.createFeature(layer, piece, values)), layer)

    def _class_values(self, layer: QgsVectorLayer, entry: LabelClass) -> dict[int, Any]:
        """Contents of the class fields by place, as far as the layer has them."""
        fields = self.store.fields
        if not fields.value:
            raise ToolboxError(f"“{layer.name()}” has no field for the class; convert it with “Use existing features as labels”.")
        content = self.store.content_of(entry.value, entry.name)
        self.store.learn(content, entry.value)
        contents: dict[str, Any] = {fields.value: content, CODE: entry.class_code}
        if fields.name:
            contents[fields.name] = entry.name
        contents.update(zip(fields.color, entry.color))
        places = {layer.fields().lookupField(name): content for name, content in contents.items()}
        places.pop(-1, None)
        return places

    def _write_class(self, layer: QgsVectorLayer, fids: Iterable[int], entry: LabelClass) -> None:
        values = self._class_values(layer, entry)
        for fid in list(fids):
            _demand(layer.changeAttributeValues(fid, values), layer)

    def _meeting(self, layer: QgsVectorLayer, shape: QgsGeometry) -> list[QgsFeature]:
        """The labels that meet a shape, made valid, in the order of their ids."""
        found = []
        for feature in layer.getFeatures(QgsFeatureRequest().setFilterRect(shape.boundingBox())):
            valid = make_valid(feature.geometry())  # with an outline that crosses itself nothing can be computed
            if valid.intersects(shape):
                feature.setGeometry(valid)
                found.append(feature)
        return sorted(found, key=lambda feature: feature.id())

    def _place(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, layer: QgsVectorLayer) -> QgsGeometry:
        """A drawn shape in the layer's coordinates, valid; raises ToolboxError when it has no area there."""
        shape = QgsGeometry(geometry)
        if crs.isValid() and layer.crs().isValid() and crs != layer.crs():
            try:
                shape = _reproject(shape, QgsCoordinateTransform(crs, layer.crs(), self._project))
            except QgsCsException as failure:
                raise ToolboxError(tr("This place lies outside of what the label layer's coordinate system can hold.")) from failure
        if not shape.isGeosValid():
            shape = shape.makeValid()
            self.told.emit(tr("The outline crosses itself; it was repaired."))
        shape = _polygons(shape, layer)
        if shape.isEmpty() or shape.area() <= 0:
            raise ToolboxError(tr("The shape has no area; draw it larger."))
        return shape


def _reproject(shape: QgsGeometry, transform: QgsCoordinateTransform) -> QgsGeometry:
    """A shape in other coordinates, with as many more points as its edges are curved there. Raises QgsCsException."""
    dense = shape.densifyByCount(DENSIFIED)
    dense.transform(transform)
    box = dense.boundingBox()
    simple = dense.simplify(STRAIGHT * max(box.width(), box.height()))
    return dense if simple.isEmpty() or not simple.isGeosValid() else simple


def _polygons(geometry: QgsGeometry, layer: QgsVectorLayer) -> QgsGeometry:
    """The polygons of a geometry as the layer takes them (several become a multipolygon); lines and points fall away."""
    kind = QgsWkbTypes.GeometryType.PolygonGeometry
    parts = [part for part in geometry.asGeometryCollection() if QgsWkbTypes.geometryType(part.wkbType()) == kind and part.area() > 0]
    joined = QgsGeometry.collectGeometry(parts) if parts else QgsGeometry()
    if joined.isEmpty():
        return joined
    if QgsWkbTypes.isMultiType(layer.wkbType()) or len(parts) > 1:
        joined.convertToMultiType()
    else:
        joined.convertToSingleType()
    return joined


def _pieces(shape: QgsGeometry, layer: QgsVectorLayer) -> list[QgsGeometry]:
    """What one feature of the layer can hold each: all, or one part, the largest first."""
    if QgsWkbTypes.isMultiType(layer.wkbType()):
        return [shape]
    return sorted(shape.asGeometryCollection(), key=lambda part: -part.area())


def _computed(shape: QgsGeometry) -> QgsGeometry:
    """A shape that was computed of others; raises ToolboxError when that failed, which is not the same as that nothing is left."""
    if shape.isNull():
        raise ToolboxError(tr("The shapes cannot be computed here; look at the labels with “Check”, and mend their outlines first."))
    return shape


def _demand(was_done: bool, layer: QgsVectorLayer) -> None:
    if not was_done:
        raise ToolboxError(f"“{layer.name()}” does not take this edit; it may be read-only or have been closed.")
