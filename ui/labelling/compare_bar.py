# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the image with another one: a button that shows the other while it is held, and a divider between the two."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsProject
from qgis.gui import QgsMapCanvas, QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QWidget

from .swipe import Swipe
from .texts import tr


class CompareBar(QWidget):
    """The other image is a chosen layer, or whatever lies below."""

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._top: QgsMapLayer | None = None
        self._before: list[QgsMapLayer] | None = None  # the canvas's layers, while the button is held
        self._swipe = Swipe(canvas, self.other_layers, self)
        self.other = QgsMapLayerComboBox()
        self.other.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.other.setAllowEmptyLayer(True, tr("(what lies below)"))
        self.other.setCurrentIndex(0)  # not setLayer(None), which shows a blank line instead of that text
        self.other.setMinimumContentsLength(8)
        self.other.setToolTip(tr("The image to compare with"))
        self.below = QPushButton(tr("Look below"))
        self.below.setToolTip(tr("Shows the other image while the button is held."))
        self.swipe = QPushButton(tr("Swipe"))
        self.swipe.setCheckable(True)
        self.swipe.setToolTip(tr("Shows the other image to the right of a divider on the map, which can be dragged."))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.other, 1)
        row.addWidget(self.below)
        row.addWidget(self.swipe)
        self.below.pressed.connect(self._show_other)
        self.below.released.connect(self.restore)
        self.swipe.toggled.connect(lambda is_on: self._swipe.start() if is_on else self._swipe.stop())
        self.other.layerChanged.connect(lambda _layer: self._swipe.render())
        project.layersWillBeRemoved.connect(self._forget)

    def set_top(self, layer: QgsMapLayer | None) -> None:
        """Compares this image from now on."""
        self.restore()
        self._top = layer
        self.setEnabled(layer is not None)
        if layer is None:
            self.swipe.setChecked(False)
        self._swipe.render()

    def other_layers(self) -> list[QgsMapLayer]:
        """The canvas's layers with the other image in the place of the image."""
        chosen = self.other.currentLayer()
        shown = self._before if self._before is not None else self._canvas.layers()
        others: list[QgsMapLayer] = []
        for layer in shown:
            if layer is self._top:
                others += [chosen] if chosen is not None else []
            elif layer is not chosen:
                others.append(layer)
        return others

    def restore(self) -> None:
        """Shows the image again after the button was let go."""
        if self._before is not None:
            self._canvas.setLayers(self._before)
            self._before = None

    def remove(self) -> None:
        """Gives the canvas back."""
        self.restore()
        self.swipe.setChecked(False)

    def hideEvent(self, event: object) -> None:
        """No release comes when the dock is closed while the button is held."""
        self.restore()
        super().hideEvent(event)

    def _show_other(self) -> None:
        if self._top in self._canvas.layers():
            others = self.other_layers()
            self._before = self._canvas.layers()
            self._canvas.setLayers(others)

    def _forget(self, ids: list[str]) -> None:
        if self._before is not None:
            self._before = [layer for layer in self._before if layer.id() not in ids]
        if self._top is not None and self._top.id() in ids:
            self.set_top(None)
