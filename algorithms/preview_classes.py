# SPDX-License-Identifier: GPL-2.0-or-later
"""Preview classes from labels: a raster and the labels so far to a first map, and to where it is unsure, within seconds."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from .base import Parameters
from .job import LABELS_FILE, Job
from .label_source import LabelSource, LabelWriter
from .layer_style import style_when_loaded
from .raster_algorithm import RasterAlgorithm
from .values import read_bands


class PreviewClasses(RasterAlgorithm):
    """Some labels to a first map."""

    STAGE = "preview"
    ICON = "preview.svg"

    LABELS = "LABELS"
    CLASS_VALUE_FIELD = "CLASS_VALUE_FIELD"
    CLASS_NAME_FIELD = "CLASS_NAME_FIELD"
    EXTENT = "EXTENT"
    SEED = "SEED"
    OUTPUT = "OUTPUT"
    OUTPUT_UNCERTAINTY = "OUTPUT_UNCERTAINTY"

    def name(self) -> str:
        return "previewclasses"

    def displayName(self) -> str:
        return self.tr("Preview classes from labels")

    def group(self) -> str:
        return self.tr("Labels")

    def groupId(self) -> str:
        return "labels"

    def tags(self) -> list[str]:
        return self.tr("quick look,active learning,uncertainty,where to label,pixel model").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Learns from the labels drawn so far and shows the classes of a part of the image within seconds, and how unsure they "
            "are, so that you see where labels are missing. It looks at single pixels and their nearest surroundings only; “Train "
            "deep learning model” gives better maps."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        field = QgsProcessingParameterField.DataType.Any
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Raster")), self.tr("The image that the labels were drawn on.")
        )
        self.add(
            QgsProcessingParameterFeatureSource(self.LABELS, self.tr("Labels"), [QgsProcessing.SourceType.TypeVectorPolygon]),
            self.tr("Labels of at least two classes, anywhere on the raster."),
        )
        self.add(
            QgsProcessingParameterExtent(self.EXTENT, self.tr("Extent"), None, True),
            self.tr("The part to show, of 16 million pixels at most. If empty: the whole raster."),
        )
        for name, label, text in (
            (self.CLASS_VALUE_FIELD, self.tr("Class value field"), self.tr("If empty: the field Classvalue, else Value.")),
            (self.CLASS_NAME_FIELD, self.tr("Class name field"), self.tr("If empty: the field Classname, else the values.")),
        ):
            self.add(QgsProcessingParameterField(name, label, None, self.LABELS, field, False, True), text, advanced=True)
        self.add(
            QgsProcessingParameterBand(self.BANDS, self.tr("Bands"), None, self.INPUT, True, True),
            self.tr("The bands to look at. If empty: all."),
            advanced=True,
        )
        self.add(
            self.integer(self.SEED, self.tr("Seed"), 42, 0, 2**31 - 1),
            self.tr("The same number and labels give the same result again."),
            advanced=True,
        )
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Preview of classes")))
        self.add(
            QgsProcessingParameterRasterDestination(self.OUTPUT_UNCERTAINTY, self.tr("Preview of uncertainty"), None, True, False),
            self.tr("Optional raster: 0 % where one class is sure, 100 % where all classes are alike."),
        )

    def catch_inputs(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        self._labels = LabelSource.catch(
            self.parameterAsSource(parameters, self.LABELS, context),
            self.whole_layer(parameters, self.LABELS, context),
            self.parameterAsString(parameters, self.CLASS_VALUE_FIELD, context),
            self.parameterAsString(parameters, self.CLASS_NAME_FIELD, context),
        )

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = super().processAlgorithm(parameters, context, feedback)
        for name in (self.OUTPUT, self.OUTPUT_UNCERTAINTY):
            if name in outputs:
                style_when_loaded(outputs[name], context)
        return outputs

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        classes = self._labels.read_classes()
        for note in classes.notes:
            job.feedback.pushWarning(note)
        writer = LabelWriter(self._raster, context.transformContext(), 0.0, job.feedback, job.check_cancelled)
        writer.write(self._labels, classes, job.folder / LABELS_FILE)
        return {
            "raster": self._raster.source,
            "labels": LABELS_FILE,
            "classes": classes.entries,
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "uncertainty": self.layer_path(parameters, self.OUTPUT_UNCERTAINTY, context) or None,
            "extent": self.extent_of(parameters, self.EXTENT, context, self._raster),
            "bands": read_bands(parameters.get(self.BANDS)),
            "seed": self.parameterAsInt(parameters, self.SEED, context),
        }
