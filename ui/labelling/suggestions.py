# SPDX-License-Identifier: GPL-2.0-or-later
"""Which image and which labels of a project are most likely the ones to label."""

from __future__ import annotations

from qgis.core import QgsPalettedRasterRenderer, QgsProject, QgsRasterLayer, QgsVectorLayer

from .store import is_label_layer


def likely_image(project: QgsProject) -> QgsRasterLayer | None:
    """The uppermost raster: what is in view first, and pictures before maps of classes. None without rasters."""
    nodes = [node for node in project.layerTreeRoot().findLayers() if isinstance(node.layer(), QgsRasterLayer)]
    nodes.sort(key=lambda node: (not node.isVisible(), isinstance(node.layer().renderer(), QgsPalettedRasterRenderer)))
    return nodes[0].layer() if nodes else None


def likely_labels(project: QgsProject) -> QgsVectorLayer | None:
    """The uppermost label layer of our form; None without any."""
    layers = (node.layer() for node in project.layerTreeRoot().findLayers())
    return next((layer for layer in layers if isinstance(layer, QgsVectorLayer) and is_label_layer(layer)), None)
