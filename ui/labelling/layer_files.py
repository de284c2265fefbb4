# SPDX-License-Identifier: GPL-2.0-or-later
"""New label layers and those opened from files."""

from __future__ import annotations

import os
import uuid

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog

from ...algorithms.label_layer import LabelLayerFile
from ...backend.errors import ToolboxError
from .dock import LabelDock
from .store import file_of
from .texts import tr


class LayerFiles(QObject):
    """Adds layers to the project and has the dock label them.

    Args:
        dock: Chooses the layer, and says which image gives the coordinate system.
        project: Gets the layers.

    Signals:
        made: A new label layer, which is in the project.
        failed: Why there is none.
    """

    made = pyqtSignal(object)
    failed = pyqtSignal(str)

    def __init__(self, dock: LabelDock, project: QgsProject) -> None:
        super().__init__(dock)
        self._dock, self._project = dock, project

    def ask_new(self) -> None:
        """Asks for a file and makes a label layer."""
        image = self._dock.imagery.currentLayer()
        folder = os.path.dirname(image.source()) if image is not None and os.path.isfile(image.source()) else ""
        start = os.path.join(folder or self._project.homePath(), "labels.gpkg")
        path, _ = QFileDialog.getSaveFileName(self._dock, tr("New label layer"), start, "GeoPackage (*.gpkg)")
        if path:
            self.make(path if path.lower().endswith(".gpkg") else f"{path}.gpkg")

    def make(self, path: str) -> None:
        """Makes an empty label layer in the image's coordinate system, else the project's."""
        image = self._dock.imagery.currentLayer()
        crs = image.crs() if image is not None and image.crs().isValid() else self._project.crs()
        try:
            for layer in self._project.mapLayers().values():
                used = file_of(layer) if isinstance(layer, QgsVectorLayer) else ""
                if used and os.path.exists(path) and os.path.samefile(used, path):
                    raise ToolboxError(f"{path} is the file of the layer “{layer.name()}”; choose another name.")
            with LabelLayerFile(path, crs, self._project.transformContext(), uuid.uuid4().hex[:8]) as file:
                file.publish(())
        except ToolboxError as failure:
            self.failed.emit(str(failure))
            return
        layer = self._add(path)
        if layer is not None:
            self.made.emit(layer)

    def ask_open(self) -> None:
        """Asks for a file of labels and labels it."""
        kinds = tr("Polygons") + " (*.gpkg *.shp *.geojson *.json *.fgb);;" + tr("All files") + " (*)"
        path, _ = QFileDialog.getOpenFileName(self._dock, tr("Open labels"), self._project.homePath(), kinds)
        if path:
            self.open(path)

    def open(self, path: str) -> None:
        """Labels a file, which is left as it is until something is drawn."""
        layer = self._add(path)
        if layer is not None:
            self._dock.layer.setLayer(layer)

    def _add(self, path: str) -> QgsVectorLayer | None:
        layer = QgsVectorLayer(path, os.path.splitext(os.path.basename(path))[0], "ogr")
        if not layer.isValid():
            self.failed.emit(tr("{} is no vector file that QGIS can read; choose another one.").format(path))
            return None
        self._project.addMapLayer(layer)
        return layer
