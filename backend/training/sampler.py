# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws which chip, and which labelled pixel in it, a crop is centred on.

With class balancing, half of the draws first draw a class, each with the same chance, and then one of its pixels; the other half
draw any labelled pixel. So rare classes are seen without the frequent ones' context being lost. Chips without training labels are
never drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BALANCED_SHARE = 0.5


class LabelSampler:
    """Draws (chip, class) pairs from the number of training pixels of each class in each chip.

    Args:
        pixels: (chips, classes) counts; at least one must be positive.
        balanced: Half of the draws by class.
        generator: Source of all draws.
    """

    def __init__(self, pixels: NDArray[np.int64], balanced: bool, generator: np.random.Generator) -> None:
        if not pixels.sum():
            raise ValueError("there are no training pixels to draw from")
        self._generator = generator
        self._balanced = balanced
        self._present = np.flatnonzero(pixels.sum(axis=0))
        cumulated = np.cumsum(pixels, axis=0, dtype=float)  # (chips, classes)
        self._by_class = {int(index): cumulated[:, index] / cumulated[-1, index] for index in self._present}
        totals = cumulated[-1]
        self._frequency = np.cumsum(totals) / totals.sum()

    def draw(self, count: int) -> list[tuple[int, int]]:
        """`count` pairs of chip number and class index, with replacement."""
        return [self._draw_one() for _ in range(count)]

    def _draw_one(self) -> tuple[int, int]:
        by_class, class_draw, chip_draw = self._generator.random(3)
        if self._balanced and by_class < BALANCED_SHARE:
            index = int(self._present[int(class_draw * self._present.size)])
        else:
            index = int(np.searchsorted(self._frequency, class_draw, side="right"))
        return int(np.searchsorted(self._by_class[index], chip_draw, side="right")), index

    def draw_pixel(self, target: NDArray[np.integer], index: int) -> tuple[int, int]:
        """Row and column of a random pixel of class `index` in a target (H, W) that has one."""
        places = np.flatnonzero(target == index)
        row, column = divmod(int(places[self._generator.integers(places.size)]), target.shape[1])
        return row, column
