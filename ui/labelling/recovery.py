# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts the labels that a journal tells of back into a layer's edit buffer, as one step that can be undone."""

from __future__ import annotations

from qgis.core import QgsFeature, QgsFeatureRequest, QgsGeometry, QgsVectorLayer
from qgis.PyQt.QtCore import QByteArray

from ...backend.errors import ToolboxError
from .journal import LabelState, Unsaved
from .texts import tr


def restore_states(layer: QgsVectorLayer, unsaved: Unsaved) -> int:
    """Brings the layer into these states and returns how many labels that changed.

    A label whose place in the file is gone comes back as a new one. A new label that reached the file just before the crash (same
    shape under an id above the highest of then) is left alone.

    Raises:
        ToolboxError: The layer does not take a label; then nothing is changed.
    """
    layer.beginEditCommand(tr("Recover unsaved labels"))
    try:
        count = sum(_restore(layer, state, unsaved.highest) for state in unsaved.states.values())
    except BaseException:
        layer.destroyEditCommand()
        raise
    layer.endEditCommand()
    return count


def _restore(layer: QgsVectorLayer, state: LabelState, highest: int) -> bool:
    known = layer.getFeature(state.fid) if state.fid >= 0 else QgsFeature()
    if state.shape is None:
        if not known.isValid():
            return False
        return _demand(layer.deleteFeature(state.fid), layer)
    geometry = QgsGeometry()
    geometry.fromWkb(QByteArray.fromHex(state.shape.encode()))
    places = {layer.fields().lookupField(name): value for name, value in state.attributes.items()}
    places = {place: value for place, value in places.items() if place >= 0}
    if known.isValid():
        if known.geometry().asWkb() != geometry.asWkb():
            _demand(layer.changeGeometry(state.fid, geometry), layer)
        return _demand(layer.changeAttributeValues(state.fid, places), layer)
    if _is_in_file(layer, geometry, highest):
        return False
    feature = QgsFeature(layer.fields())
    for place, value in places.items():
        feature.setAttribute(place, value)
    feature.setGeometry(geometry)
    return _demand(layer.addFeature(feature), layer)


def _is_in_file(layer: QgsVectorLayer, geometry: QgsGeometry, highest: int) -> bool:
    request = QgsFeatureRequest().setFilterRect(geometry.boundingBox()).setNoAttributes()
    # Not byte by byte: the file holds a polygon of QGIS's own tools as multipolygon.
    return any(feature.id() > highest and feature.geometry().isGeosEqual(geometry) for feature in layer.getFeatures(request))


def _demand(was_done: bool, layer: QgsVectorLayer) -> bool:
    if not was_done:
        raise ToolboxError(f"The unsaved labels cannot be put into “{layer.name()}”; close programs that use it, and open it again.")
    return True
