# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts what an export writes, for ArcGIS's statistics and for the user's log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VALUE_BITS = 16  # a class value and a block number share one integer
VALUE_MASK = (1 << VALUE_BITS) - 1


@dataclass
class Spread:
    """Smallest, largest, sum and number of some figures."""

    minimum: float = 0.0
    maximum: float = 0.0
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Adds one figure."""
        self.minimum = value if self.count == 0 else min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self.total += value
        self.count += 1

    @property
    def mean(self) -> float:
        """The mean, 0 without figures."""
        return self.total / self.count if self.count else 0.0

    def to_esri(self) -> dict[str, float]:
        """ArcGIS's form."""
        return {"Min": self.minimum, "Max": self.maximum, "Mean": self.mean, "Sum": self.total, "Count": self.count}


class Tally:
    """Figures of all chips written, per class in the order of ``values``.

    Attributes:
        images: Chips in which a class occurs.
        pixels: Labelled pixels of a class per chip in which it occurs.
        features: Features (blocks) of a class, counted once a chip.
        areas: Area of a feature within a chip, in square map units.
        classes_per_image: Classes per chip.
        features_per_image: Features per chip.
        labelled: Pixels of a class on valid pixels, each pixel of the raster counted once.
        lost: The same on nodata.
    """

    def __init__(self, values: tuple[int, ...], cell_area: float) -> None:
        self.values = values
        self.cell_area = cell_area
        self.images = dict.fromkeys(values, 0)
        self.pixels = {value: Spread() for value in values}
        self.features = dict.fromkeys(values, 0)
        self.areas = {value: Spread() for value in values}
        self.classes_per_image = Spread()
        self.features_per_image = Spread()
        self.labelled = dict.fromkeys(values, 0)
        self.lost = dict.fromkeys(values, 0)

    def add_chip(self, label: NDArray[np.uint16], blocks: NDArray[np.uint32]) -> dict[int, int]:
        """Counts a chip and returns its labelled pixels by class value."""
        known = label > 0
        pairs = _count_runs(blocks[known].astype(np.int64) << VALUE_BITS | label[known])
        class_pixels: dict[int, int] = {}
        for pair, count in pairs.items():
            value = pair & VALUE_MASK
            class_pixels[value] = class_pixels.get(value, 0) + count
            self.features[value] += 1
            self.areas[value].add(count * self.cell_area)
        for value, count in class_pixels.items():
            self.images[value] += 1
            self.pixels[value].add(count)
        self.classes_per_image.add(len(class_pixels))
        self.features_per_image.add(len(pairs))
        return class_pixels

    def add_ground(self, label: NDArray[np.uint16], valid: NDArray[np.bool_]) -> None:
        """Counts labels of a part of the raster that no other call covers."""
        for target, where in ((self.labelled, valid), (self.lost, ~valid)):
            counts = np.bincount(label[where])
            for value in np.flatnonzero(counts).tolist():
                if value:
                    target[value] += int(counts[value])


def _count_runs(keys: NDArray[np.int64]) -> dict[int, int]:
    """How often each key occurs. Sorts the runs of equal keys, of which labels have few, instead of all pixels."""
    if keys.size == 0:
        return {}
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    found, place = np.unique(keys[starts], return_inverse=True)
    counts = np.bincount(place, weights=np.diff(starts, append=keys.size))
    return dict(zip(found.tolist(), counts.astype(np.int64).tolist(), strict=True))
