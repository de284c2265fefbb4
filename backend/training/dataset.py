# SPDX-License-Identifier: GPL-2.0-or-later
"""Chip folders as tensors for the network.

Enters: opened chip folders. One pass over the chips (`scan`) counts the labels per block, which the split needs, and keeps the
tensors if all fit into a gigabyte; otherwise each chip is read again when it is drawn. Leaves: `TensorChip`s, normalised by the
function that inference uses too, with class indices instead of class values. Labels of validation blocks are marked, so that
training and validation each see their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..chips.folder import ChipArrays, ChipFolder
from ..chips.index import ChipRecord
from ..chips.names import CLASSIFIED_TILES, PANOPTIC, RCNN_MASKS
from ..errors import ToolboxError
from ..imagery.normalise import normalise
from ..labels.schema import UNLABELLED
from .bands import join_bands, join_classes, leave_out
from .ground import Frame, Ground
from .losses import IGNORE
from .settings import TrainSettings
from .split import Split
from .squares import Squares

MEMORY_BYTES = 1 << 30
READERS = 4
TRAINED_FORMATS = (CLASSIFIED_TILES, RCNN_MASKS, PANOPTIC)  # those with a class for each labelled pixel
FOLDER_STEP = 1 << 40  # keeps the block numbers of several folders apart; they are 32-bit in a folder


class TensorChip(NamedTuple):
    """One chip, on the CPU.

    Attributes:
        image: (C, H, W) float32, normalised, 0 where invalid.
        valid: (H, W) bool.
        target: (H, W) int32 class indices, `IGNORE` where unlabelled or invalid.
        blocks: (H, W) int64 number of the block each label belongs to.
    """

    image: Tensor
    valid: Tensor
    target: Tensor
    blocks: Tensor


@dataclass(frozen=True)
class Location:
    """Where a chip is: the folder's number and its record there."""

    folder: int
    record: ChipRecord


