# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameters of “Train deep learning model”, in the order of the dialog."""

from __future__ import annotations

from qgis.core import QgsProcessingParameterBoolean, QgsProcessingParameterFile, QgsProcessingParameterString

from .base import MODEL_FILTER, ToolboxAlgorithm

MODEL_TYPES = ("unet", "unetplusplus", "deeplabv3plus", "pspnet", "fpn", "linknet", "manet", "upernet", "segformer")
WEIGHTS = ("auto", "none", "imagenet", "satellite", "file")
SPLITS = ("spatial", "random", "folder")
UNLABELED = ("auto", "ignore", "background")
LOSSES = ("ce_dice", "ce", "focal", "dice")
AUGMENTATIONS = ("default", "none", "strong", "north_up")
DAMAGED = ("refuse", "skip")
REFITS = ("auto", "always", "never")
MONITORS = ("miou", "valid_loss", "accuracy", "f1")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def add_network(tool: ToolboxAlgorithm) -> None:
    """Chips, the network and what it starts from."""
    tr = tool.tr
    folder, file = QgsProcessingParameterFile.Behavior.Folder, QgsProcessingParameterFile.Behavior.File
    tool.add(
        QgsProcessingParameterFile("INPUT", tr("Folder of chips"), folder),
        tr(
            "Written by “Export training data”, or by ArcGIS as Classified Tiles, RCNN Masks or Panoptic Segmentation. Chips that "
            "were struck out in the footprints of “Inspect training data” are left out."
        ),
    )
    tool.add(
        QgsProcessingParameterString("MORE_INPUTS", tr("Further folders of chips"), "", True, True),
        tr("One folder per line, with the same bands and chip size as the first."),
        advanced=True,
    )
    tool.add(
        tool.choice("MODEL_TYPE", tr("Model type"), MODEL_TYPES, "unet"),
        tr("The shape of the network. unet is a good first choice; deeplabv3plus sees a wider neighbourhood."),
    )
    tool.add(
        QgsProcessingParameterString("BACKBONE", tr("Backbone"), "resnet34"),
        tr(
            "The part of the network that reads the image: resnet18, resnet34, resnet50, resnet101, tf_efficientnet_lite0, "
            "efficientnet_b0, efficientnet_b2, efficientnet_b4, mobilenetv2_100, mobilenetv3_small_100, mobilenetv3_large_100, "
            "convnext_tiny, pvt_v2_b0, pvt_v2_b2."
        ),
    )
    tool.add(
        tool.choice("WEIGHTS", tr("Backbone's weights"), WEIGHTS, "auto"),
        tr(
            "What the backbone knows at the start: imagenet = weights learned from photographs; satellite = weights learned from "
            "Landsat or Sentinel-2 images, for chips with named bands in reflectance and the backbones resnet18 and resnet50; "
            "file = the weights file; none = nothing; auto = satellite if there and fitting, else imagenet if there, else none, "
            "with a warning. Nothing is downloaded: “Install deep learning libraries” fetches weights."
        ),
    )
    tool.add(
        QgsProcessingParameterFile("WEIGHTS_FILE", tr("Weights file"), file, "", None, True, "Weights (*.safetensors *.pth *.pt)"),
        tr("Weights for the backbone, when its weights are “file”."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterFile("PRETRAINED_MODEL", tr("Pretrained model"), file, "", None, True, MODEL_FILTER),
        tr(
            "A model to go on from; it decides model type and backbone. Bands and classes may differ: those of the same name keep "
            "what the model knows of them, which the log lists."
        ),
        advanced=True,
    )


def add_schedule(tool: ToolboxAlgorithm) -> None:
    """How long and how fast it learns."""
    tr = tool.tr
    tool.add(
        tool.integer("MAX_EPOCHS", tr("Maximum number of epochs"), 20, 1, 10_000),
        tr("How often the network sees all chips, at most."),
    )
    tool.add(
        QgsProcessingParameterBoolean("EARLY_STOPPING", tr("Stop when the model no longer improves"), True),
        tr("Ends the training when the monitored figure has not improved for several epochs."),
    )
    tool.add(
        tool.integer("BATCH_SIZE", tr("Batch size"), 0, 0, 1024),
        tr("Chips per step; 0 = 16 on a CUDA card and 8 elsewhere, or what its free memory holds."),
        advanced=True,
    )
    tool.add(
        tool.real("LEARNING_RATE", tr("Learning rate"), 0.0, 0.0, 1.0),
        tr("Highest rate of the schedule; 0 = found by a trial, in short trainings the backbone's usual one."),
        advanced=True,
    )
    tool.add(
        tool.integer("CHIP_SIZE", tr("Chip size"), 0, 0, 8192),
        tr("Size in pixels of the crops taken from the chips, at least 16; 0 = whole chips."),
        advanced=True,
    )


def add_validation(tool: ToolboxAlgorithm) -> None:
    """What is held out to measure it."""
    tr = tool.tr
    tool.add(
        tool.real("VALIDATION_PERCENT", tr("Validation share (%)"), 20.0, 1.0, 90.0),
        tr("Share of each class's labels that is held out to measure the accuracy."),
    )
    tool.add(
        tool.choice("SPLIT", tr("Split"), SPLITS, "spatial"),
        tr(
            "spatial holds out whole polygons or blocks, so that no labelled pixel is in both parts; random holds out whole "
            "chips, which gives an optimistic accuracy where chips overlap; folder measures on the chips of a folder of their own."
        ),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterFile(
            "VALIDATION_INPUT", tr("Folder of chips to validate on"), QgsProcessingParameterFile.Behavior.Folder, "", None, True
        ),
        tr("For the split “folder”: chips of other ground, with the same bands and chip size, that are never trained on."),
        advanced=True,
    )
    tool.add(
        tool.choice("MONITOR", tr("Monitored figure"), MONITORS, "miou"),
        tr("The figure on the held-out labels that decides which epoch is kept."),
        advanced=True,
    )
    tool.add(
        tool.choice("REFIT", tr("Train again with all labels"), REFITS, "auto"),
        tr(
            "Once it is measured how good the network is, train it anew with the held-out labels too, so that none is wasted; the "
            "figures stay those of the first training. auto does so with fewer than 200 polygons or blocks."
        ),
        advanced=True,
    )


def add_learning(tool: ToolboxAlgorithm) -> None:
    """What it learns from the labels."""
    tr = tool.tr
    tool.add(
        tool.choice("UNLABELED", tr("Unlabelled pixels"), UNLABELED, "auto"),
        tr(
            "ignore leaves them out; background makes them a class of its own (value 0); auto = background when there is exactly "
            "one class, else ignore."
        ),
    )
    tool.add(
        tool.choice("DAMAGED_CHIPS", tr("Chips that cannot be read"), DAMAGED, "refuse"),
        tr("refuse ends the training and names the chip; skip names such chips in the log and trains without them."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterBoolean("CLASS_BALANCING", tr("Balance the classes"), True),
        tr("Rare classes are shown more often and weigh more."),
        advanced=True,
    )
    tool.add(
        tool.choice("LOSS", tr("Loss"), LOSSES, "ce_dice"),
        tr(
            "ce = cross-entropy; ce_dice = cross-entropy and Dice, better for small classes; focal = cross-entropy that looks at "
            "difficult pixels; dice = Dice alone."
        ),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterString("IGNORE_CLASSES", tr("Classes to ignore"), "", False, True),
        tr("Class values, such as 3;5, whose pixels are left out like unlabelled ones; the model will not know them."),
        advanced=True,
    )
    tool.add(
        tool.choice("AUGMENTATION", tr("Augmentation"), AUGMENTATIONS, "default"),
        tr(
            "default turns and flips the chips and varies brightness and contrast; strong also turns by any angle, rescales and "
            "leaves bands out, for models that are to work on other seasons; north_up varies brightness and contrast only, for "
            "classes such as cloud shadows that the direction of the sun tells apart; none leaves the chips as they are."
        ),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterBoolean("MIXUP", tr("Mix chips"), False),
        tr("Blends each chip with another one, image and label (mixup); can help when there are few labels."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterBoolean("FREEZE", tr("Freeze the backbone"), False),
        tr("Trains the decoder only and leaves the backbone's weights as they are: faster, seldom better."),
        advanced=True,
    )
    tool.add(
        tool.integer("SEED", tr("Seed"), 42, 0, 2**31 - 1),
        tr("The same seed gives the same split and the same course of random draws."),
        advanced=True,
    )


def add_running(tool: ToolboxAlgorithm) -> None:
    """Where and how it computes."""
    tr = tool.tr
    tool.add(tool.device_parameter(), tool.device_help() + " " + tr("Several, as cuda:0,cuda:1, train together."), advanced=True)
    tool.add(
        tool.choice("PRECISION", tr("Precision"), PRECISIONS, "auto"),
        tr("Number format of the network: auto takes 16 bits on CUDA cards, which is twice as fast, and 32 bits elsewhere."),
        advanced=True,
    )
    tool.add(
        QgsProcessingParameterBoolean("RESUME", tr("Go on with an interrupted training"), False),
        tr("Goes on where a training into the same folder, with the same settings, was interrupted by a crash or a reboot."),
        advanced=True,
    )
