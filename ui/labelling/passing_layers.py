# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers that are shown for the moment and must not be saved with the project: their files are gone when it is opened again."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsProject
from qgis.PyQt.QtXml import QDomDocument, QDomElement

MARK = "deep_learning_toolbox/passing"
TAG = "passing-layer"  # QGIS reads elements of the name maplayer only


def mark_passing(layer: QgsMapLayer) -> None:
    """This layer is not saved, nor does QGIS ask about it when the project is closed."""
    layer.setCustomProperty(MARK, True)
    layer.setCustomProperty("skipMemoryLayersCheck", 1)


class PassingLayers:
    """Keeps marked layers out of a project's file, until `remove`."""

    def __init__(self, project: QgsProject) -> None:
        self._project = project
        project.writeProject.connect(self._leave_out_of_tree)  # which comes after the layer tree and before the layers
        project.writeMapLayer.connect(self._leave_out)

    def remove(self) -> None:
        """Listens no more."""
        self._project.writeProject.disconnect(self._leave_out_of_tree)
        self._project.writeMapLayer.disconnect(self._leave_out)

    def _leave_out(self, layer: QgsMapLayer, element: QDomElement, _document: QDomDocument) -> None:
        if layer.customProperty(MARK):
            element.setTagName(TAG)  # QGIS has no way to skip a layer here

    def _leave_out_of_tree(self, document: QDomDocument) -> None:
        found = document.elementsByTagName("layer-tree-layer")
        nodes = [found.item(place).toElement() for place in range(found.count())]
        for node in nodes:
            layer = self._project.mapLayer(node.attribute("id"))
            if layer is not None and layer.customProperty(MARK):
                node.parentNode().removeChild(node)
