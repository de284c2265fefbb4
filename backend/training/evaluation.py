# SPDX-License-Identifier: GPL-2.0-or-later
"""A last look at the held-out labels with the network that was kept: how sure it was, and on which chips it fails.

Enters: the chips and the network. Leaves: an `Evaluation`. One pass over the held-out chips; memory does not grow with their number
but for one short record per chip. The calibration counts a place that several chips show once, as the figures do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.protocol import Event, progress
from .dataset import ChipStore, TensorChip
from .losses import IGNORE
from .validation import predict_chips

BINS = 15
CHIPS_AT_ONCE = 8
LARGEST_OVERLAP = 0.25  # share of a chip that another one among the worst may show, too
Bounds = tuple[float, float, float, float]  # west, south, east, north


@dataclass
class Calibration:
    """Whether the network is right as often as it is sure, in bins of equal width of its confidence.

    Attributes:
        counts: (15,) pixels whose highest probability falls into the bin.
        confidences: (15,) sum of those probabilities.
        hits: (15,) those of the pixels that are right.
    """

    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    confidences: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    hits: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))

    def update(self, confidence: NDArray[np.floating], is_right: NDArray[np.bool_]) -> None:
        """Adds pixels: their highest probability, 0 to 1, and whether that class is right."""
        bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
        self.counts += np.bincount(bins, minlength=BINS)
        self.confidences += np.bincount(bins, weights=confidence, minlength=BINS)
        self.hits += np.bincount(bins, weights=is_right, minlength=BINS)

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, arXiv:1706.04599), 0 to 1; NaN without pixels.

        The mean gap between confidence and accuracy of the bins, weighted by their pixels. 100 pixels at 0.9 of which 80 are right
        give 0.1.
        """
        total = self.counts.sum()
        return float(np.abs(self.hits - self.confidences).sum() / total) if total else float("nan")

    @property
    def surplus(self) -> float:
        """Mean confidence less accuracy: above 0 the network is too sure of itself; NaN without pixels."""
        total = self.counts.sum()
        return float((self.confidences.sum() - self.hits.sum()) / total) if total else float("nan")


@dataclass(frozen=True)
class ChipScore:
    """How well one chip was classified: its number, where it is, its held-out pixels, and how many of them are wrong."""

    number: int
    bounds: Bounds
    pixels: int
    wrong: int


@dataclass
class Evaluation:
    """What the last look found."""

    calibration: Calibration = field(default_factory=Calibration)
    chips: list[ChipScore] = field(default_factory=list)

    def worst_chips(self, most: int) -> list[ChipScore]:
        """The chips with the most wrong pixels, worst first; of chips that show the same ground only the worst."""
        placed = len({chip.bounds for chip in self.chips}) > 1  # pictures without a place all lie on one another
        worst: list[ChipScore] = []
        for chip in sorted((chip for chip in self.chips if chip.wrong), key=lambda chip: (-chip.wrong, chip.number)):
            if len(worst) < most and not (placed and any(_overlap(chip.bounds, other.bounds) > LARGEST_OVERLAP for other in worst)):
                worst.append(chip)
        return worst


def evaluate(store: ChipStore, network: nn.Module, batch_size: int, fraction: float) -> Iterator[Event]:
    """Looks at every held-out chip once; yields progress (always the same share), returns the evaluation.

    Args:
        store: Scanned and split chips.
        network: With the weights that were kept, in evaluation mode.
        batch_size: Chips at a time; fewer when the memory does not suffice.
        fraction: Share of the whole job that is done, for the events.
    """
    found = Evaluation()
    for numbers, chips, logits in predict_chips(store, network, store.validation_chips, batch_size):
        confidence, predicted = logits.softmax(1).max(1)  # (N, H, W) each
        for number, chip, sure, index in zip(numbers, chips, confidence.cpu(), predicted.cpu(), strict=True):
            _add_chip(found, store, number, chip, sure, index)
        yield progress(fraction, "Measuring the model that was kept")
    return found


def count_trained(store: ChipStore, fraction: float) -> Iterator[Event]:
    """Counts the labels that are trained on, each place once, however many chips show it.

    Yields progress (always the same share), returns class index → pixels. Reads the chips once more where they do not all fit into
    memory.
    """
    numbers = np.flatnonzero(store.pixels.sum(axis=1)).tolist()
    ground = store.find_ground(numbers)
    totals = np.zeros(len(store.class_values), np.int64)
    for start in range(0, len(numbers), CHIPS_AT_ONCE):
        some = numbers[start : start + CHIPS_AT_ONCE]
        for number, chip in zip(some, store.get(some, validation=False), strict=True):
            target = chip.target.numpy()
            totals += np.bincount(target[ground.find_own(number) & (target != IGNORE)], minlength=totals.size)
        yield progress(fraction, "Counting the labels")
    return dict(enumerate(totals.tolist()))


def _overlap(first: Bounds, second: Bounds) -> float:
    """Share of the first rectangle that the second one covers, 0 to 1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    area = (first[2] - first[0]) * (first[3] - first[1])
    return max(0.0, width) * max(0.0, height) / area if area else 0.0


def _add_chip(found: Evaluation, store: ChipStore, number: int, chip: TensorChip, confidence: Tensor, predicted: Tensor) -> None:
    """Adds one chip, confidence and prediction (H, W): each place to the calibration once, all that it shows to its own score."""
    known = chip.target != IGNORE
    right = predicted == chip.target
    if bool(known.any()):
        found.chips.append(ChipScore(number, store.locations[number].record.bounds, int(known.sum()), int((known & ~right).sum())))
    measured = known & store.find_measured(number)
    found.calibration.update(confidence[measured].double().numpy(), right[measured].numpy())
