# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference points: where they lie on the map, what the map says there, and which sample they make.

Points drawn by "Create accuracy assessment points" carry the stratum that they were drawn from and its number of pixels. Others are
taken as drawn at random within each class of the map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from ..errors import ToolboxError
from ..imagery.raster import RasterInfo
from ..labels.vector_file import LAYER
from .estimate import StratifiedSample
from .maps import Strip
from .pairs import NOTHING, widen

NO_STRATUM = -1
NO_CLASS = -1
Integers = NDArray[np.int64]


class PointReference:
    """Collects what the rasters of each strip say at the points.

    Args:
        path: GeoPackage with the fields ``value``, ``stratum`` (−1 where unknown) and ``stratum_pixels`` (a text).
        info: The map.
        values: Class value by code.
        ignored: Class values that mean "no answer".
        rasters: Number of rasters in a strip: the map, and the second map if there is one.
        further_strata: Strata of points that are not in the file, and their pixels.
    """

    kind = "points"

    def __init__(
        self,
        path: Path,
        info: RasterInfo,
        values: Mapping[int, int],
        ignored: frozenset[int],
        rasters: int,
        further_strata: Sequence[Sequence[int]] = (),
    ) -> None:
        meta, _, geometry, fields = pyogrio.raw.read(path, layer=LAYER)
        columns = dict(zip(meta["fields"], fields, strict=True))
        points = shapely.from_wkb(geometry)
        self.x, self.y = shapely.get_x(points), shapely.get_y(points)
        self._reference = np.array([values[int(code)] for code in columns["value"]], np.int64)
        self._strata = np.asarray(columns["stratum"], np.int64)
        # A text, blank where unknown: it holds numbers of any length in every version of QGIS.
        self._stratum_pixels = np.array([int(pixels or NO_STRATUM) for pixels in columns["stratum_pixels"]], np.int64)
        self._further = np.array(further_strata, np.int64).reshape(-1, 2)
        columns_, rows = ~info.transform * (self.x, self.y)
        self._columns, self._rows = np.floor(columns_).astype(np.int64), np.floor(rows).astype(np.int64)
        is_inside = (self._columns >= 0) & (self._columns < info.width) & (self._rows >= 0) & (self._rows < info.height)
        self._inside = is_inside
        self._answered = ~np.isin(self._reference, list(ignored))
        self._order = np.flatnonzero(is_inside)[np.argsort(self._rows[is_inside], kind="stable")]
        self._found = np.full((rasters, self.x.size), NOTHING, np.uint16)

    def add(self, strip: Strip) -> None:
        """Notes the values of the strip's rasters at the points within it."""
        top = int(strip.window.row_off)
        rows = self._rows[self._order]
        mine = self._order[np.searchsorted(rows, top) : np.searchsorted(rows, top + int(strip.window.height))]
        for place in range(len(self._found)):
            self._found[place, mine] = widen(strip.values[place][self._rows[mine] - top, self._columns[mine]])

    def values(self) -> set[int]:
        """The class values of the points that count."""
        return set(self._reference[self._answered].tolist())

    def second_values(self) -> set[int]:
        """The class values of the second map at the points; empty without one."""
        return {int(value) for values in self._found[1:2] for value in values if value != NOTHING}

    def finish(self, needs_design: bool = False) -> PointSample:
        """The points that can be compared, once all strips were added.

        Args:
            needs_design: Leave out points that do not tell the stratum they were drawn from, where others do.

        Raises:
            ToolboxError: There is none.
        """
        on_data = self._found[0] != NOTHING
        known = on_data & self._answered
        is_undesigned = known & (self._strata == NO_STRATUM)
        drops = needs_design and bool((known & ~is_undesigned).any())
        if drops:
            known = known & ~is_undesigned
        outside = int((self._answered & ~self._inside).sum())
        on_nothing = int((self._answered & self._inside & ~on_data).sum())
        unanswered = int((~self._answered).sum())
        if not known.any():
            raise ToolboxError(
                f"None of the {self.x.size} reference points can be compared: {unanswered} have no class, {outside} lie outside of "
                f"the map and {on_nothing} where it has no data; check both places and coordinate systems, and the class field."
            )
        told = np.append(self._strata, self._further[:, 0]), np.append(self._stratum_pixels, self._further[:, 1])
        if drops:
            told = told[0][told[0] != NO_STRATUM], told[1][told[0] != NO_STRATUM]
        places = np.unique(np.stack([self._rows[known], self._columns[known]]), axis=1).shape[1]
        return PointSample(
            self.x[known],
            self.y[known],
            self._found[0, known].astype(np.int64),
            np.where(self._found[1] == NOTHING, NO_CLASS, self._found[1].astype(np.int64))[known] if len(self._found) > 1 else None,
            self._reference[known],
            self._strata[known],
            _told_sizes(*told),
            outside,
            on_nothing,
            unanswered,
            int(is_undesigned.sum()) if drops else 0,
            int(known.sum()) - places,
        )


