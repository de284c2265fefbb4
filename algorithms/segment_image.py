# SPDX-License-Identifier: GPL-2.0-or-later
"""Segment image: a raster to polygons around alike pixels, each of which can become a label with one click."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBand,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from .base import Parameters
from .job import Job
from .layer_style import style_when_loaded
from .raster_algorithm import RasterAlgorithm
from .values import read_bands


class SegmentImage(RasterAlgorithm):
    """A raster to segments."""

    STAGE = "segment"
    ICON = "segment.svg"

    SEGMENT_SIZE = "SEGMENT_SIZE"
    COMPACTNESS = "COMPACTNESS"
    EXTENT = "EXTENT"
    OUTPUT = "OUTPUT"
    SEGMENTS = "SEGMENTS"

    def name(self) -> str:
        return "segmentimage"

    def displayName(self) -> str:
        return self.tr("Segment image")

    def group(self) -> str:
        return self.tr("Labels")

    def groupId(self) -> str:
        return "labels"

    def tags(self) -> list[str]:
        return self.tr("superpixels,objects,obia,slic,segment mean shift,regions").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Divides an image into small polygons of alike pixels (superpixels, SLIC). With “Select segments” of the label dock, each "
            "becomes a label with one click. It works in tiles, so the image may be of any size."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Raster")),
            self.tr("The image. Nodata becomes no segment."),
        )
        self.add(
            self.integer(self.SEGMENT_SIZE, self.tr("Segment size"), 20, 3, 500),
            self.tr("Width of a typical segment in pixels; choose it smaller than the smallest thing to label."),
        )
        self.add(
            self.real(self.COMPACTNESS, self.tr("Compactness"), 10.0, 0.0, 1000.0),
            self.tr("Small values follow the image's edges, large ones give regular shapes; 10 is usual."),
        )
        self.add(
            QgsProcessingParameterExtent(self.EXTENT, self.tr("Extent"), None, True),
            self.tr("The part of the raster to segment. If empty: all of it."),
        )
        self.add(
            QgsProcessingParameterBand(self.BANDS, self.tr("Bands"), None, self.INPUT, True, True),
            self.tr("The bands to look at. If empty: all."),
            advanced=True,
        )
        self.addParameter(
            QgsProcessingParameterVectorDestination(self.OUTPUT, self.tr("Segments"), QgsProcessing.SourceType.TypeVectorPolygon)
        )
        self.addOutput(QgsProcessingOutputNumber(self.SEGMENTS, self.tr("Number of segments")))

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = super().processAlgorithm(parameters, context, feedback)
        style_when_loaded(outputs[self.OUTPUT], context)
        return outputs

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        return {
            "raster": self._raster.source,
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "segment_size": self.parameterAsInt(parameters, self.SEGMENT_SIZE, context),
            "compactness": self.parameterAsDouble(parameters, self.COMPACTNESS, context),
            "bands": read_bands(parameters.get(self.BANDS)),
            "extent": self.extent_of(parameters, self.EXTENT, context, self._raster),
            "has_georeference": self._raster.has_georeference,
        }
