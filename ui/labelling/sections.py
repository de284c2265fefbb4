# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of the dock that help to look: how image and labels are shown, and the tiles in which an area is labelled."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QWidget

from .dock import LabelDock
from .image_controls import ImageControls
from .store import file_beside
from .texts import tr
from .tile_bar import TileBar
from .tile_memory import TileMemory
from .tile_mode import TileMode

TILES = ".tiles"  # ending of the file beside the labels


class Sections(QObject):
    """Puts the parts into the dock and tells them what is labelled.

    Signals:
        failed: A sentence for the user.
    """

    failed = pyqtSignal(str)

    def __init__(self, dock: LabelDock, canvas: QgsMapCanvas, project: QgsProject) -> None:
        super().__init__(dock)
        self._project = project
        self.image_controls = ImageControls(canvas, project)
        self.tiles = TileMode(canvas, project, self)
        self.tile_bar = TileBar(canvas, self.tiles)
        dock.add_tab(self.image_controls, tr("View"))
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel(tr("Tiles")))
        layout.addWidget(self.tile_bar, 1)
        dock.add_section(row)
        self.image_controls.failed.connect(self.failed)
        self.tiles.failed.connect(self.failed)

    def show_image(self, layer: QgsMapLayer | None) -> None:
        """This image is labelled."""
        self.image_controls.set_image(layer)

    def show_layer(self, layer: QgsVectorLayer | None) -> None:
        """These labels are drawn; their tiles go on where they were left."""
        self.image_controls.set_labels(layer)
        key, file = (layer.id(), file_beside(layer, TILES)) if layer is not None else ("", None)
        self.tiles.use(TileMemory(self._project, key, file))
        self.tile_bar.setEnabled(layer is not None)

    def remove(self) -> None:
        """Gives the canvas back."""
        self.image_controls.remove()
        self.tiles.remove()
