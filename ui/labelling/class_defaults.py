# SPDX-License-Identifier: GPL-2.0-or-later
"""Lets shapes that QGIS's own editing tools add to the label layer take the current class, as ours do, without a form."""

from __future__ import annotations

from qgis.core import QgsDefaultValue, QgsEditFormConfig, QgsExpression

from ...algorithms.label_layer import CODE, IMAGERY
from ...algorithms.label_schema import LabelClass
from .store import LabelStore


def set_defaults(store: LabelStore, entry: LabelClass | None, imagery: str) -> None:
    """Makes class and image the defaults of new features; None takes the defaults away."""
    layer = store.layer
    fields = store.fields
    contents = {}
    if entry is not None and fields.value is not None:
        contents = {
            fields.name: entry.name,
            fields.value: store.content_of(entry.value, entry.name),
            CODE: entry.class_code,
            IMAGERY: imagery or None,
        }
    for field in filter(None, (fields.name, fields.value, CODE, IMAGERY)):
        place = layer.fields().lookupField(field)
        content = contents.get(field)
        if place >= 0:
            expression = QgsExpression.quotedValue(content) if content is not None else ""
            layer.setDefaultValueDefinition(place, QgsDefaultValue(expression))
    form = layer.editFormConfig()
    choices = QgsEditFormConfig.FeatureFormSuppress
    form.setSuppress(choices.SuppressOn if entry else choices.SuppressDefault)
    layer.setEditFormConfig(form)
