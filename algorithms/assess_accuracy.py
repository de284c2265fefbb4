# SPDX-License-Identifier: GPL-2.0-or-later
"""Assess accuracy: a class raster beside the truth, and perhaps beside a second map."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .job import LABELS_FILE, Job
from .layer_style import style_when_loaded
from .raster_source import RasterSource
from .reference_source import ReferenceFields, ReferenceWriter
from .values import is_given

UNLABELLED_CHOICES = ("auto", "ignore", "background")


class AssessAccuracy(BackendAlgorithm):
    """A map and the truth to figures, a report and a layer of errors."""

    STAGE = "assess"
    ICON = "assess.svg"

    INPUT = "INPUT"
    REFERENCE = "REFERENCE"
    CLASS_VALUE_FIELD = "CLASS_VALUE_FIELD"
    REFERENCE_RASTER = "REFERENCE_RASTER"
    SECOND_MAP = "SECOND_MAP"
    AREA_WEIGHTED = "AREA_WEIGHTED"
    UNLABELED = "UNLABELED"
    OUTPUT = "OUTPUT"
    OUTPUT_HTML = "OUTPUT_HTML"
    OUTPUT_ERRORS = "OUTPUT_ERRORS"
    FIGURES = (
        ("OVERALL_ACCURACY", "Overall accuracy"),
        ("OVERALL_MARGIN", "Half the width of its 95 % interval"),
        ("KAPPA", "Kappa"),
        ("QUANTITY_DISAGREEMENT", "Quantity disagreement"),
        ("ALLOCATION_DISAGREEMENT", "Allocation disagreement"),
        ("MEAN_IOU", "Mean IoU"),
        ("MEAN_F1", "Mean F1"),
        ("UNITS", "Number of points or pixels"),
        ("MCNEMAR_P", "p of McNemar's test"),
        ("ACCURACY_CHANGE", "Overall accuracy of the second map less that of the first"),
    )

    def name(self) -> str:
        return "assessaccuracy"

    def displayName(self) -> str:
        return self.tr("Assess accuracy")

    def group(self) -> str:
        return self.tr("Accuracy")

    def groupId(self) -> str:
        return "accuracy"

    def tags(self) -> list[str]:
        return self.tr("confusion matrix,error matrix,kappa,validation,area estimation,olofsson,mcnemar,user,producer,iou").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Tells how good a map is: confusion matrix, user's and producer's accuracy, F1 and IoU of each class, and, from random "
            "points, accuracies and areas of the whole map with 95 % confidence intervals (Olofsson et al. 2014). A second map can be "
            "compared with the first."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self._add_inputs()
        self.add(
            QgsProcessingParameterBoolean(self.AREA_WEIGHTED, self.tr("Estimate for the whole map"), True),
            self.tr(
                "Points only: the figures hold for the whole map, each class weighted by its area (stratified estimator). Otherwise "
                "they describe the points alone. Polygons and rasters are compared pixel by pixel in any case."
            ),
        )
        self.add(
            self.choice(self.UNLABELED, self.tr("Value 0 of the reference"), UNLABELLED_CHOICES, "auto"),
            self.tr(
                "ignore: does not count. background: is class 0, and so is what lies outside of reference polygons. auto: is class 0 "
                "if the map has a class 0, too."
            ),
            advanced=True,
        )
        self.addParameter(
            QgsProcessingParameterVectorDestination(self.OUTPUT, self.tr("Confusion matrix"), QgsProcessing.SourceType.TypeVector)
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT_HTML, self.tr("Report"), self.tr("HTML files (*.html)"), None, True, True
            ),
            self.tr("Page with all figures and charts, in one file."),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT_ERRORS, self.tr("Errors"), QgsProcessing.SourceType.TypeVectorAnyGeometry, None, True, False
            ),
            self.tr(
                "Optional layer of what is wrong, with the class of the map and the true one. Its fields are those of a label layer, "
                "so it can be used for training."
            ),
        )
        for name, description in self.FIGURES:
            self.addOutput(QgsProcessingOutputNumber(name, self.tr(description)))

    def _add_inputs(self) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Class raster")),
            self.tr("The map to assess, with class values in its only band."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.REFERENCE, self.tr("Reference points or polygons"), [QgsProcessing.SourceType.TypeVectorAnyGeometry], None, True
            ),
            self.tr(
                "What is really there, in any coordinate system. Points count once each, polygons by their pixels and also as "
                "objects. Give either this or a reference raster."
            ),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_VALUE_FIELD,
                self.tr("Class value field"),
                None,
                self.REFERENCE,
                QgsProcessingParameterField.DataType.Any,
                False,
                True,
            ),
            self.tr(
                "Field with the true class: its value, or its name as on the map. Empty and negative values count as not answered. If "
                "no field is given: GrndTruth, else Classvalue, Value or Classname; a map of one class needs none."
            ),
        )
        self.add(
            QgsProcessingParameterRasterLayer(self.REFERENCE_RASTER, self.tr("Reference raster"), None, True),
            self.tr("A class raster with the truth instead, on any grid and in any coordinate system; nodata does not count."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(self.SECOND_MAP, self.tr("Second map"), None, True),
            self.tr("Another class raster, of another model perhaps, to be compared with the first by McNemar's test and by class."),
        )

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        given = [name for name in (self.REFERENCE, self.REFERENCE_RASTER) if is_given(parameters.get(name))]
        if len(given) != 1:
            return False, self.tr(
                "Give either REFERENCE (points or polygons) or REFERENCE_RASTER (a class raster), not both and not none."
            )
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._raster = RasterSource.from_layer(self.parameterAsRasterLayer(parameters, self.INPUT, context), self.INPUT)
            self._others = {}
            for name in (self.REFERENCE_RASTER, self.SECOND_MAP):
                if is_given(parameters.get(name)):
                    layer = self.parameterAsRasterLayer(parameters, name, context)
                    self._others[name] = RasterSource.from_layer(layer, name)
            self._reference, self._reference_source = None, ""
            if is_given(parameters.get(self.REFERENCE)):
                self._reference = self.parameterAsSource(parameters, self.REFERENCE, context)
                self._reference_source = self.vector_path(parameters, self.REFERENCE, context)
                if self._reference is None:
                    raise ToolboxError("REFERENCE is not a vector layer that QGIS can read; choose another one.")
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = super().processAlgorithm(parameters, context, feedback)
        if outputs.get(self.OUTPUT_ERRORS):
            style_when_loaded(outputs[self.OUTPUT_ERRORS], context)
        return outputs

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "raster": self._raster.source,
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "report": self.output_path(parameters, self.OUTPUT_HTML, context) or None,
            "errors": self.layer_path(parameters, self.OUTPUT_ERRORS, context) or None,
            "area_weighted": self.parameterAsBoolean(parameters, self.AREA_WEIGHTED, context),
            "unlabelled": self.parameterAsEnumString(parameters, self.UNLABELED, context),
            "has_georeference": self._raster.has_georeference,
        }
        for name, key in ((self.REFERENCE_RASTER, "reference_raster"), (self.SECOND_MAP, "second_raster")):
            if name in self._others:
                settings[key] = self._others[name].source
        read = [self._raster.source, *(raster.source for raster in self._others.values()), self._reference_source]
        for written in (settings["output"], settings["report"], settings["errors"]):
            self.refuse_overwriting(written or "", read)
        if self._reference is not None:
            field = self.parameterAsString(parameters, self.CLASS_VALUE_FIELD, context)
            fields = ReferenceFields.find(self._reference.fields(), field)
            if not fields.value:
                job.feedback.pushInfo("The reference has no field of classes: all its features are of the map's only class.")
            writer = ReferenceWriter(self._raster, context.transformContext(), 0.0, job.feedback, job.check_cancelled)
            classes = writer.write_reference(self._reference, fields, job.folder / LABELS_FILE)
            for note in classes.notes():
                job.feedback.pushWarning(note)
            settings["reference"] = LABELS_FILE
            settings["reference_classes"] = classes.entries
            settings["skipped"] = classes.without_class
            settings["unanswered_strata"] = sorted(classes.unanswered_strata)
            settings["has_class_field"] = bool(fields.value)
        return settings
