# SPDX-License-Identifier: GPL-2.0-or-later
"""What a training run is asked to do. Imports nothing heavy, so that faults are told before PyTorch is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ToolboxError
from ..models.catalogue import WEIGHT_MODES, check_batch, check_choice

CHOICES = {
    "weights": WEIGHT_MODES,
    "split": ("spatial", "random", "folder"),
    "unlabelled": ("auto", "ignore", "background"),
    "loss": ("ce_dice", "ce", "focal", "dice"),
    "augmentation": ("default", "none", "strong", "north_up"),
    "refit": ("auto", "always", "never"),
    "monitor": ("miou", "valid_loss", "accuracy", "f1"),
    "damaged_chips": ("refuse", "skip"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
}
RANGES = {  # setting: lowest, highest allowed value
    "max_epochs": (1, 10_000),
    "batch_size": (0, 1024),
    "learning_rate": (0.0, 1.0),
    "validation_percent": (1.0, 90.0),
    "seed": (0, 2**31 - 1),
}
SMALLEST_CHIP = 16
LARGEST_CHIP = 8192
# Where the algorithm's name is not the field's in capitals.
PARAMETERS = {"folder": "INPUT", "unlabelled": "UNLABELED", "validation_folder": "VALIDATION_INPUT"}


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run; the defaults are the tool's.

    Attributes:
        folder: Folder of exported chips.
        output: Folder to write; created, or a previous result of ours that is replaced.
        more_folders: Further chip folders with the same bands and chip size.
        model_type: Key of `catalogue.ARCHITECTURES`.
        backbone: Key of `catalogue.ENCODERS`.
        weights: What the encoder starts from: `auto` (cached weights if there), `none`, `imagenet`, `satellite`,
            `file`.
        weights_file: State dictionary for `weights="file"`.
        pretrained_model: A .dlpk or .emd to go on from; decides model type and backbone.
        max_epochs: Upper limit; see `early_stopping`.
        batch_size: Chips per step; 0 = what fits, see `loop`.
        learning_rate: Peak rate of the decoder; 0 = found by a trial, see `rate_finder`.
        chip_size: Side in pixels of the crops cut from the chips for training; 0 = whole chips.
        validation_percent: Share of each class's labelled pixels to hold out, 1 to 90.
        split: `spatial` = whole polygons or blocks are held out, `random` = whole chips, `folder` = nothing of the chip folders, but
            all of the validation folder.
        validation_folder: Folder of chips for `split="folder"`; the network never trains on it.
        unlabelled: What label 0 on valid pixels means: `ignore`, `background` (class 0), `auto` = background with exactly
            one class.
        damaged_chips: What a chip that cannot be read does: `refuse` = ends the run, `skip` = is named and left out.
        class_balancing: Half of the crops are centred on a class drawn uniformly, and rare classes weigh more in the loss.
        loss: `ce_dice` = cross-entropy plus soft Dice, or one of `ce`, `focal`, `dice` alone; see `losses`.
        ignore_classes: Class values whose pixels are left out like unlabelled ones; the model does not know these classes.
        augmentation: `default`, `none`, `strong` or `north_up`; see `augment`.
        mixup: Blend each crop with another one of its batch; see `augment`.
        freeze: Keep the encoder as it is and train the decoder only.
        early_stopping: Stop when the monitored figure has not improved for some epochs.
        monitor: Figure on the held-out labels that decides which epoch is kept.
        refit: Train a second time, with the held-out labels too, once it is measured how good the network is: `always`, `never`, or
            `auto` = with few labels, see `refit.REFIT_BELOW`.
        seed: Seed of every random draw.
        device: `auto`, `cpu`, `mps`, `cuda`, `cuda:1`, or several, `cuda:0,cuda:1`, on each of which a process trains.
        precision: `auto`, `fp32`, `bf16` or `fp16`; see `precision`.
        resume: Go on with the unfinished training that was interrupted in `output`, if there is one.
        cache: Folder of cached encoder weights; empty = none.

    Raises:
        ToolboxError: On creation, with all faults at once.
    """

    folder: str
    output: str
    more_folders: list[str] = field(default_factory=list)
    model_type: str = "unet"
    backbone: str = "resnet34"
    weights: str = "auto"
    weights_file: str | None = None
    pretrained_model: str | None = None
    max_epochs: int = 20
    batch_size: int = 0
    learning_rate: float = 0.0
    chip_size: int = 0
    validation_percent: float = 20.0
    split: str = "spatial"
    validation_folder: str | None = None
    unlabelled: str = "auto"
    damaged_chips: str = "refuse"
    class_balancing: bool = True
    loss: str = "ce_dice"
    ignore_classes: list[int] = field(default_factory=list)
    augmentation: str = "default"
    mixup: bool = False
    freeze: bool = False
    early_stopping: bool = True
    monitor: str = "miou"
    refit: str = "auto"
    seed: int = 42
    device: str = "auto"
    precision: str = "auto"
    resume: bool = False
    cache: str = ""

    def __post_init__(self) -> None:
        faults = [*self._find_path_faults(), *self._find_value_faults()]
        if self.pretrained_model is None:
            faults += [*check_choice(self.model_type, self.backbone), *check_batch(self.model_type, self.batch_size)]
        if faults:
            raise ToolboxError(" ".join(faults))

    @property
    def folders(self) -> list[Path]:
        """All chip folders to train on, the main one first."""
        return [Path(path) for path in (self.folder, *self.more_folders)]

    @property
    def validation_folders(self) -> list[Path]:
        """The folder to validate on, if that is a separate one."""
        return [Path(self.validation_folder)] if self.validation_folder else []

    def with_network(self, model_type: str, backbone: str) -> TrainSettings:
        """The same request for another network."""
        return replace(self, model_type=model_type, backbone=backbone)

    def _find_path_faults(self) -> Iterator[str]:
        folders = [*self.folders, *self.validation_folders]
        missing = [str(path) for path in folders if not path.is_dir()]
        if missing:
            yield f"The chip folder {', '.join(missing)} does not exist; choose a folder written by 'Export training data'."
        if not self.output:
            yield "OUTPUT is empty; choose a folder for the model."
        elif any(Path(self.output).resolve() == path.resolve() for path in folders):
            yield "OUTPUT is the chip folder itself; choose another folder for the model."
        if self.split == "folder" and not self.validation_folder:
            yield "SPLIT=folder needs VALIDATION_INPUT; choose a folder of chips to validate on."
        if self.split != "folder" and self.validation_folder:
            yield f"VALIDATION_INPUT is given but SPLIT is '{self.split}'; choose SPLIT=folder or leave the folder empty."
        if any(path.resolve() in {other.resolve() for other in self.folders} for path in self.validation_folders):
            yield "VALIDATION_INPUT is one of the folders that are trained on; choose another one."
        if self.weights == "file" and not self.weights_file:
            yield "WEIGHTS=file needs WEIGHTS_FILE; choose a .safetensors or .pth file."
        if self.weights != "file" and self.weights_file:
            yield f"WEIGHTS_FILE is given but WEIGHTS is '{self.weights}'; choose WEIGHTS=file or leave the file empty."
        if self.pretrained_model is not None and not Path(self.pretrained_model).is_file():
            yield f"PRETRAINED_MODEL {self.pretrained_model} does not exist; choose a .dlpk file."

    def _find_value_faults(self) -> Iterator[str]:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                yield f"{_parameter(name)} '{getattr(self, name)}' is unknown; choose one of {', '.join(choices)}."
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                yield f"{_parameter(name)} is {getattr(self, name)}; it must lie between {low:g} and {high:g}."
        if self.chip_size and not SMALLEST_CHIP <= self.chip_size <= LARGEST_CHIP:
            yield f"CHIP_SIZE is {self.chip_size}; it must be 0 or lie between {SMALLEST_CHIP} and {LARGEST_CHIP}."


def _parameter(name: str) -> str:
    """Name of the algorithm's parameter for a setting."""
    return PARAMETERS.get(name, name.upper())
