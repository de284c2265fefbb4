# SPDX-License-Identifier: GPL-2.0-or-later
"""Classify pixels using deep learning: a raster and a model to a class raster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .classify_parameters import add_model, add_raster, add_result, add_running, find_fault, read_options
from .job import MASK_FILE, Job
from .label_source import LabelWriter
from .layer_style import style_when_loaded
from .raster_source import RasterSource
from .reference_source import write_mask

if TYPE_CHECKING:
    from qgis.PyQt.QtWidgets import QWidget

DIALOG = f"{__package__.rpartition('.')[0]}.ui.classify_dialog"  # imported when a dialog is opened
POLYGONS_PER = ("region", "class")
# Optional rasters and the worker's names for them.
RASTERS = {"OUTPUT_CONFIDENCE": "confidence", "OUTPUT_UNCERTAINTY": "uncertainty", "OUTPUT_PROBABILITIES": "probabilities"}


class ClassifyPixels(BackendAlgorithm):
    """A raster to a map of classes."""

    STAGE = "classify"
    ICON = "classify.svg"

    INPUT = "INPUT"
    MODEL = "MODEL"
    EXTENT = "EXTENT"
    MASK = "MASK"
    OUTPUT = "OUTPUT"
    OUTPUT_POLYGONS = "OUTPUT_POLYGONS"
    POLYGONS_PER = "POLYGONS_PER"
    DEVICE_USED = "DEVICE_USED"

    def name(self) -> str:
        return "classifypixels"

    def displayName(self) -> str:
        return self.tr("Classify pixels using deep learning")

    def group(self) -> str:
        return self.tr("Inference")

    def groupId(self) -> str:
        return "inference"

    def tags(self) -> list[str]:
        return self.tr("segmentation,land cover,predict,inference,map,network,deep learning").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Gives every pixel of a raster one of the classes that a model has learned. The raster is worked through in overlapping "
            "tiles, so its size does not matter. The result keeps class values, names and colours; nodata stays nodata."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Raster")),
            self.tr("It must have the bands of the model; they are found by name, else by order."),
        )
        for add in (add_model, add_result, add_raster, add_running):
            add(self)
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Class raster")))
        for name, label, text in (
            (
                "OUTPUT_CONFIDENCE",
                self.tr("Confidence"),
                self.tr("Optional raster with the probability of the winning class in percent."),
            ),
            (
                "OUTPUT_UNCERTAINTY",
                self.tr("Uncertainty"),
                self.tr("Optional raster with the entropy of the probabilities in percent: 0 = sure, 100 = any class is as likely."),
            ),
            (
                "OUTPUT_PROBABILITIES",
                self.tr("Probabilities"),
                self.tr("Optional raster with a band for each class, its probability in percent."),
            ),
        ):
            self.add(QgsProcessingParameterRasterDestination(name, label, None, True, False), text)
        polygons = QgsProcessing.SourceType.TypeVectorPolygon
        self.add(
            QgsProcessingParameterVectorDestination(self.OUTPUT_POLYGONS, self.tr("Polygons"), polygons, None, True, False),
            self.tr("Optional layer with a polygon for each connected region, with class, pixels and area."),
        )
        self.add(
            self.choice(self.POLYGONS_PER, self.tr("A polygon for each"), POLYGONS_PER, POLYGONS_PER[0]),
            self.tr("Connected region, or class: then all regions of a class are one feature, which takes memory for all of them."),
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputString(self.DEVICE_USED, self.tr("Device used")))

    def createCustomParametersWidget(self, parent: QWidget | None = None) -> QWidget | None:
        return import_module(DIALOG).ClassifyDialog(self.create(), parent)

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        fine, text = super().checkParameterValues(parameters, context)
        text = text if not fine else find_fault(self, parameters, context)
        return not text, text

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._raster = RasterSource.from_layer(self.parameterAsRasterLayer(parameters, self.INPUT, context), self.INPUT)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        self._mask = self.parameterAsSource(parameters, self.MASK, context)
        self._mask_place = self.vector_path(parameters, self.MASK, context)
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = super().processAlgorithm(parameters, context, feedback)
        for name in (self.OUTPUT, *RASTERS, self.OUTPUT_POLYGONS):
            if name in outputs:
                style_when_loaded(outputs[name], context)
        return outputs

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        settings: dict[str, Any] = {
            **read_options(self, parameters, context),
            "raster": self._raster.source,
            "model": self.input_path(parameters, self.MODEL, context),
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "polygons": self.layer_path(parameters, self.OUTPUT_POLYGONS, context) or None,
            "polygons_per": self.parameterAsEnumString(parameters, self.POLYGONS_PER, context),
            "extent": self.extent_of(parameters, self.EXTENT, context, self._raster),
            "has_georeference": self._raster.has_georeference,
        }
        for name, setting in RASTERS.items():
            settings[setting] = self.layer_path(parameters, name, context) or None
        self.refuse_overwriting(settings["polygons"] or "", [self._mask_place])
        if self._mask is not None:
            writer = LabelWriter(self._raster, context.transformContext(), 0.0, job.feedback, job.check_cancelled)
            write_mask(writer, self._mask, job.folder / MASK_FILE)
            settings["mask"] = MASK_FILE
        return settings
