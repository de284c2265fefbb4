# SPDX-License-Identifier: GPL-2.0-or-later
"""A last look at the held-out labels with the network that was kept: how sure it was, and on which chips it fails.

Enters: the chips and the network. Leaves: an `Evaluation`. One pass over the held-out chips; memory does not grow with their number
but for one short record per chip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.protocol import Event, progress
from .dataset import ChipStore
from .losses import IGNORE

BINS = 15
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
        batch_size: Chips at a time.
        fraction: Share of the whole job that is done, for the events.
    """
    found = Evaluation()
    place = next(network.parameters()).device
    for start in range(0, len(store.validation_chips), batch_size):
        numbers = store.validation_chips[start : start + batch_size]
        chips = store.get(numbers, validation=True)
        with torch.inference_mode():
            logits = network(torch.stack([chip.image for chip in chips]).to(place))
            confidence, predicted = logits.float().softmax(1).max(1)  # (N, H, W) each
        for number, target, sure, index in zip(
            numbers, (chip.target for chip in chips), confidence.cpu(), predicted.cpu(), strict=True
        ):
            _add_chip(found, (number, store.locations[number].record.bounds), target, sure, index)
        yield progress(fraction, "Measuring the model that was kept")
    return found


def _overlap(first: Bounds, second: Bounds) -> float:
    """Share of the first rectangle that the second one covers, 0 to 1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    area = (first[2] - first[0]) * (first[3] - first[1])
    return max(0.0, width) * max(0.0, height) / area if area else 0.0


def _add_chip(found: Evaluation, place: tuple[int, Bounds], target: Tensor, confidence: Tensor, predicted: Tensor) -> None:
    """Adds one chip, all (H, W); the place is its number and bounds."""
    known = target != IGNORE
    right = (predicted == target)[known].numpy()
    if right.size:
        found.calibration.update(confidence[known].double().numpy(), right)
        found.chips.append(ChipScore(*place, right.size, int((~right).sum())))
