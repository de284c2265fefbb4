# SPDX-License-Identifier: GPL-2.0-or-later
"""How an image and its labels are shown while they are labelled: bands by name and sensor, stretch to the view, outlines."""

from __future__ import annotations

from typing import NamedTuple

from qgis.core import (
    QgsContrastEnhancement,
    QgsCoordinateTransform,
    QgsCsException,
    QgsMultiBandColorRenderer,
    QgsProject,
    QgsProperty,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsRectangle,
    QgsRenderContext,
    QgsSymbolLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas

from ...algorithms.image_bands import read_image_bands
from ...backend.errors import ToolboxError
from ...backend.imagery.sensors import AUTO, match_letters
from .texts import tr

SAMPLE = 250_000  # pixels that a stretch looks at, as QGIS's own does
# QGIS 3.38 renamed the members within Property; these names are the ones that old and new versions share.
FILL, STROKE = QgsSymbolLayer.PropertyFillStyle, QgsSymbolLayer.PropertyStrokeColor


class Composite(NamedTuple):
    """What to show as red, green and blue: letters of bands as in `sensors`, and what it is good for."""

    title: str
    letters: tuple[str, str, str]


def composites() -> list[Composite]:
    """The usual ones, the plainest first."""
    return [
        Composite(tr("Natural colours"), ("R", "G", "B")),
        Composite(tr("Near infrared (plants red)"), ("N", "R", "G")),
        Composite(tr("Short-wave infrared (fields, bare soil)"), ("S1", "N", "R")),
        Composite(tr("Short-wave infrared (burns, built-up land)"), ("S2", "N", "R")),
        Composite(tr("Land and water"), ("N", "S1", "R")),
    ]


def find_letters(layer: QgsRasterLayer, sensor: str = AUTO) -> dict[str, int]:
    """One-based bands of an image by letter; none when nothing tells them.

    Raises:
        ToolboxError: The image does not fit the sensor.
    """
    image = read_image_bands(layer.source())
    return match_letters(image.names, image.wavelengths_um, image.sensor, sensor).bands if image.names else {}


def show_bands(layer: QgsRasterLayer, bands: tuple[int, int, int], canvas: QgsMapCanvas) -> None:
    """Shows these bands as red, green and blue, stretched to the view (or the image, when it is out of view)."""
    before = layer.renderer()
    renderer = QgsMultiBandColorRenderer(layer.dataProvider(), *bands)
    if before is not None:
        renderer.setOpacity(before.opacity())
        renderer.setAlphaBand(before.alphaBand())
    layer.setRenderer(renderer)
    _stretch(layer, view_on(layer, canvas))


def stretch_to_view(layer: QgsRasterLayer, canvas: QgsMapCanvas) -> None:
    """Stretches the contrast to the 2nd and 98th percentile of what is in view.

    Raises:
        ToolboxError: Nothing of the image is in view.
    """
    view = view_on(layer, canvas)
    if view.isEmpty():
        raise ToolboxError(tr("Nothing of “{0}” is in view; zoom to it first.").format(layer.name()))
    _stretch(layer, view)


def view_on(layer: QgsRasterLayer, canvas: QgsMapCanvas) -> QgsRectangle:
    """The part of the image in view, in its own coordinates; empty when it is out of view."""
    settings = canvas.mapSettings()
    into = QgsCoordinateTransform(settings.destinationCrs(), layer.crs(), QgsProject.instance().transformContext())
    try:
        view = into.transformBoundingBox(settings.visibleExtent())
    except QgsCsException:  # the view reaches beyond where the image's CRS is defined: nothing to intersect
        return QgsRectangle()
    return view.intersect(layer.extent())


def _stretch(layer: QgsRasterLayer, extent: QgsRectangle) -> None:
    layer.setContrastEnhancement(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
        QgsRasterMinMaxOrigin.Limits.CumulativeCut,
        extent,
        SAMPLE,
    )
    layer.triggerRepaint()
    layer.emitStyleChanged()


def is_outlined(layer: QgsVectorLayer) -> bool:
    """Whether all labels are shown as outlines."""
    parts = _symbol_layers(layer)
    return bool(parts) and all(part.dataDefinedProperties().isActive(FILL) for part in parts)


def set_outlined(layer: QgsVectorLayer, wanted: bool) -> None:
    """Shows labels as outlines in their class's colour, or again as their style says, which stays as it is below."""
    for part in _symbol_layers(layer):
        part.setDataDefinedProperty(FILL, QgsProperty.fromValue("no") if wanted else QgsProperty())
        part.setDataDefinedProperty(STROKE, QgsProperty.fromExpression("@symbol_color") if wanted else QgsProperty())
    layer.triggerRepaint()
    layer.emitStyleChanged()


def _symbol_layers(layer: QgsVectorLayer) -> list[QgsSymbolLayer]:
    renderer = layer.renderer()
    symbols = renderer.symbols(QgsRenderContext()) if renderer is not None else []
    return [part for symbol in symbols for part in symbol.symbolLayers()]