class ChipStore:
    """All chips of a training run.

    Args:
        settings: The request; its folders, and how labels are understood and held out.

    Attributes:
        bands: Common bands with statistics.
        classes: Common classes.
        has_background: Class index 0 is the background, valid unlabelled pixels.
        class_values: Class value of each class index.
        census: After `scan`: block → class index → labelled pixels, pixels of overlapping chips counted in each.
        pixels: After `apply_split`: (chips, classes) training pixels.
        damaged: After `scan`: a sentence on each chip that was skipped because it cannot be read.
        unlisted: After `scan`: folder → class value that its labels hold but no class list names → pixels.

    Raises:
        ToolboxError: Folders that cannot be trained on together, or without chips.
    """

    def __init__(self, settings: TrainSettings) -> None:
        paths = [*settings.folders, *settings.validation_folders]
        self.first_validation_folder = len(settings.folders)
        self.folders = [ChipFolder.open(path) for path in paths]
        for folder in self.folders:
            _check_format(folder)
        names = [path.name for path in paths]
        self.bands, self._positions = join_bands(names, [folder.bands for folder in self.folders], self.first_validation_folder)
        schema = join_classes(names, [folder.classes for folder in self.folders])
        self.classes = leave_out(schema, settings.ignore_classes)
        values = [entry.value for entry in self.classes.classes]
        unlabelled = settings.unlabelled
        self.has_background = unlabelled == "background" or (unlabelled == "auto" and len(values) == 1)
        self.class_values = (0, *values) if self.has_background else tuple(values)
        self.locations = [Location(number, record) for number, folder in enumerate(self.folders) for record in folder.chips]
        if empty := [name for name, folder in zip(names, self.folders, strict=True) if not folder.chips]:
            raise ToolboxError(f"The folder {', '.join(empty)} holds no chips; export training data first.")
        self._squares = Squares(self.folders)
        self.block_kind = self._choose_blocks(settings.split)
        self.census: dict[int, dict[int, int]] = {}
        self.unlisted: dict[Path, dict[int, int]] = {}
        self.damaged: list[str] = []
        self._skips_damaged = settings.damaged_chips == "skip"
        self.pixels = np.zeros((0, len(self.class_values)), np.int64)
        self._lookup = np.full(65_536, IGNORE, np.int32)
        self._lookup[list(self.class_values)] = np.arange(len(self.class_values))
        self._left_out = np.array([entry.value for entry in schema.classes if entry.value not in self.class_values], np.uint16)
        self._chip_census: list[dict[tuple[int, int], int]] = []
        self._frames: list[Frame] = []
        self._held_out_ground = Ground({})
        self._kept: list[TensorChip] | None = []
        self._validation = torch.zeros(0, dtype=torch.int64)
        self._trains_on_all = False
        self._size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.locations)

    @property
    def chip_size(self) -> tuple[int, int]:
        """Rows and columns of the chips, after `scan`."""
        if self._size is None:
            raise ValueError("the chips were not scanned")
        return self._size

    def _choose_blocks(self, split: str) -> str:
        """What a block is: `chip`, whole `folder`, `square` of ground, or `label`, the number that the export wrote.

        Squares are used where the export's numbers do not say enough: with a background (which lies outside all polygons), in
        folders of ArcGIS, and when two folders show the same ground, so that one polygon has two numbers.
        """
        if split in ("random", "folder"):
            return {"random": "chip", "folder": "folder"}[split]
        unnumbered = any(record.blocks is None for record in (location.record for location in self.locations))
        return "square" if self.has_background or unnumbered or self.overlap() else "label"

    def overlap(self) -> bool:
        """True when two folders show the same ground."""
        return self._squares.overlap()

    def scan(self) -> Iterator[float]:
        """Reads every chip once; yields the share done.

        Raises:
            ToolboxError: Chips of several sizes, or a chip that cannot be read, if it is not to be skipped.
        """
        total, number = len(self), 0
        for done in range(1, total + 1):
            try:
                arrays = self._load(number)
            except ToolboxError as failure:
                if not self._skips_damaged:
                    raise ToolboxError(f"{failure} DAMAGED_CHIPS=skip would train without such chips.") from failure
                self.damaged.append(str(failure))
                del self.locations[number]
                yield done / total
                continue
            self._count_unlisted(arrays.label, self.folders[self.locations[number].folder].path)
            chip = self._to_tensors(number, arrays)
            if self._size is None:
                self._size = tuple(chip.target.shape)
            if tuple(chip.target.shape) != self._size:
                raise ToolboxError(
                    f"Chip {self.locations[number].record.name} has {tuple(chip.target.shape)} pixels, others have {self._size}; "
                    "export all folders with the same tile size."
                )
            self._count(chip)
            place = self.locations[number]
            self._frames.append(Frame((place.folder, place.record.source), arrays.transform, self._size))
            if self._kept is not None:
                self._kept.append(chip)
                if sum(tensor.nbytes for tensor in chip) * (number + 1) > MEMORY_BYTES:
                    self._kept = None
            number += 1
            yield done / total
        if not self.locations:
            raise ToolboxError(f"None of the {total} chips can be read, for example: {self.damaged[0]}")

    def _count(self, chip: TensorChip) -> None:
        """Adds a chip's labels to the census."""
        target, blocks = chip.target.numpy(), chip.blocks.numpy()
        chip_census: dict[tuple[int, int], int] = {}
        for index in np.unique(target[target != IGNORE]).tolist():  # sorting pairs of block and class takes far longer
            found, counts = np.unique(blocks[target == index], return_counts=True)
            chip_census |= {(block, index): count for block, count in zip(found.tolist(), counts.tolist(), strict=True)}
        for (block, index), count in chip_census.items():
            of_block = self.census.setdefault(block, {})
            of_block[index] = of_block.get(index, 0) + count
        self._chip_census.append(chip_census)

    def apply_split(self, split: Split) -> None:
        """Fixes which blocks are held out; call once after `scan`."""
        self._validation = torch.tensor(sorted(split.validation), dtype=torch.int64)
        self.pixels = np.zeros((len(self), len(self.class_values)), np.int64)
        self.validation_chips: list[int] = []
        for number, chip_census in enumerate(self._chip_census):
            for (block, index), count in chip_census.items():
                if block not in split.validation:
                    self.pixels[number, index] += count
            if any(block in split.validation for block, _ in chip_census):
                self.validation_chips.append(number)
        self._held_out_ground = self.find_ground(self.validation_chips)

    def find_ground(self, numbers: Sequence[int]) -> Ground:
        """The places that these chips show."""
        return Ground({number: self._frames[number] for number in numbers})

    def find_measured(self, number: int) -> Tensor:
        """Pixels (H, W) of a held-out chip in which its labels are measured, bool; elsewhere another chip shows the place better.

        Should that one lack a label there, as MIN_OVERLAP_RATIO of the export may have it, the pixel is not measured at all.
        """
        return torch.from_numpy(self._held_out_ground.find_own(number))

    def use_all_labels(self) -> None:
        """Gives the held-out labels to the training, too; they can still be looked at as such."""
        self._trains_on_all = True
        for number, chip_census in enumerate(self._chip_census):
            self.pixels[number] = 0
            for (_, index), count in chip_census.items():
                self.pixels[number, index] += count

    def get(self, numbers: Sequence[int], validation: bool) -> list[TensorChip]:
        """Chips whose target keeps the validation labels only, or the training labels only."""
        if self._kept is not None:
            chips = [self._kept[number] for number in numbers]
        else:
            with ThreadPoolExecutor(READERS) as pool:
                chips = list(pool.map(self._read, numbers))
        if self._trains_on_all and not validation:
            return chips
        return [
            chip._replace(target=torch.where(torch.isin(chip.blocks, self._validation) == validation, chip.target, IGNORE))
            for chip in chips
        ]

    def _read(self, number: int) -> TensorChip:
        """One chip from disk, with all its labels."""
        return self._to_tensors(number, self._load(number))

    def _load(self, number: int) -> ChipArrays:
        location = self.locations[number]
        folder = self.folders[location.folder]
        arrays = folder.load(location.record)
        if len(arrays.image) != len(folder.bands):
            raise ToolboxError(
                f"{folder.path / location.record.image} has {len(arrays.image)} bands, the folder's list {len(folder.bands)}; "
                "export again."
            )
        return arrays

    def _to_tensors(self, number: int, arrays: ChipArrays) -> TensorChip:
        """A chip as the network wants it; label values that no class has are ignored, also where unlabelled is background."""
        location = self.locations[number]
        image = torch.from_numpy(np.ascontiguousarray(arrays.image[self._positions[location.folder]], np.float32))
        valid = torch.from_numpy(np.ascontiguousarray(arrays.valid))
        target = self._lookup[arrays.label]
        target[~arrays.valid] = IGNORE
        blocks = self._number_blocks(number, arrays)
        return TensorChip(normalise(image, valid, self.bands), valid, torch.from_numpy(target), torch.from_numpy(blocks))

    def _count_unlisted(self, label: NDArray[np.uint16], folder: Path) -> None:
        """Counts the pixels whose value no class has."""
        strange = label[(label != UNLABELLED) & (self._lookup[label] == IGNORE) & ~np.isin(label, self._left_out)]
        for value, count in zip(*np.unique(strange, return_counts=True), strict=True):
            counts = self.unlisted.setdefault(folder, {})
            counts[int(value)] = counts.get(int(value), 0) + int(count)

    def _number_blocks(self, number: int, arrays: ChipArrays) -> NDArray[np.int64]:
        """Number of each pixel's block (H, W), unique over all folders."""
        if self.block_kind == "chip":
            return np.full(arrays.label.shape, number, np.int64)
        if self.block_kind == "folder":
            return np.full(arrays.label.shape, self.locations[number].folder, np.int64)
        if self.block_kind == "label" and arrays.blocks is not None:
            return arrays.blocks.astype(np.int64) + self.locations[number].folder * FOLDER_STEP
        location = self.locations[number]
        return self._squares.number(location.folder, location.record, arrays.transform, arrays.label.shape)


def _check_format(folder: ChipFolder) -> None:
    """Raises ToolboxError for chips that were exported for another kind of network."""
    form = folder.index.metadata_format
    if form not in TRAINED_FORMATS:
        raise ToolboxError(
            f"{folder.path} was exported as {form}, which has no class for each pixel; this tool trains on "
            f"{', '.join(TRAINED_FORMATS)}, so export again with METADATA_FORMAT=classified_tiles."
        )