@dataclass(frozen=True)
class PointSample:
    """Points with what the map says of them; arrays are (n,).

    Attributes:
        x: Map coordinate.
        y: Map coordinate.
        mapped: Class value of the map.
        second: Class value of the second map, NO_CLASS where that has no data; None without one.
        reference: True class value.
        strata: Class from which the point was drawn, −1 where unknown.
        told_sizes: Pixels of each class where points were drawn, as all points tell them, also those that are left out here: a stratum
            without a usable point must be known to be missing. None where they tell nothing, or contradict each other.
        outside: Points that lie outside of the map and are left out.
        on_nothing: Points left out because the map has no data there.
        unanswered: Points left out because they bear no class.
        undesigned: Points left out because they do not tell how they were drawn, while others do.
        repeated: Points that lie in the same pixel as another one.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    mapped: Integers
    second: Integers | None
    reference: Integers
    strata: Integers
    told_sizes: Mapping[int, int] | None
    outside: int
    on_nothing: int
    unanswered: int
    undesigned: int = 0
    repeated: int = 0

    @property
    def is_designed(self) -> bool:
        """Whether all points tell the stratum they were drawn from."""
        return bool((self.strata != NO_STRATUM).all())

    @property
    def strata_are_classes(self) -> bool:
        """Whether the strata are the classes of the map itself."""
        return not self.is_designed or bool((self.strata == self.mapped).all())

    def stratify(self, population: Mapping[int, int]) -> tuple[StratifiedSample, list[str]]:
        """The sample with the sizes of its strata, and sentences on what it rests on.

        Args:
            population: Pixels of each class of the map.
        """
        notes = []
        if not self.is_designed:
            notes.append(
                "The points do not tell how they were drawn. The estimates for the whole map hold if, within each class of the map, "
                "every pixel had the same chance to become a point."
            )
            return StratifiedSample(self.mapped, population), notes
        sizes = self.told_sizes
        if sizes is None:
            notes.append("The points do not tell the sizes of their strata consistently; they are counted on the map.")
            sizes = dict(population)
            lost = sorted({int(value) for value in self.strata} - {value for value, size in sizes.items() if size > 0})
            if lost:
                raise ToolboxError(
                    f"The points were drawn in the class {lost[0]}, which this map lacks, and do not tell its size (StratumPix): "
                    "choose the map that they were drawn on as INPUT, or switch AREA_WEIGHTED off."
                )
        else:
            sizes, told = complete_design(sizes, population, self.strata_are_classes)
            notes += told
        if not self.strata_are_classes:
            changed = int((self.strata != self.mapped).sum())
            notes.append(
                f"At {changed} points the map has another class than the one they were drawn from: the points come from another map. "
                "The estimates heed that (Stehman 2014)."
            )
        return StratifiedSample(self.strata, sizes), notes


def complete_design(
    told: Mapping[int, int], population: Mapping[int, int], strata_are_classes: bool
) -> tuple[Mapping[int, int], list[str]]:
    """The sizes of all strata, also of those from which no point was drawn, and sentences on the area that was sampled.

    Points tell the sizes of their own strata only. Where these are those of the whole map, the map's other classes are strata without
    a point; where they are smaller, points were drawn within a mask, and what else lies within it is not known.

    Args:
        told: Pixels of each stratum, as the points tell them.
        population: Pixels of each class of the map.
        strata_are_classes: The strata are the classes of this map.
    """
    if not strata_are_classes:
        return told, []
    if all(population.get(stratum) == size for stratum, size in told.items()):
        return {**population, **told}, []
    share = sum(told.values()) / sum(population.values())
    missing = sorted(value for value, size in population.items() if size > 0 and value not in told)
    notes = [f"The points were drawn in {100 * share:.3g} % of the map (within a mask, say): the estimates hold for that area only."]
    if missing:
        notes.append(
            f"No point tells of the map's classes {', '.join(map(str, missing))}: if they occur in the area where points were drawn, "
            "the estimates leave them out."
        )
    return told, notes


def _told_sizes(strata: Integers, pixels: Integers) -> dict[int, int] | None:
    """Pixels of each stratum as the points tell them; None when a point tells none or two contradict each other."""
    sizes: dict[int, int] = {}
    for stratum, size in zip(strata.tolist(), pixels.tolist(), strict=True):
        if size <= 0 or sizes.setdefault(stratum, size) != size:
            return None
    return sizes
