# SPDX-License-Identifier: GPL-2.0-or-later
"""Held-out chips as pictures, for the report and for who watches a training: image, label, prediction, error.

Pictures are (rows, columns, 3) uint8. Labels are shown upon the paled image, since most of a chip may be unlabelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..models.stem import COLOURS, name_colours
from .dataset import ChipStore, TensorChip
from .losses import IGNORE

Picture = NDArray[np.uint8]
STRETCH = 2.5  # standard deviations from black or white to the middle
INVALID = (255, 255, 255)
PALE = 0.35  # share of the image that is left below labels and errors
RIGHT, WRONG = (90, 174, 97), (215, 25, 28)
TRIED = 6  # chips that are looked at for each one shown
ENOUGH = 16  # pixels of a class that can be seen in a picture
UNKNOWN = -1  # class value where no label is


class ShownClass(NamedTuple):
    """A class or the background: value, name, colour (red, green, blue; 0 to 255)."""

    value: int
    name: str
    color: tuple[int, int, int]


BACKGROUND = ShownClass(0, "Background", (225, 225, 225))


@dataclass(frozen=True)
class Sample:
    """One held-out chip with its prediction.

    Attributes:
        name: Name of the chip.
        image: Picture of it.
        label: (H, W) class values, -1 where none is held out.
        prediction: (H, W) class values, -1 where the image is invalid.
    """

    name: str
    image: Picture
    label: NDArray[np.integer]
    prediction: NDArray[np.integer]

    @property
    def pixels(self) -> int:
        """Held-out pixels."""
        return int((self.label != UNKNOWN).sum())

    @property
    def accuracy(self) -> float:
        """Share of the held-out pixels that are right; NaN without any."""
        known = self.label != UNKNOWN
        return float((self.label == self.prediction)[known].mean()) if known.any() else float("nan")

    def paint_label(self, classes: Sequence[ShownClass]) -> Picture:
        """The labels upon the paled image."""
        return _paint(self.label, {entry.value: entry.color for entry in classes}, _pale(self.image))

    def paint_prediction(self, classes: Sequence[ShownClass]) -> Picture:
        """The class predicted for each pixel; white where the image is invalid."""
        return _paint(self.prediction, {entry.value: entry.color for entry in classes}, np.full_like(self.image, 255))

    def paint_errors(self) -> Picture:
        """Right and wrong pixels upon the paled image, where a label is held out."""
        codes = np.where(self.label == UNKNOWN, UNKNOWN, (self.label == self.prediction).astype(int))
        return _paint(codes, {1: RIGHT, 0: WRONG}, _pale(self.image))


def list_classes(store: ChipStore) -> tuple[ShownClass, ...]:
    """The classes in channel order, with the background if there is one."""
    shown = tuple(ShownClass(entry.value, entry.name, entry.color) for entry in store.classes.classes)
    return (BACKGROUND, *shown) if store.has_background else shown


def choose_chips(store: ChipStore, most: int) -> list[int]:
    """Numbers of up to `most` held-out chips spread over the folder: those that add classes not yet shown, then many labels."""
    chosen: list[int] = []
    shown: set[int] = set()
    chips = np.array(store.validation_chips)
    for group in np.array_split(chips, min(most, len(chips))) if len(chips) else ():
        tried = group[np.linspace(0, len(group) - 1, min(TRIED, len(group))).astype(int)].tolist()
        found = []
        for number, chip in zip(tried, store.get(tried, validation=True), strict=True):
            known = chip.target[chip.target != IGNORE]
            indices, counts = known.unique(return_counts=True)
            present = set(indices[counts >= ENOUGH].tolist())
            found.append((len(present - shown), known.numel(), number, present))
        _, _, number, present = max(found, key=lambda entry: entry[:2])
        chosen.append(number)
        shown |= present
    return chosen


def predict_samples(store: ChipStore, network: nn.Module, numbers: Sequence[int]) -> list[Sample]:
    """The chips of these numbers with their predictions by a network in evaluation mode, one after the other."""
    place = next(network.parameters()).device
    values = np.array([*store.class_values, UNKNOWN])  # the last one for IGNORE, which is the index -1
    samples = []
    for number in numbers:
        (chip,) = store.get([number], validation=True)
        with torch.inference_mode():
            indices = network(chip.image[None].to(place)).argmax(1)[0].cpu().numpy()
        indices[~chip.valid.numpy()] = IGNORE
        name = store.locations[number].record.name
        samples.append(Sample(name, compose(chip, store), values[chip.target.numpy()], values[indices]))
    return samples


def compose(chip: TensorChip, store: ChipStore) -> Picture:
    """The red, green and blue band where known, else the first three or one; white where invalid."""
    colours = name_colours(store.bands)
    if set(COLOURS) <= set(colours):
        channels = [colours.index(colour) for colour in COLOURS]
    else:
        channels = [0, 1, 2] if len(colours) >= 3 else [0, 0, 0]
    shares = np.clip(chip.image[channels].numpy().transpose(1, 2, 0) / (2 * STRETCH) + 0.5, 0, 1)
    picture = (255 * shares).round().astype(np.uint8)
    picture[~chip.valid.numpy()] = INVALID
    return picture


def resize(picture: Picture, side: int) -> Picture:
    """The picture with its longer side as near to `side` pixels as whole steps and repeats allow; never longer."""
    step = max(1, -(-max(picture.shape[:2]) // side))
    picture = picture[::step, ::step]
    grown = max(1, side // max(picture.shape[:2]))
    return picture.repeat(grown, axis=0).repeat(grown, axis=1)


def join(pictures: Sequence[Picture], gap: int) -> Picture:
    """Pictures of one size beside each other, with white between."""
    rows = pictures[0].shape[0]
    parts: list[Picture] = []
    for picture in pictures:
        parts += [np.full((rows, gap, 3), 255, np.uint8), picture]
    return np.concatenate(parts[1:], axis=1)


def _pale(picture: Picture) -> Picture:
    return (PALE * picture + (1 - PALE) * 255).round().astype(np.uint8)


def _paint(values: NDArray[np.integer], colours: Mapping[int, tuple[int, int, int]], ground: Picture) -> Picture:
    """The ground with the colour of each value (H, W) that has one."""
    picture = ground.copy()
    for value, colour in colours.items():
        picture[values == value] = colour
    return picture
