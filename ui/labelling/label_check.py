# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds what is doubtful about labels that exist: outlines that cross themselves, and labels that lie over each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qgis.core import QgsFeature, QgsGeometry, QgsRectangle, QgsSpatialIndex, QgsWkbTypes

POLYGON = QgsWkbTypes.GeometryType.PolygonGeometry
LEAST_SHARE = 1e-9  # of the smaller label's area: what two labels with a common edge share by rounding is no overlap


@dataclass(frozen=True)
class Fault:
    """Something to look at.

    Attributes:
        fids: One label whose outline crosses itself, or two that overlap.
        place: Where, in the layer's coordinates.
        shared: What two labels share; empty for one.
    """

    fids: tuple[int, ...]
    place: QgsRectangle
    shared: QgsGeometry


def overlap(first: QgsGeometry, second: QgsGeometry) -> QgsGeometry:
    """The area that two valid shapes share; empty when it is no more than a common edge."""
    shared = first.intersection(second)
    parts = [part for part in shared.asGeometryCollection() if part.type() == POLYGON]
    area = sum(part.area() for part in parts)
    return QgsGeometry.collectGeometry(parts) if area > LEAST_SHARE * min(first.area(), second.area()) else QgsGeometry()


def examine(shapes: Mapping[int, QgsGeometry], fids: tuple[int, ...]) -> Fault | None:
    """What is wrong with one label, or between two; None when nothing is, or when one of them is gone."""
    if any(fid not in shapes for fid in fids):
        return None
    if len(fids) == 1:
        shape = shapes[fids[0]]
        return None if shape.isGeosValid() else Fault(fids, shape.boundingBox(), QgsGeometry())
    first, second = (make_valid(shapes[fid]) for fid in fids)
    shared = overlap(first, second)
    return None if shared.isEmpty() else Fault(fids, shared.boundingBox(), shared)


def find_faults(shapes: Mapping[int, QgsGeometry], is_cancelled: Callable[[], bool] = lambda: False) -> list[Fault]:
    """All faults of some labels, by id; crossing outlines first, then overlaps, the largest first.

    Args:
        shapes: Geometry by id.
        is_cancelled: Asked now and then; True ends the search with what was found.
    """
    crossing = [fault for fid in sorted(shapes) if (fault := examine(shapes, (fid,))) is not None]
    valid = {fid: make_valid(shape) for fid, shape in shapes.items()}
    index = QgsSpatialIndex()
    for fid, shape in valid.items():
        feature = QgsFeature(fid)
        feature.setGeometry(shape)
        index.addFeature(feature)
    overlaps = []
    for fid, shape in valid.items():
        if is_cancelled():
            break
        engine = QgsGeometry.createGeometryEngine(shape.constGet())
        engine.prepareGeometry()
        for other in index.intersects(shape.boundingBox()):
            if other <= fid:
                continue
            near = valid[other].constGet()
            if engine.intersects(near) and not engine.touches(near):  # a common edge is told sooner than computed
                shared = overlap(shape, valid[other])
                if not shared.isEmpty():
                    overlaps.append(Fault((fid, other), shared.boundingBox(), shared))
    overlaps.sort(key=lambda fault: -fault.shared.area())
    return crossing + overlaps


def make_valid(shape: QgsGeometry) -> QgsGeometry:
    """The shape itself where it is valid, as almost all are; else its polygons, without the lines that spikes leave."""
    if shape.isGeosValid():
        return shape
    parts = [part for part in shape.makeValid().asGeometryCollection() if part.type() == POLYGON and part.area() > 0]
    return QgsGeometry.collectGeometry(parts) if parts else QgsGeometry()
