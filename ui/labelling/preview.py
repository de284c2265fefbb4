# SPDX-License-Identifier: GPL-2.0-or-later
"""Label a few, see at once: runs “Preview classes from labels” on the current view and shows the result as layers of the moment.

The tool runs in the worker, in the background; a second press stops it. The layers of the last preview are replaced, and go with the
dock. The uncertainty is shown on top but switched off, so that it is one click away.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QPushButton

from ...algorithms.label_classes import LabelFields
from ..tool_task import ToolTask
from .passing_layers import mark_passing
from .texts import tr

TOOL = "deeplearning:previewclasses"
OPACITY = 0.6  # so that the image is seen below
OUTPUTS = ("OUTPUT", "OUTPUT_UNCERTAINTY")


class Preview(QObject):
    """The button's work.

    Args:
        button: Starts and stops it.
        canvas: Its view is previewed.
        project: Gets the layers.

    Signals:
        failed: Why there is no preview.
        shown: The layers are there.
        dropped: They are gone.
    """

    failed = pyqtSignal(str)
    shown = pyqtSignal()
    dropped = pyqtSignal()

    def __init__(self, button: QPushButton, canvas: QgsMapCanvas, project: QgsProject) -> None:
        super().__init__(button)
        self._button, self._canvas, self._project = button, canvas, project
        self._task: ToolTask | None = None
        self._layers: list[str] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._number = 0
        self._show_running()
        project.cleared.connect(self.stop)  # its layers would come into the next project

    @property
    def is_running(self) -> bool:
        """Whether the worker is at it."""
        return self._task is not None

    @property
    def layers(self) -> list[QgsRasterLayer]:
        """Classes and uncertainty as shown; empty while there is no preview, or the user has removed a layer of it."""
        found = [self._project.mapLayer(layer) for layer in self._layers]
        return [] if None in found else found

    def start(self, image: QgsMapLayer, labels: QgsVectorLayer, fields: LabelFields) -> None:
        """Previews the current view."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="label-preview-")
        self._number += 1
        view, crs = self._canvas.extent(), self._canvas.mapSettings().destinationCrs()
        corners = ",".join(str(side) for side in (view.xMinimum(), view.xMaximum(), view.yMinimum(), view.yMaximum()))
        parameters: dict[str, Any] = {"INPUT": image, "LABELS": labels, "EXTENT": f"{corners} [{crs.authid()}]"}
        for name in OUTPUTS:  # a new name each time: the layers shown still hold the files of the last one
            parameters[name] = str(Path(self._folder.name) / f"{name.lower()}_{self._number}.tif")
        if fields.value:
            parameters["CLASS_VALUE_FIELD"] = fields.value
        if fields.name:
            parameters["CLASS_NAME_FIELD"] = fields.name
        task = ToolTask(TOOL, parameters)
        task.finished.connect(self._end)
        fault = task.start()
        if fault:
            self.failed.emit(fault)
            return
        self._task = task
        self._show_running()

    def stop(self) -> None:
        """Asks the worker to stop."""
        if self._task is not None:
            self._task.cancel()

    def remove(self) -> None:
        """Stops, and takes layers and files away."""
        self._project.cleared.disconnect(self.stop)
        if self._task is not None:
            self._task.finished.disconnect(self._end)
            self._task.cancel()
            self._task = None
        self._drop_layers()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _end(self, outputs: dict[str, Any] | None, error: str) -> None:
        self._task = None
        self._show_running()
        if outputs is None:
            if error:
                self.failed.emit(error)
            return
        self._drop_layers()
        for name, title, is_shown in (
            ("OUTPUT", tr("Preview of classes"), True),
            ("OUTPUT_UNCERTAINTY", tr("Preview of uncertainty"), False),
        ):
            layer = QgsRasterLayer(str(outputs[name]), title)
            layer.loadDefaultStyle()
            layer.setOpacity(OPACITY)
            mark_passing(layer)
            self._project.addMapLayer(layer, False)
            root = self._project.layerTreeRoot()
            # Below the labels, which are on top, so that both are seen.
            root.insertLayer(min(1, len(root.children())), layer).setItemVisibilityChecked(is_shown)
            self._layers.append(layer.id())
        self.shown.emit()

    def _drop_layers(self) -> None:
        self._project.removeMapLayers([layer for layer in self._layers if self._project.mapLayer(layer) is not None])
        self._layers.clear()
        self.dropped.emit()

    def _show_running(self) -> None:
        self._button.setText(tr("Stop the preview") if self.is_running else tr("Preview classes"))
