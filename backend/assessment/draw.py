# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws pixels of a class raster at random, without holding the raster: pixels are numbered per class, then numbers are drawn.

Pixels of a class are numbered row by row over the whole raster, so that the same seed gives the same points however the file is laid
out in blocks. Every pixel of a class has the same chance (simple random sampling without replacement). numpy only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .pairs import NOTHING, NOTHING_8, Classes, widen

ALL = -1  # the stratum of a random sample: every pixel with a class
# With a minimum distance, pixels that may be refused are drawn in advance.
SPARE_FACTOR, SPARE_POINTS = 20, 500


class Pixel(NamedTuple):
    """A drawn pixel: row, column and class value."""

    row: int
    column: int
    value: int


class ClassCounter:
    """Counts the pixels of each class value, strip by strip."""

    def __init__(self) -> None:
        self._counts = np.zeros(NOTHING + 1, np.int64)

    def add(self, values: Classes) -> None:
        """Adds a strip (rows, columns)."""
        counts = np.bincount(values.reshape(-1), minlength=NOTHING_8 + 1)
        if values.dtype == np.uint8:
            counts[NOTHING_8] = 0
        self._counts[: counts.size] += counts

    @property
    def sizes(self) -> dict[int, int]:
        """Pixels of each class value that occurs."""
        return {int(value): int(self._counts[value]) for value in np.flatnonzero(self._counts) if value != NOTHING}


class PixelDraw:
    """The numbers drawn, looked up strip by strip.

    Args:
        sizes: Pixels of each stratum: of each class, or of `ALL`.
        points: Points wanted of each stratum.
        has_distance: Draw spare pixels, of which those too close to others can be dropped.
        generator: Source of the random numbers.
    """

    def __init__(
        self, sizes: Mapping[int, int], points: Mapping[int, int], has_distance: bool, generator: np.random.Generator
    ) -> None:
        self._ranks: dict[int, NDArray[np.int64]] = {}
        self._order: dict[int, NDArray[np.int64]] = {}
        self._passed = dict.fromkeys(points, 0)
        self._found: dict[int, list[Pixel]] = {stratum: [] for stratum in points}
        for stratum in sorted(points):
            count = points[stratum]
            if has_distance:
                count = min(sizes[stratum], count * SPARE_FACTOR + SPARE_POINTS) if count else 0
            drawn = generator.choice(sizes[stratum], size=count, replace=False)
            # Looked up in ascending order, but taken in the order in which they were drawn.
            self._order[stratum] = np.argsort(np.argsort(drawn))
            self._ranks[stratum] = np.sort(drawn)

    def add(self, top: int, values: Classes) -> None:
        """Looks up the drawn pixels of a strip (rows, columns) that begins in row ``top``."""
        flat = widen(values).reshape(-1)
        for stratum, ranks in self._ranks.items():
            before = self._passed[stratum]
            where = flat != NOTHING if stratum == ALL else flat == stratum
            self._passed[stratum] = before + int(np.count_nonzero(where))
            mine = ranks[np.searchsorted(ranks, before) : np.searchsorted(ranks, self._passed[stratum])]
            if mine.size:
                for place in np.flatnonzero(where)[mine - before].tolist():
                    row, column = divmod(place, values.shape[1])
                    self._found[stratum].append(Pixel(top + row, column, int(flat[place])))

    def pixels(self) -> dict[int, list[Pixel]]:
        """The pixels of each stratum in the order in which they were drawn."""
        return {stratum: [found[place] for place in self._order[stratum]] for stratum, found in self._found.items()}


def keep_apart(
    pixels: Mapping[int, list[Pixel]], points: Mapping[int, int], distance: float, cell_size: tuple[float, float]
) -> dict[int, list[Pixel]]:
    """Takes the pixels in turn and leaves out those closer than a distance to one that was taken, of whatever stratum.

    Rare strata choose first, since they have the fewest alternatives.

    Args:
        pixels: Of each stratum, in the order of their drawing.
        points: Points wanted of each stratum; fewer are kept where the pixels do not suffice.
        distance: In map units.
        cell_size: (x, y) in map units.
    """
    if distance <= min(cell_size):  # different pixels are further apart in any case
        return {stratum: found[: points[stratum]] for stratum, found in pixels.items()}
    taken: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    kept: dict[int, list[Pixel]] = {}
    for stratum in sorted(pixels, key=lambda stratum: (len(pixels[stratum]), stratum)):
        kept[stratum] = []
        for pixel in pixels[stratum]:
            if len(kept[stratum]) == points[stratum]:
                break
            x, y = pixel.column * cell_size[0], pixel.row * cell_size[1]
            # In cells as wide as the distance, only the eight neighbours can hold a point that is too close.
            cell = int(x // distance), int(y // distance)
            around = [(cell[0] + right, cell[1] + down) for right in (-1, 0, 1) for down in (-1, 0, 1)]
            if all((x - a) ** 2 + (y - b) ** 2 >= distance**2 for place in around for a, b in taken.get(place, ())):
                kept[stratum].append(pixel)
                taken[cell].append((x, y))
    return kept
