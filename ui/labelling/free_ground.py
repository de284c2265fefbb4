# SPDX-License-Identifier: GPL-2.0-or-later
"""What of new shapes lies where nothing is labelled yet."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsFeatureRequest, QgsGeometry, QgsRectangle, QgsSpatialIndex, QgsVectorLayer, QgsWkbTypes

from .label_check import make_valid

POLYGON = QgsWkbTypes.GeometryType.PolygonGeometry


class FreeGround:
    """The labels of a layer around some shapes, read once; shapes that were asked for do not count as labels.

    Args:
        layer: The labels.
        shapes: In the layer's coordinates.
    """

    def __init__(self, layer: QgsVectorLayer, shapes: Sequence[QgsGeometry]) -> None:
        box = QgsRectangle()
        for shape in shapes:
            box.combineExtentWith(shape.boundingBox())
        self._index, self._labels = QgsSpatialIndex(), {}
        for feature in layer.getFeatures(QgsFeatureRequest().setFilterRect(box).setNoAttributes()):
            self._labels[feature.id()] = make_valid(feature.geometry())
            self._index.addFeature(feature)

    def parts(self, shape: QgsGeometry, least: float) -> QgsGeometry:
        """What of a shape is not labelled, without parts of less than an area (square units of the layer); empty when none is left."""
        near = [self._labels[fid] for fid in self._index.intersects(shape.boundingBox())]
        labels = [label for label in near if label.intersects(shape)]
        rest = shape.difference(QgsGeometry.unaryUnion(labels)) if labels else shape
        # A hair less, as areas are sums of rounded products.
        parts = [part for part in rest.asGeometryCollection() if part.type() == POLYGON and part.area() >= least * (1 - 1e-9)]
        return QgsGeometry.collectGeometry(parts) if parts else QgsGeometry()
