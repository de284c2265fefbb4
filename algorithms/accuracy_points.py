# SPDX-License-Identifier: GPL-2.0-or-later
"""Create accuracy assessment points: a class raster to points at which somebody says what is really there."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsFeatureRequest,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDistance,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsVectorLayer,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .job import Job
from .label_source import LabelWriter
from .layer_style import style_when_loaded
from .raster_source import RasterSource
from .reference_source import write_mask

MASK_FILE = "mask.gpkg"
SAMPLINGS = ("stratified", "equalized", "random")
MOST_POINTS = 10_000_000


class AccuracyPoints(BackendAlgorithm):
    """A class raster to random points."""

    STAGE = "accuracy_points"
    ICON = "points.svg"

    INPUT = "INPUT"
    COUNT = "COUNT"
    SAMPLING = "SAMPLING"
    MIN_PER_CLASS = "MIN_PER_CLASS"
    MIN_DISTANCE = "MIN_DISTANCE"
    MASK = "MASK"
    EXPECTED_ACCURACY = "EXPECTED_ACCURACY"
    MARGIN = "MARGIN"
    SEED = "SEED"
    OUTPUT = "OUTPUT"
    POINTS = "POINTS"

    def name(self) -> str:
        return "accuracypoints"

    def displayName(self) -> str:
        return self.tr("Create accuracy assessment points")

    def group(self) -> str:
        return self.tr("Accuracy")

    def groupId(self) -> str:
        return "accuracy"

    def tags(self) -> list[str]:
        return self.tr("sample,random,stratified,validation,ground truth,reference,sample size").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Draws random points on a class raster. Somebody then says what is really there (review dock, field GrndTruth), and "
            "“Assess accuracy” computes from it how good the map is. Points lie at pixel centres; −1 in GrndTruth means not answered."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Class raster")),
            self.tr("The map to assess, with class values in its only band. Nodata gets no points."),
        )
        self.add(
            self.integer(self.COUNT, self.tr("Number of points"), 500, 0, MOST_POINTS),
            self.tr("The result may have more points, never fewer. 0 = as many as the expected accuracy and the margin ask for."),
        )
        self.add(
            self.choice(self.SAMPLING, self.tr("Sampling"), SAMPLINGS, "stratified"),
            self.tr(
                "stratified: in proportion to the area of each class; equalized: the same number in each class; random: anywhere, "
                "whatever the class."
            ),
        )
        self.add(
            self.integer(self.MIN_PER_CLASS, self.tr("Minimum per class"), 10, 0, MOST_POINTS),
            self.tr("Each class gets at least so many points, if it has so many pixels. No effect on random sampling."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.MASK, self.tr("Mask"), [QgsProcessing.SourceType.TypeVectorPolygon], None, True
            ),
            self.tr("Polygons within which points are drawn. The assessment then speaks of this area only."),
        )
        self._add_advanced()
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT, self.tr("Accuracy assessment points"), QgsProcessing.SourceType.TypeVectorPoint
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.POINTS, self.tr("Number of points")))

    def _add_advanced(self) -> None:
        for parameter, text in (
            (
                QgsProcessingParameterDistance(self.MIN_DISTANCE, self.tr("Minimum distance"), 0.0, self.INPUT, False, 0.0),
                self.tr(
                    "Points lie at least so far apart, in the units of the raster's coordinate system; 0 = no minimum. The sample is "
                    "then no longer quite random."
                ),
            ),
            (
                QgsProcessingParameterString(self.EXPECTED_ACCURACY, self.tr("Expected accuracy"), "0.8"),
                self.tr(
                    "Share of each class that is expected to be right, from 0 to 1: one number, or one for some classes such as "
                    "1=0.7; 0.9. The log tells how exact the result will be."
                ),
            ),
            (
                self.real(self.MARGIN, self.tr("Margin"), 0.05, 0.001, 0.5),
                self.tr(
                    "For a number of points of 0: the overall accuracy shall be known within plus or minus this share (95 % "
                    "confidence)."
                ),
            ),
            (
                self.integer(self.SEED, self.tr("Seed"), 42, 0, 2_147_483_647),
                self.tr("The same number and raster give the same points again."),
            ),
        ):
            self.add(parameter, text, advanced=True)

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._raster = RasterSource.from_layer(self.parameterAsRasterLayer(parameters, self.INPUT, context), self.INPUT)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        self._mask = self.parameterAsSource(parameters, self.MASK, context)
        self._mask_source = self.vector_path(parameters, self.MASK, context)
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = super().processAlgorithm(parameters, context, feedback)
        style_when_loaded(outputs[self.OUTPUT], context)
        return outputs

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "raster": self._raster.source,
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "sampling": self.parameterAsEnumString(parameters, self.SAMPLING, context),
            "min_distance": self.parameterAsDouble(parameters, self.MIN_DISTANCE, context),
            "expected_accuracy": self.parameterAsString(parameters, self.EXPECTED_ACCURACY, context),
            "margin": self.parameterAsDouble(parameters, self.MARGIN, context),
            "has_georeference": self._raster.has_georeference,
        }
        self.refuse_overwriting(settings["output"], [self._raster.source, self._mask_source])
        refuse_answered(settings["output"])
        for name in (self.COUNT, self.MIN_PER_CLASS, self.SEED):
            settings[name.lower()] = self.parameterAsInt(parameters, name, context)
        if self._mask is not None:
            writer = LabelWriter(self._raster, context.transformContext(), 0.0, job.feedback, job.check_cancelled)
            write_mask(writer, self._mask, job.folder / MASK_FILE)
            settings["mask"] = MASK_FILE
        return settings


def refuse_answered(path: str) -> None:
    """Raises ToolboxError when a file that is to be replaced holds points that somebody has reviewed."""
    layer = QgsVectorLayer(path, "", "ogr") if os.path.exists(path) else None
    if layer is None or not layer.isValid() or layer.fields().lookupField("GrndTruth") < 0:
        return
    # Disputed points have no truth, but answers.
    answers = [name for name in layer.fields().names() if name == "GrndTruth" or name.startswith("Truth_")]
    request = QgsFeatureRequest().setFilterExpression(" OR ".join(f'"{name}" >= 0' for name in answers)).setLimit(1)
    if any(True for _ in layer.getFeatures(request)):
        raise ToolboxError(f"The points in {path} have been answered, and would be lost; choose another place, or delete the file.")
