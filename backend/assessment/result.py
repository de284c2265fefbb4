# SPDX-License-Identifier: GPL-2.0-or-later
"""What an assessment found, for the table, the report and the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .classes import ShownClass
from .compare import Comparison
from .confusion import ConfusionMatrix
from .estimate import MapEstimates
from .objects import ObjectResult

SQUARE_METRES_PER_HECTARE = 10_000


@dataclass(frozen=True)
class PointPicture:
    """Points for the error map: map coordinates and whether the map is right; arrays are (n,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    is_right: NDArray[np.bool_]


@dataclass(frozen=True)
class Assessment:
    """All findings about a map.

    Attributes:
        title: Name of the map.
        kind: ``points``, ``polygons`` or ``raster``: what the reference is.
        classes: The classes of map and reference, ascending; the matrices have their order.
        counts: Units (points or pixels) by (reference, map).
        estimates: For the whole map; None when they are not wanted or the reference is no random sample.
        population: Pixels of each class of the map.
        pixel_hectares: Area of a pixel; None for a map without metres.
        notes: Sentences the reader must know to judge the figures.
        facts: Rows of (name, value) on the input.
        objects: By polygon; None unless the reference is polygons.
        comparison: With the second map; None without one.
        picture: Points, or an array (rows, columns) of 0 = unknown, 1 = right, 2 = wrong.
    """

    title: str
    kind: str
    classes: tuple[ShownClass, ...]
    counts: ConfusionMatrix
    estimates: MapEstimates | None
    population: Mapping[int, int]
    pixel_hectares: float | None
    notes: Sequence[str]
    facts: Sequence[tuple[str, str]]
    objects: ObjectResult | None
    comparison: Comparison | None
    picture: PointPicture | NDArray[np.uint8]

    @property
    def headline(self) -> ConfusionMatrix:
        """What the main figures are made of: the estimated shares of the map's area, else the counts."""
        return self.counts if self.estimates is None else self.estimates.matrix

    @property
    def unit(self) -> str:
        """What is counted."""
        return "points" if self.kind == "points" else "pixels"

    @property
    def area_unit(self) -> str:
        """Unit of `areas`."""
        return "ha" if self.pixel_hectares is not None else "pixels"

    @property
    def population_pixels(self) -> int:
        """Pixels that the estimates speak of: those of the strata where points were drawn, else of the map."""
        if self.estimates is not None:
            return round(sum(self.estimates.sample.sizes.values()) * self.estimates.sample.covered)
        return sum(self.population.values())

    def to_area(self, pixels: float) -> float:
        """Pixels as area."""
        return pixels * (1.0 if self.pixel_hectares is None else self.pixel_hectares)

    def areas(self) -> list[tuple[float, float, float]]:
        """Mapped area, estimated area and half of its 95 % interval of each class, in `area_unit`; NaN where there is no estimate."""
        rows = []
        for place, entry in enumerate(self.classes):
            mapped = self.to_area(self.population.get(entry.value, 0))
            if self.estimates is None:
                rows.append((mapped, float("nan"), float("nan")))
            else:
                share = self.estimates.areas[place]
                whole = self.to_area(self.population_pixels)
                rows.append((mapped, share.value * whole, share.margin * whole))
        return rows
