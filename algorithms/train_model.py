# SPDX-License-Identifier: GPL-2.0-or-later
"""Train deep learning model: a folder of chips to a model package."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFolderDestination,
)

from ..backend.errors import ToolboxError
from ..backend.runtime.places import encoders_folder
from .base import BackendAlgorithm, Parameters
from .job import Job
from .train_parameters import add_learning, add_network, add_running, add_schedule, add_validation
from .values import check_class_values, read_class_values


class TrainModel(BackendAlgorithm):
    """Chips to a trained network."""

    STAGE = "train"
    ICON = "train.svg"

    INPUT = "INPUT"
    MORE_INPUTS = "MORE_INPUTS"
    MODEL_TYPE = "MODEL_TYPE"
    BACKBONE = "BACKBONE"
    WEIGHTS = "WEIGHTS"
    WEIGHTS_FILE = "WEIGHTS_FILE"
    PRETRAINED_MODEL = "PRETRAINED_MODEL"
    MAX_EPOCHS = "MAX_EPOCHS"
    BATCH_SIZE = "BATCH_SIZE"
    LEARNING_RATE = "LEARNING_RATE"
    CHIP_SIZE = "CHIP_SIZE"
    VALIDATION_PERCENT = "VALIDATION_PERCENT"
    SPLIT = "SPLIT"
    VALIDATION_INPUT = "VALIDATION_INPUT"
    UNLABELED = "UNLABELED"
    CLASS_BALANCING = "CLASS_BALANCING"
    LOSS = "LOSS"
    IGNORE_CLASSES = "IGNORE_CLASSES"
    AUGMENTATION = "AUGMENTATION"
    MIXUP = "MIXUP"
    FREEZE = "FREEZE"
    EARLY_STOPPING = "EARLY_STOPPING"
    MONITOR = "MONITOR"
    REFIT = "REFIT"
    SEED = "SEED"
    DEVICE = "DEVICE"
    PRECISION = "PRECISION"
    RESUME = "RESUME"
    DAMAGED_CHIPS = "DAMAGED_CHIPS"
    OUTPUT = "OUTPUT"
    MODEL = "MODEL"
    OUTPUT_HTML = "OUTPUT_HTML"
    SCORE = "SCORE"
    EPOCHS = "EPOCHS"

    CHOICES = (MODEL_TYPE, WEIGHTS, SPLIT, LOSS, AUGMENTATION, MONITOR, REFIT, PRECISION, DAMAGED_CHIPS)
    SWITCHES = (CLASS_BALANCING, EARLY_STOPPING, MIXUP, FREEZE, RESUME)

    def name(self) -> str:
        return "trainmodel"

    def displayName(self) -> str:
        return self.tr("Train deep learning model")

    def group(self) -> str:
        return self.tr("Training")

    def groupId(self) -> str:
        return "training"

    def tags(self) -> list[str]:
        return self.tr("network,u-net,unet,deeplab,segmentation,pixel classification,fit,learn").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Trains a network for pixel classification with the chips of one or more folders. Part of the labels, whole polygons or "
            "blocks, is held out to measure the accuracy; the model of the best epoch is kept, with a report beside it."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        for add in (add_network, add_schedule, add_validation, add_learning, add_running):
            add(self)
        self.addParameter(QgsProcessingParameterFolderDestination(self.OUTPUT, self.tr("Folder for the model")))
        self.addOutput(QgsProcessingOutputFile(self.MODEL, self.tr("Model (.dlpk)")))
        self.addOutput(QgsProcessingOutputHtml(self.OUTPUT_HTML, self.tr("Report")))
        self.addOutput(QgsProcessingOutputNumber(self.SCORE, self.tr("Best value of the monitored figure")))
        self.addOutput(QgsProcessingOutputNumber(self.EPOCHS, self.tr("Epochs trained")))

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        # Here and not at the top: loading the plugin imports no stage of the backend. This module of it imports nothing heavy.
        from ..backend.training.settings import TrainSettings

        fine, text = super().checkParameterValues(parameters, context)
        if not fine:
            return False, text
        text = check_class_values(self.parameterAsString(parameters, self.IGNORE_CLASSES, context), self.IGNORE_CLASSES)
        if text:
            return False, text
        settings = self._read_settings(parameters, context)
        try:
            TrainSettings(**{**settings, "output": settings["output"] or "temporary"})
        except ToolboxError as failure:
            return False, str(failure)
        return True, ""

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        return self._read_settings(parameters, context)

    def _read_settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        """The settings of the stage."""
        settings: dict[str, Any] = {
            "folder": self.input_path(parameters, self.INPUT, context),
            "output": self.output_path(parameters, self.OUTPUT, context),
            "more_folders": self.parameterAsString(parameters, self.MORE_INPUTS, context).split("\n"),
            "backbone": self.parameterAsString(parameters, self.BACKBONE, context).strip(),
            "weights_file": self.input_path(parameters, self.WEIGHTS_FILE, context) or None,
            "pretrained_model": self.input_path(parameters, self.PRETRAINED_MODEL, context) or None,
            "validation_folder": self.input_path(parameters, self.VALIDATION_INPUT, context) or None,
            "ignore_classes": read_class_values(self.parameterAsString(parameters, self.IGNORE_CLASSES, context)),
            "unlabelled": self.parameterAsEnumString(parameters, self.UNLABELED, context),
            "device": self.parameterAsString(parameters, self.DEVICE, context).strip(),
            "cache": str(encoders_folder()),
        }
        settings["more_folders"] = [line.strip() for line in settings["more_folders"] if line.strip()]
        for name in self.CHOICES:
            settings[name.lower()] = self.parameterAsEnumString(parameters, name, context)
        for name in (self.MAX_EPOCHS, self.BATCH_SIZE, self.CHIP_SIZE, self.SEED):
            settings[name.lower()] = self.parameterAsInt(parameters, name, context)
        for name in (self.LEARNING_RATE, self.VALIDATION_PERCENT):
            settings[name.lower()] = self.parameterAsDouble(parameters, name, context)
        for name in self.SWITCHES:
            settings[name.lower()] = self.parameterAsBoolean(parameters, name, context)
        return settings
