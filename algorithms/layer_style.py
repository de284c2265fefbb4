# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows a raster that Processing loads with the style that lies beside it.

Processing opens its results without their default style, and QGIS would make 256 classes without names of a colour table.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from qgis.core import QgsMapLayer, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingLayerPostProcessorInterface
from qgis.PyQt.QtCore import QTimer


class DefaultStyle(QgsProcessingLayerPostProcessorInterface):
    """Loads the .qml beside a result; for one layer."""

    # QGIS does not own post-processors, and the algorithm is gone when the layer comes: one reference per layer is kept until then.
    _waiting: ClassVar[dict[int, DefaultStyle]] = {}

    @classmethod
    def make(cls) -> DefaultStyle:
        """A new one, kept alive until it was called."""
        style = cls()
        cls._waiting[id(style)] = style
        return style

    def postProcessLayer(self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Called in the main thread once the layer is in the project."""
        message, loaded = layer.loadDefaultStyle()
        if not loaded:
            feedback.pushWarning(f"The classes of {layer.name()} are shown without their names: {message}")
        layer.triggerRepaint()
        layer.emitStyleChanged()
        # QGIS is still inside a method of this object: without another reference it would be gone under QGIS's feet.
        QTimer.singleShot(0, partial(self._waiting.pop, id(self), None))


def style_when_loaded(path: str, context: QgsProcessingContext) -> None:
    """Has the raster shown with its own style, if the user wants it loaded."""
    if context.willLoadLayerOnCompletion(path):
        context.layerToLoadOnCompletionDetails(path).setPostProcessor(DefaultStyle.make())
