# SPDX-License-Identifier: GPL-2.0-or-later
"""Train deep learning model: a folder of chips to a model package."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterString,
)

from ..backend.runtime.places import encoders_folder
from .base import MODEL_FILTER, BackendAlgorithm, Parameters
from .job import Job

MODEL_TYPES = ("unet", "unetplusplus", "deeplabv3plus", "pspnet", "fpn", "linknet", "manet", "upernet", "segformer")
WEIGHTS = ("auto", "none", "imagenet", "satellite", "file")
SPLITS = ("spatial", "random")
UNLABELED = ("auto", "ignore", "background")
LOSSES = ("ce_dice", "ce")
AUGMENTATIONS = ("default", "none")
REFITS = ("auto", "always", "never")
MONITORS = ("miou", "valid_loss", "accuracy", "f1")


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
    UNLABELED = "UNLABELED"
    CLASS_BALANCING = "CLASS_BALANCING"
    LOSS = "LOSS"
    AUGMENTATION = "AUGMENTATION"
    EARLY_STOPPING = "EARLY_STOPPING"
    MONITOR = "MONITOR"
    REFIT = "REFIT"
    SEED = "SEED"
    DEVICE = "DEVICE"
    OUTPUT = "OUTPUT"
    MODEL = "MODEL"
    OUTPUT_HTML = "OUTPUT_HTML"
    SCORE = "SCORE"
    EPOCHS = "EPOCHS"

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
        self._add_network()
        self._add_schedule()
        self._add_validation()
        self._add_learning()
        self.add(self.device_parameter(), self.device_help(), advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination(self.OUTPUT, self.tr("Folder for the model")))
        self.addOutput(QgsProcessingOutputFile(self.MODEL, self.tr("Model (.dlpk)")))
        self.addOutput(QgsProcessingOutputHtml(self.OUTPUT_HTML, self.tr("Report")))
        self.addOutput(QgsProcessingOutputNumber(self.SCORE, self.tr("Best value of the monitored figure")))
        self.addOutput(QgsProcessingOutputNumber(self.EPOCHS, self.tr("Epochs trained")))

    def _add_network(self) -> None:
        folder, file = QgsProcessingParameterFile.Behavior.Folder, QgsProcessingParameterFile.Behavior.File
        self.add(
            QgsProcessingParameterFile(self.INPUT, self.tr("Folder of chips"), folder),
            self.tr(
                "Written by “Export training data”, or by ArcGIS as Classified Tiles, RCNN Masks or Panoptic Segmentation. Chips that "
                "were struck out in the footprints of “Inspect training data” are left out."
            ),
        )
        self.add(
            QgsProcessingParameterString(self.MORE_INPUTS, self.tr("Further folders of chips"), "", True, True),
            self.tr("One folder per line, with the same bands and chip size as the first."),
            advanced=True,
        )
        self.add(
            self.choice(self.MODEL_TYPE, self.tr("Model type"), MODEL_TYPES, "unet"),
            self.tr("The shape of the network. unet is a good first choice; deeplabv3plus sees a wider neighbourhood."),
        )
        self.add(
            QgsProcessingParameterString(self.BACKBONE, self.tr("Backbone"), "resnet34"),
            self.tr(
                "The part of the network that reads the image: resnet18, resnet34, resnet50, tf_efficientnet_lite0, efficientnet_b0, "
                "efficientnet_b2, efficientnet_b4, mobilenetv3_small_100, mobilenetv3_large_100, convnext_tiny, pvt_v2_b0, pvt_v2_b2."
            ),
        )
        self.add(
            self.choice(self.WEIGHTS, self.tr("Backbone's weights"), WEIGHTS, "auto"),
            self.tr(
                "What the backbone knows at the start: imagenet = weights learned from photographs; satellite = weights learned from "
                "Landsat or Sentinel-2 images, for chips with named bands in reflectance and the backbones resnet18 and resnet50; "
                "file = the weights file; none = nothing; auto = satellite if there and fitting, else imagenet if there, else none, "
                "with a warning. Nothing is downloaded: “Install deep learning libraries” fetches weights."
            ),
        )
        self.add(
            QgsProcessingParameterFile(
                self.WEIGHTS_FILE, self.tr("Weights file"), file, "", None, True, "Weights (*.safetensors *.pth *.pt)"
            ),
            self.tr("Weights for the backbone, when its weights are “file”."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(self.PRETRAINED_MODEL, self.tr("Pretrained model"), file, "", None, True, MODEL_FILTER),
            self.tr("A model to go on from; it decides model type and backbone."),
            advanced=True,
        )

    def _add_schedule(self) -> None:
        self.add(
            self.integer(self.MAX_EPOCHS, self.tr("Maximum number of epochs"), 20, 1, 10_000),
            self.tr("How often the network sees all chips, at most."),
        )
        self.add(
            QgsProcessingParameterBoolean(self.EARLY_STOPPING, self.tr("Stop when the model no longer improves"), True),
            self.tr("Ends the training when the monitored figure has not improved for several epochs."),
        )
        self.add(
            self.integer(self.BATCH_SIZE, self.tr("Batch size"), 0, 0, 1024),
            self.tr("Chips per step; 0 = what fits into the memory."),
            advanced=True,
        )
        self.add(
            self.real(self.LEARNING_RATE, self.tr("Learning rate"), 0.0, 0.0, 1.0),
            self.tr("Highest rate of the schedule; 0 = a default that suits the backbone."),
            advanced=True,
        )
        self.add(
            self.integer(self.CHIP_SIZE, self.tr("Chip size"), 0, 0, 8192),
            self.tr("Size in pixels of the crops taken from the chips, at least 32; 0 = whole chips."),
            advanced=True,
        )

    def _add_validation(self) -> None:
        self.add(
            self.real(self.VALIDATION_PERCENT, self.tr("Validation share (%)"), 20.0, 1.0, 90.0),
            self.tr("Share of each class's labels that is held out to measure the accuracy."),
        )
        self.add(
            self.choice(self.SPLIT, self.tr("Split"), SPLITS, "spatial"),
            self.tr(
                "spatial holds out whole polygons or blocks, so that no labelled pixel is in both parts; random holds out whole "
                "chips, which gives an optimistic accuracy where chips overlap."
            ),
            advanced=True,
        )
        self.add(
            self.choice(self.MONITOR, self.tr("Monitored figure"), MONITORS, "miou"),
            self.tr("The figure on the held-out labels that decides which epoch is kept."),
            advanced=True,
        )
        self.add(
            self.choice(self.REFIT, self.tr("Train again with all labels"), REFITS, "auto"),
            self.tr(
                "Once it is measured how good the network is, train it anew with the held-out labels too, so that none is wasted; the "
                "figures stay those of the first training. auto does so with fewer than 200 polygons or blocks."
            ),
            advanced=True,
        )

    def _add_learning(self) -> None:
        self.add(
            self.choice(self.UNLABELED, self.tr("Unlabelled pixels"), UNLABELED, "auto"),
            self.tr(
                "ignore leaves them out; background makes them a class of its own (value 0); auto = background when there is exactly "
                "one class, else ignore."
            ),
        )
        self.add(
            QgsProcessingParameterBoolean(self.CLASS_BALANCING, self.tr("Balance the classes"), True),
            self.tr("Rare classes are shown more often and weigh more."),
            advanced=True,
        )
        self.add(
            self.choice(self.LOSS, self.tr("Loss"), LOSSES, "ce_dice"),
            self.tr("ce = cross-entropy; ce_dice = cross-entropy and Dice, better for small classes."),
            advanced=True,
        )
        self.add(
            self.choice(self.AUGMENTATION, self.tr("Augmentation"), AUGMENTATIONS, "default"),
            self.tr("default turns and flips the chips and varies brightness and contrast; none leaves them as they are."),
            advanced=True,
        )
        self.add(
            self.integer(self.SEED, self.tr("Seed"), 42, 0, 2**31 - 1),
            self.tr("The same seed gives the same split and the same course of random draws."),
            advanced=True,
        )

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "folder": self.input_path(parameters, self.INPUT, context),
            "output": self.output_path(parameters, self.OUTPUT, context),
            "more_folders": self.parameterAsString(parameters, self.MORE_INPUTS, context).split("\n"),
            "backbone": self.parameterAsString(parameters, self.BACKBONE, context).strip(),
            "weights_file": self.input_path(parameters, self.WEIGHTS_FILE, context) or None,
            "pretrained_model": self.input_path(parameters, self.PRETRAINED_MODEL, context) or None,
            "unlabelled": self.parameterAsEnumString(parameters, self.UNLABELED, context),
            "device": self.parameterAsString(parameters, self.DEVICE, context).strip(),
            "cache": str(encoders_folder()),
        }
        settings["more_folders"] = [line.strip() for line in settings["more_folders"] if line.strip()]
        for name in (self.MODEL_TYPE, self.WEIGHTS, self.SPLIT, self.LOSS, self.AUGMENTATION, self.MONITOR, self.REFIT):
            settings[name.lower()] = self.parameterAsEnumString(parameters, name, context)
        for name in (self.MAX_EPOCHS, self.BATCH_SIZE, self.CHIP_SIZE, self.SEED):
            settings[name.lower()] = self.parameterAsInt(parameters, name, context)
        for name in (self.LEARNING_RATE, self.VALIDATION_PERCENT):
            settings[name.lower()] = self.parameterAsDouble(parameters, name, context)
        for name in (self.CLASS_BALANCING, self.EARLY_STOPPING):
            settings[name.lower()] = self.parameterAsBoolean(parameters, name, context)
        return settings
