# SPDX-License-Identifier: GPL-2.0-or-later
"""The row below the preview's button: whether areas of the preview are accepted, and which of its pixels are good enough."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QSpinBox, QWidget

from .preview_regions import Limits
from .texts import tr

USUAL_PIXELS = 9  # a block of three by three; smaller ones are mostly noise of a model that looks at single pixels


class AcceptBar(QWidget):
    """Hidden while there is no preview."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.accept = QPushButton(tr("Accept areas"))
        self.accept.setCheckable(True)
        self.accept.setToolTip(
            tr("Click a region of the preview, or drag a rectangle (or draw with any tool), to make labels of the classes it shows.")
        )
        self.unsure = QSpinBox()
        self.unsure.setRange(0, 100)
        self.unsure.setValue(100)
        self.unsure.setPrefix("≤ ")
        self.unsure.setSuffix(tr(" % unsure"))
        self.unsure.setToolTip(tr("Leaves out pixels that are less sure than this; see the layer “Preview of uncertainty”."))
        self.pixels = QSpinBox()
        self.pixels.setRange(1, 100_000)
        self.pixels.setValue(USUAL_PIXELS)
        self.pixels.setPrefix("≥ ")
        self.pixels.setSuffix(tr(" px"))
        self.pixels.setToolTip(tr("Leaves out regions of fewer pixels."))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for widget, share in ((self.accept, 5), (self.unsure, 6), (self.pixels, 4)):
            row.addWidget(widget, share)
        for box in (self.unsure, self.pixels):  # the row must not widen the dock, which would shift the map, when it appears
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.hide()

    @property
    def limits(self) -> Limits:
        """What the user finds good enough."""
        return Limits(self.unsure.value(), self.pixels.value())
