# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of an export: of the chips, from their records, for ArcGIS's statistics; of the ground, for the user's log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .index import ChipRecord


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
        figures = {"Min": self.minimum, "Max": self.maximum, "Mean": self.mean, "Sum": self.total, "Count": self.count}
        return {name: to_number(value) for name, value in figures.items()}


def to_number(value: float) -> float:
    """A whole number as an integer, which is how ArcGIS writes it into JSON."""
    return int(value) if float(value).is_integer() else value


class Tally:
    """Figures of chips, per class in the order of ``values``.

    Args:
        values: Class values.
        records: The chips.

    Attributes:
        images: Chips in which a class occurs.
        pixels: Labelled pixels of a class per chip, 0 where it does not occur.
        features: Features (blocks) of a class, counted once a chip.
        areas: Area of a feature within a chip, in square map units.
        classes_per_image: Classes per chip.
        features_per_image: Features per chip.
    """

    def __init__(self, values: tuple[int, ...], records: Iterable[ChipRecord]) -> None:
        self.values = values
        self.images = dict.fromkeys(values, 0)
        self.pixels = {value: Spread() for value in values}
        self.features = dict.fromkeys(values, 0)
        self.areas = {value: Spread() for value in values}
        self.classes_per_image = Spread()
        self.features_per_image = Spread()
        for record in records:
            self._add(record)

    def _add(self, record: ChipRecord) -> None:
        present = set(record.class_pixels) | {value for _, value, _ in record.features}
        for value in present:
            self.images[value] += 1
        for value in self.values:
            self.pixels[value].add(record.class_pixels.get(value, 0))
        for _, value, area in record.features:
            self.features[value] += 1
            self.areas[value].add(area)
        self.classes_per_image.add(len(present))
        self.features_per_image.add(len(record.features))


class Ground:
    """Labelled pixels of rasters, each pixel counted once however many chips show it.

    Attributes:
        labelled: Pixels of a class on valid pixels.
        lost: The same on nodata.
    """

    def __init__(self, values: tuple[int, ...]) -> None:
        self.labelled = dict.fromkeys(values, 0)
        self.lost = dict.fromkeys(values, 0)

    def add(self, counts: tuple[dict[int, int], dict[int, int]]) -> None:
        """Adds what `count_ground` found."""
        for target, found in zip((self.labelled, self.lost), counts, strict=True):
            for value, count in found.items():
                target[value] += count


def count_ground(label: NDArray[np.uint16], valid: NDArray[np.bool_]) -> tuple[dict[int, int], dict[int, int]]:
    """Pixels by class value, on valid pixels and on nodata, of a part of the raster that no other call covers."""
    if valid.all():
        return count_values(label), {}
    return count_values(label[valid]), count_values(label[~valid])


def count_values(label: NDArray[np.uint16]) -> dict[int, int]:
    """Pixels by class value, without the unlabelled."""
    if not label.any():
        return {}
    counts = np.bincount(label.ravel())
    return {value: int(counts[value]) for value in np.flatnonzero(counts).tolist() if value}
