# SPDX-License-Identifier: GPL-2.0-or-later
"""Classify pixels using deep learning: a raster and a model to a class raster."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ..backend.errors import ToolboxError
from .base import MODEL_FILTER, BackendAlgorithm, Parameters
from .job import Job
from .layer_style import style_when_loaded
from .raster_source import RasterSource


class ClassifyPixels(BackendAlgorithm):
    """A raster to a map of classes."""

    STAGE = "classify"
    ICON = "classify.svg"

    INPUT = "INPUT"
    MODEL = "MODEL"
    TILE_SIZE = "TILE_SIZE"
    OVERLAP = "OVERLAP"
    BATCH_SIZE = "BATCH_SIZE"
    TEST_TIME_AUGMENTATION = "TEST_TIME_AUGMENTATION"
    PREDICT_BACKGROUND = "PREDICT_BACKGROUND"
    EXTENT = "EXTENT"
    MEMORY = "MEMORY"
    DEVICE = "DEVICE"
    OUTPUT = "OUTPUT"
    OUTPUT_CONFIDENCE = "OUTPUT_CONFIDENCE"
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
        self.add(
            QgsProcessingParameterFile(
                self.MODEL, self.tr("Model"), QgsProcessingParameterFile.Behavior.File, "", None, False, MODEL_FILTER
            ),
            self.tr("Written by “Train deep learning model”: a .dlpk, or an .emd with its weights beside."),
        )
        self.add(
            QgsProcessingParameterExtent(self.EXTENT, self.tr("Extent"), None, True),
            self.tr("The part of the raster to classify. If empty: all of it."),
        )
        self.add(
            QgsProcessingParameterBoolean(self.PREDICT_BACKGROUND, self.tr("Predict background"), True),
            self.tr("If switched off, background (value 0) never wins. It has no effect on models without background."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.TEST_TIME_AUGMENTATION, self.tr("Test-time augmentation"), False),
            self.tr("Averages the answers for turned and flipped tiles: a little more accurate, several times slower."),
            advanced=True,
        )
        for parameter, text in (
            (
                self.integer(self.TILE_SIZE, self.tr("Tile size"), 0, 0, 4096),
                self.tr("Size in pixels of what the network sees at once; 0 = automatic, at least the model's chip size."),
            ),
            (
                self.integer(self.OVERLAP, self.tr("Overlap"), -1, -1, 2048),
                self.tr("Pixels that neighbouring tiles share (twice ArcGIS's padding); −1 = automatic."),
            ),
            (
                self.integer(self.BATCH_SIZE, self.tr("Batch size"), 0, 0, 1024),
                self.tr("Tiles per step; 0 = what fits into the memory."),
            ),
            (
                self.integer(self.MEMORY, self.tr("Memory limit (MB)"), 1024, 64, 1_048_576),
                self.tr("Ceiling for the image data held in memory at once; it does not depend on the raster's height."),
            ),
            (self.device_parameter(), self.device_help()),
        ):
            self.add(parameter, text, advanced=True)
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Class raster")))
        self.add(
            QgsProcessingParameterRasterDestination(self.OUTPUT_CONFIDENCE, self.tr("Confidence"), None, True, False),
            self.tr("Optional raster with the probability of the winning class in percent."),
        )
        self.addOutput(QgsProcessingOutputString(self.DEVICE_USED, self.tr("Device used")))

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._raster = RasterSource.from_layer(self.parameterAsRasterLayer(parameters, self.INPUT, context), self.INPUT)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
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
            "model": self.input_path(parameters, self.MODEL, context),
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "confidence": self.layer_path(parameters, self.OUTPUT_CONFIDENCE, context) or None,
            "extent": self.extent_of(parameters, self.EXTENT, context, self._raster),
            "memory_mb": self.parameterAsInt(parameters, self.MEMORY, context),
            "device": self.parameterAsString(parameters, self.DEVICE, context).strip(),
        }
        for name in (self.TILE_SIZE, self.OVERLAP, self.BATCH_SIZE):
            settings[name.lower()] = self.parameterAsInt(parameters, name, context)
        for name in (self.TEST_TIME_AUGMENTATION, self.PREDICT_BACKGROUND):
            settings[name.lower()] = self.parameterAsBoolean(parameters, name, context)
        return settings
