# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference polygons or a reference raster: compared with the map pixel by pixel, and polygons also object by object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imagery.raster import RasterInfo
from ..labels.vector import VectorLabels
from .compare import Disagreement
from .maps import Strip
from .objects import ObjectCounter
from .pairs import NOTHING, PairCounter, widen
from .picture import ErrorPicture
from .regions import RegionCollector


class BurnedReference:
    """Polygons and lines as class values on the map's grid.

    Args:
        path: GeoPackage, see `VectorLabels`; its values are codes.
        info: The map.
        values: Class value by code.
        is_rest_background: What lies outside of the features is class 0.

    Attributes:
        feature_values: True class value of each feature.
    """

    def __init__(self, path: Path, info: RasterInfo, values: Mapping[int, int], is_rest_background: bool) -> None:
        self._labels = VectorLabels(path, info.transform)
        self._table = np.full(max(values) + 1, NOTHING, np.uint16)
        for code, value in values.items():
            self._table[code] = value
        self._table[0] = 0 if is_rest_background else NOTHING
        self.feature_values = self._table[self._labels.values]

    def burn(self, strip: Strip) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
        """Class values of a strip, and the number of the feature (from 1 on; 0 = none)."""
        codes, features = self._labels.burn(strip.window)
        return self._table[codes], features


class AreaReference:
    """Gathers all that is known from comparing areas. `add` takes the strips in order.

    Args:
        info: The map.
        burned: The features; None when the reference is the last raster of each strip.
        has_second: The second raster of each strip is another map.
        is_zero_class: Whether the value 0 of the reference counts; see `ignore_zero`.
        regions: Collects what is wrong; None when it is not asked for.

    Attributes:
        pairs: Pixels by (map, reference).
        second_pairs: Pixels by (second map, reference), where both maps have data; so is ``common_pairs`` of the first map.
        disagreement: How often only one of the two maps is right.
        objects: Of the features; None for a raster.
        picture: Where the map is right and wrong.
    """

    def __init__(
        self,
        info: RasterInfo,
        burned: BurnedReference | None,
        has_second: bool,
        is_zero_class: bool,
        regions: RegionCollector | None,
    ) -> None:
        self.kind = "raster" if burned is None else "polygons"
        self.pairs = PairCounter()
        self.common_pairs, self.second_pairs = PairCounter(), PairCounter()
        self.disagreement = Disagreement()
        self.objects = None if burned is None else ObjectCounter(burned.feature_values)
        self.picture = ErrorPicture(info)
        self._burned, self._has_second, self._is_zero_class, self._regions = burned, has_second, is_zero_class, regions

    def add(self, strip: Strip) -> None:
        """Compares one strip."""
        mapped = strip.values[0]
        if self._burned is None:
            reference = strip.values[-1]
        else:
            reference, features = self._burned.burn(strip)
            if self.objects is not None:
                self.objects.add(features, widen(mapped))
        if not self._is_zero_class:
            reference = widen(reference)
            reference[reference == 0] = NOTHING
        self.pairs.update(mapped, reference)
        self.picture.add(strip.window, mapped, reference)
        if self._has_second:
            self._compare(widen(mapped), widen(strip.values[1]), widen(reference))
        if self._regions is not None:
            self._regions.add(strip.window, widen(mapped), widen(reference))

    def ignore_zero(self) -> None:
        """Takes back what the value 0 of the reference has counted; not with a second map or regions, which cannot be taken back."""
        if self._has_second or self._regions is not None:
            raise ValueError("whether 0 is a class must be known beforehand for a second map and for regions")
        self.pairs.ignore(0)
        self.picture.is_zero_class = False

    def _compare(self, mapped: NDArray[np.uint16], second: NDArray[np.uint16], reference: NDArray[np.uint16]) -> None:
        known = (mapped != NOTHING) & (second != NOTHING) & (reference != NOTHING)
        one, other, truth = mapped[known], second[known], reference[known]
        self.common_pairs.update(one, truth)
        self.second_pairs.update(other, truth)
        self.disagreement.add(one == truth, other == truth)

    def values(self) -> set[int]:
        """The class values of the reference that occur."""
        return {second for _, second in self.pairs.pairs if second != NOTHING}

    def second_values(self) -> set[int]:
        """The class values of the second map where it was compared; empty without one."""
        return {first for first, _ in self.second_pairs.pairs}
