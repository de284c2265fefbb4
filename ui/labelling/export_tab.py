# SPDX-License-Identifier: GPL-2.0-or-later
"""The tab that hands the labels over to “Export training data”: what there is, what is missing, and the tool filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import QgsMapLayer, QgsVectorLayer
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from ...algorithms.label_classes import LabelFields
from ...algorithms.label_schema import LabelSchema
from .guidance import find_scarce
from .label_index import ClassSum
from .texts import tr

CHIP, STRIDE = 256, 128  # pixels; the tool's own defaults
SMALLEST, LARGEST = 32, 2048  # pixels


class ExportTab(QWidget):
    """Chip size and the way to the tool.

    Signals:
        export_clicked: The tool is to be opened.
    """

    export_clicked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.size, self.stride = self._spin(CHIP), self._spin(STRIDE)
        form = QFormLayout()
        form.addRow(tr("Chip size (pixels)"), self.size)
        form.addRow(tr("Stride (pixels)"), self.stride)
        self.export = QPushButton(tr("Export training data…"))
        self.export.setToolTip(tr("Opens the tool with this image and these labels filled in; unsaved labels are exported, too."))
        self.export.clicked.connect(self.export_clicked)
        layout = QVBoxLayout(self)
        layout.addWidget(self.summary)
        layout.addLayout(form)
        layout.addWidget(self.export)
        layout.addStretch(1)

    def show_state(self, imagery: QgsMapLayer | None, schema: LabelSchema, sums: Mapping[Any, ClassSum]) -> None:
        """Says what would be exported, and what stands against it."""
        labels = sum(entry.count for entry in sums.values())
        lines = [tr("{:,} labels in {} classes.").format(labels, len(sums))]
        if imagery is None:
            lines.append(tr("Choose the image above."))
        if not labels:
            lines.append(tr("Draw labels first."))
        elif find_scarce(schema, sums):
            lines.append(tr("Few labels: {}.").format(", ".join(find_scarce(schema, sums))))
        self.summary.setText("\n".join(lines))
        self.export.setEnabled(imagery is not None and labels > 0)

    def parameters(self, imagery: QgsMapLayer, labels: QgsVectorLayer, fields: LabelFields) -> dict[str, Any]:
        """The tool's parameters."""
        filled: dict[str, Any] = {
            "INPUT": imagery,
            "LABELS": labels,
            "TILE_SIZE_X": self.size.value(),
            "TILE_SIZE_Y": self.size.value(),
            "STRIDE_X": self.stride.value(),
            "STRIDE_Y": self.stride.value(),
        }
        if fields.value:
            filled["CLASS_VALUE_FIELD"] = fields.value
        if fields.name:
            filled["CLASS_NAME_FIELD"] = fields.name
        return filled

    def _spin(self, value: int) -> QSpinBox:
        spin = QSpinBox()
        spin.setRange(SMALLEST, LARGEST)
        spin.setSingleStep(32)
        spin.setValue(value)
        return spin
