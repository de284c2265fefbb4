# SPDX-License-Identifier: GPL-2.0-or-later
"""Spectral indices to look at while labelling: a layer that QGIS computes from the image's bands for the view; no file is written.

Their formulas are those of the tool “Compute spectral indices”, which is the one to use for an index that a network is to learn from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from qgis.core import (
    QgsColorRampShader,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsProject,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRasterTransparency,
    QgsRectangle,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

from ...backend.errors import ToolboxError
from ...backend.imagery.indices.catalogue import load_catalogue
from .passing_layers import mark_passing
from .texts import tr

SAMPLE = 500  # pixels, on the longer side, that the colours are fitted to
CUT = 2  # percent of the pixels below and above the colours
NODATA = (-4e38, -1e30)  # what QGIS computes where a band has no data; its provider does not say so itself, nor can it be told to
MIDDLE = QColor(247, 247, 240)


class IndexPreset(NamedTuple):
    """An index of the catalogue, what it is good for, and the colours of its low and high values."""

    name: str
    title: str
    low: QColor
    high: QColor


def presets() -> list[IndexPreset]:
    """The ones that labellers of the usual sensors ask for."""
    soil, plants, water = QColor(140, 81, 10), QColor(0, 104, 55), QColor(5, 60, 150)
    built, burnt, dry = QColor(165, 0, 38), QColor(60, 20, 20), QColor(200, 140, 60)
    return [
        IndexPreset("NDVI", tr("NDVI: plants"), soil, plants),
        IndexPreset("NDWI", tr("NDWI: open water"), soil, water),
        IndexPreset("MNDWI", tr("MNDWI: water in towns"), soil, water),
        IndexPreset("NDMI", tr("NDMI: moisture"), dry, water),
        IndexPreset("NDBI", tr("NDBI: built-up land"), plants, built),
        IndexPreset("BI", tr("BI: bare soil"), plants, soil),
        IndexPreset("NBR", tr("NBR: burnt land"), burnt, plants),
    ]


def fitting_presets(letters: Mapping[str, int]) -> list[IndexPreset]:
    """Those whose bands an image has, given as one-based numbers by letter."""
    known = load_catalogue().indices
    return [preset for preset in presets() if set(known[preset.name].parse().names) <= set(letters)]


def make_index_layer(preset: IndexPreset, image: QgsRasterLayer, letters: Mapping[str, int], view: QgsRectangle) -> QgsRasterLayer:
    """A layer of an index of an image, its colours fitted to a view in the image's coordinates.

    Raises:
        ToolboxError: QGIS cannot compute it from this image.
    """
    settings = QgsRasterDataProvider.VirtualRasterParameters()
    settings.crs, settings.extent = image.crs(), image.extent()
    settings.width, settings.height = image.width(), image.height()
    formula = load_catalogue().indices[preset.name].formula
    # A letter that is no part of a longer word, as S in S1 would be.
    settings.formula = re.sub(r"[A-Z][A-Z0-9]*", lambda found: f'"image@{letters[found[0]]}"', formula)
    source = QgsRasterDataProvider.VirtualRasterInputLayers()
    source.name, source.uri, source.provider = "image", image.source(), image.providerType()
    settings.rInputLayers = [source]
    uri = QgsRasterDataProvider.encodeVirtualRasterProviderUri(settings)
    layer = QgsRasterLayer(uri, f"{preset.name} – {image.name()}", "virtualraster")
    if not layer.isValid():
        text = tr("QGIS cannot compute {0} from “{1}”; use the tool “Compute spectral indices” instead.")
        raise ToolboxError(text.format(preset.name, image.name()))
    mark_passing(layer)
    _color(layer, preset, view)
    return layer


def fit_colors(layer: QgsRasterLayer, preset: IndexPreset, view: QgsRectangle) -> None:
    """Fits the colours to a view in the layer's coordinates."""
    _color(layer, preset, view)
    layer.triggerRepaint()
    layer.emitStyleChanged()


def _color(layer: QgsRasterLayer, preset: IndexPreset, view: QgsRectangle) -> None:
    lowest, highest = _limits(layer, view)
    ramp = QgsGradientColorRamp(preset.low, preset.high, False, [QgsGradientStop(0.5, MIDDLE)])
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1)
    renderer.setClassificationMin(lowest)
    renderer.setClassificationMax(highest if highest > lowest else lowest + 1e-6)
    renderer.createShader(ramp, QgsColorRampShader.Type.Interpolated, QgsColorRampShader.ClassificationMode.Continuous, 0, False)
    missing = QgsRasterTransparency.TransparentSingleValuePixel()
    missing.min, missing.max, missing.percentTransparent = *NODATA, 100
    transparency = QgsRasterTransparency()
    transparency.setTransparentSingleValuePixelList([missing])
    renderer.setRasterTransparency(transparency)
    layer.setRenderer(renderer)


def _limits(layer: QgsRasterLayer, view: QgsRectangle) -> tuple[float, float]:
    """The 2nd and 98th percentile of what is in view, else of the whole layer; 0 and 1 where there is no data."""
    for extent in (view, layer.extent()):
        if extent.isEmpty():
            continue
        factor = SAMPLE / max(extent.width(), extent.height())
        size = max(1, round(extent.width() * factor)), max(1, round(extent.height() * factor))
        values = np.frombuffer(bytes(layer.dataProvider().block(1, extent, *size).data()), np.float64)
        values = values[np.isfinite(values) & (values > NODATA[1])]
        if values.size:
            return tuple(float(limit) for limit in np.percentile(values, (CUT, 100 - CUT)))
    return 0.0, 1.0


class IndexView:
    """The index that is shown in the project above an image, one at a time."""

    def __init__(self, project: QgsProject) -> None:
        self._project = project
        self._layer_id, self._preset = "", None

    @property
    def layer(self) -> QgsRasterLayer | None:
        """What is shown; None when nothing is, or when the user removed it."""
        return self._project.mapLayer(self._layer_id) if self._layer_id else None

    def show(self, preset: IndexPreset, image: QgsRasterLayer, letters: Mapping[str, int], view: QgsRectangle) -> None:
        """Shows an index instead of the one before; raises ToolboxError, see `make_index_layer`."""
        layer = make_index_layer(preset, image, letters, view)
        self.hide()
        self._project.addMapLayer(layer, False)
        root = self._project.layerTreeRoot()
        node = root.findLayer(image.id())
        group = node.parent() if node is not None else root
        group.insertLayer(group.children().index(node) if node is not None else 0, layer)
        self._layer_id, self._preset = layer.id(), preset

    def fit(self, view: QgsRectangle) -> None:
        """Fits its colours to a view in the image's coordinates."""
        if self.layer is not None:
            fit_colors(self.layer, self._preset, view)

    def hide(self) -> None:
        """Takes it out of the project."""
        layer = self.layer
        self._layer_id, self._preset = "", None  # first, as those who hear of the removal look here
        if layer is not None:
            self._project.removeMapLayer(layer.id())
