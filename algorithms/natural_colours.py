# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows an image that Processing loads in natural colours: QGIS would take its first three bands, which rarely are these."""

from __future__ import annotations

from typing import ClassVar

from qgis.core import (
    QgsContrastEnhancement,
    QgsMapLayer,
    QgsMultiBandColorRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
)

from .image_bands import read_image_bands

# The first of these whose bands are all there: natural colours, else the usual false colours.
COMBINATIONS = (("red", "green", "blue"), ("nir", "red", "green"), ("swir1", "nir", "red"))


class NaturalColours(QgsProcessingLayerPostProcessorInterface):
    """Sets the bands of a result; for one layer."""

    # QGIS does not own post-processors, and the algorithm is gone when the layer comes: one reference per layer is kept until then.
    _waiting: ClassVar[dict[int, NaturalColours]] = {}

    @classmethod
    def make(cls) -> NaturalColours:
        """A new one, kept alive until it was called."""
        style = cls()
        cls._waiting[id(style)] = style
        return style

    def postProcessLayer(self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Called in the main thread once the layer is in the project."""
        bands = find_colour_bands(read_image_bands(layer.source()).names)
        if bands and isinstance(layer, QgsRasterLayer):
            layer.setRenderer(QgsMultiBandColorRenderer(layer.dataProvider(), *bands))
            layer.setContrastEnhancement(
                QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum, QgsRasterMinMaxOrigin.Limits.CumulativeCut
            )
            layer.triggerRepaint()
            layer.emitStyleChanged()
        self._waiting.pop(id(self), None)


def find_colour_bands(names: tuple[str, ...]) -> tuple[int, ...]:
    """One-based bands to show as red, green and blue; empty when the image has none of the combinations."""
    keys = [name.casefold() for name in names]
    for combination in COMBINATIONS:
        if all(name in keys for name in combination):
            return tuple(keys.index(name) + 1 for name in combination)
    return ()


def show_in_natural_colours(path: str, context: QgsProcessingContext) -> None:
    """Has the image shown so, if the user wants it loaded."""
    if context.willLoadLayerOnCompletion(path):
        context.layerToLoadOnCompletionDetails(path).setPostProcessor(NaturalColours.make())
