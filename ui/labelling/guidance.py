# SPDX-License-Identifier: GPL-2.0-or-later
"""Where labels are missing: classes with too few of them, and a view that covers what is labelled already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import QgsFillSymbol, QgsMapLayerStyle, QgsSingleSymbolRenderer, QgsVectorLayer
from qgis.gui import QgsMapCanvas

from ...algorithms.label_schema import LabelSchema
from .label_index import ClassSum

FEW_LABELS = 3  # below, a class cannot be split into training and validation with anything to spare (two blocks at least)
SMALL_SHARE = 0.1  # of the mean area of the classes: below, training sees mostly other classes
COVER = {"color": "60,60,60,235", "outline_style": "no"}


def find_scarce(schema: LabelSchema, sums: Mapping[Any, ClassSum]) -> list[str]:
    """The classes that need more labels, each with its number of labels, in the schema's order."""
    known = [(entry, sums.get(entry.value) or ClassSum()) for entry in schema.classes]
    labelled = [found.area for _, found in known if found.count]
    mean = sum(labelled) / len(labelled) if labelled else 0.0
    return [
        f"{entry.name} ({found.count})"
        for entry, found in known
        if labelled and (found.count < FEW_LABELS or found.area < SMALL_SHARE * mean)
    ]


def cover_labelled(canvas: QgsMapCanvas, layer: QgsVectorLayer | None, wanted: bool) -> None:
    """Covers the labels with opaque grey on this canvas only, so that the eye finds what is still to be labelled; or ends that."""
    overrides: dict[str, str] = {}
    if wanted and layer is not None:
        copy = layer.clone()
        copy.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol.createSimple(COVER)))
        copy.setOpacity(1.0)
        style = QgsMapLayerStyle()
        style.readFromLayer(copy)
        overrides = {layer.id(): style.xmlData()}
    if canvas.layerStyleOverrides() != overrides:
        canvas.setLayerStyleOverrides(overrides)
        canvas.refresh()
