# SPDX-License-Identifier: GPL-2.0-or-later
"""What a random sample of points says about the whole map: accuracies and areas with 95 % confidence intervals.

The estimators are those of a stratified random sample: Olofsson et al. 2014 (doi:10.1016/j.rse.2014.02.015) where the strata are the
classes of the map, Stehman 2014 (doi:10.1080/01431161.2014.930207) where they are not, as for a second map. Both are one formula:
a ratio of two means over the strata, which gives the first for strata that are classes. A simple random sample is estimated in the
same way after the fact (poststratified). As in the paper there is no correction for small populations. numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .confusion import ConfusionMatrix

# The factor that Olofsson et al. use for 95 %; with 1.959964 their areas would differ in the last digit printed.
Z_95 = 1.96
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimated share (0 to 1) and its standard error; NaN where the sample cannot tell."""

    value: float
    standard_error: float

    @property
    def margin(self) -> float:
        """Half the width of the 95 % confidence interval."""
        return Z_95 * self.standard_error


class StratifiedSample:
    """Sampled units in their strata.

    Args:
        strata: Stratum of each unit (n,).
        sizes: Pixels of each stratum in the population. A stratum without a unit cannot be estimated: it is left out, and what
            is estimated then holds for the rest of the population only.

    Attributes:
        left_out: Values of the strata without a unit that have pixels.
        lonely: Values of the strata with one unit only: no variance can be had from it.
        covered: Share of the population's pixels that the strata with units make up.
        sizes: As given.

    Raises:
        ValueError: A unit is in a stratum without a size, or there is no unit.
    """

    def __init__(self, strata: NDArray[np.integer], sizes: Mapping[int, int]) -> None:
        values, self._index, counts = np.unique(strata, return_inverse=True, return_counts=True)
        if not values.size:
            raise ValueError("a sample needs at least one unit")
        unknown = [int(value) for value in values if sizes.get(int(value), 0) <= 0]
        if unknown:
            raise ValueError(f"the strata {unknown} have units but no size")
        self.sizes = dict(sizes)
        self.values = tuple(values.tolist())
        self._counts = counts.astype(float)
        pixels = np.array([sizes[value] for value in self.values], float)
        self._weights: Floats = pixels / pixels.sum()
        self.left_out = tuple(sorted(value for value, size in sizes.items() if size > 0 and value not in self.values))
        self.lonely = tuple(value for value, count in zip(self.values, counts, strict=True) if count == 1)
        self.covered = float(pixels.sum() / sum(sizes.values()))

    @property
    def unit_weights(self) -> Floats:
        """Share of the population that each unit stands for (n,); they add up to 1."""
        return (self._weights / self._counts)[self._index]

    def estimate_mean(self, of: NDArray) -> Estimate:
        """Mean over the population of a variable (n,)."""
        return self.estimate_ratio(of, np.ones(self._index.size))

    def estimate_ratio(self, of: NDArray, to: NDArray, only: int | None = None) -> Estimate:
        """Ratio of two population means, such as "right and forest" to "forest".

        With the residual d = of − ratio · to, the variance is Σ W² s²(d) / n over the strata, by the square of the mean of ``to``.

        Args:
            of: Variable of the numerator for each unit (n,).
            to: Variable of the denominator (n,).
            only: The one stratum in which both can differ from 0, when that is known from the design.
        """
        top, bottom = self._stratum_means(of), self._stratum_means(to)
        mean = float(self._weights @ bottom)
        if mean == 0:
            return Estimate(math.nan, math.nan)
        ratio = float(self._weights @ top) / mean
        residual = np.asarray(of, float) - ratio * np.asarray(to, float)
        spread = self._stratum_means(residual**2) - self._stratum_means(residual) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            # s² / n with n − 1 in s²; one unit alone gives 0 / 0, which is NaN: nothing is known of its stratum's variance.
            variances = np.where(self._counts > 1, np.maximum(spread, 0) / (self._counts - 1), np.nan)
        used = np.ones(len(self.values), bool) if only is None else np.array(self.values) == only
        variance = float((self._weights[used] ** 2 * variances[used]).sum()) / mean**2
        return Estimate(ratio, math.sqrt(variance) if math.isfinite(variance) else math.nan)

    def _stratum_means(self, values: NDArray) -> Floats:
        sums = np.bincount(self._index, weights=np.asarray(values, float), minlength=len(self.values))
        return sums / self._counts


@dataclass(frozen=True)
class MapEstimates:
    """What a sample says about one map. Tuples are in the order of the class values.

    Attributes:
        overall: Overall accuracy.
        users: User's accuracy of each class: share of what the map calls so that is so.
        producers: Producer's accuracy: share of what is so that the map calls so.
        areas: Share of the population's area that is of the class, by the reference.
        matrix: Shares of the population's area by (reference, map).
        sample: The sample.
    """

    overall: Estimate
    users: tuple[Estimate, ...]
    producers: tuple[Estimate, ...]
    areas: tuple[Estimate, ...]
    matrix: ConfusionMatrix
    sample: StratifiedSample


def estimate_map(
    sample: StratifiedSample,
    mapped: NDArray[np.integer],
    reference: NDArray[np.integer],
    class_values: Sequence[int],
    strata_are_classes: bool,
) -> MapEstimates:
    """Estimates everything about a map.

    Args:
        sample: The strata of the units.
        mapped: Class value in the map of each unit (n,).
        reference: True class value of each unit (n,).
        class_values: All class values that occur.
        strata_are_classes: The strata are the classes of this very map.
    """
    right = mapped == reference
    users, producers, areas = [], [], []
    for value in class_values:
        is_mapped, is_so = mapped == value, reference == value
        users.append(sample.estimate_ratio(right & is_mapped, is_mapped, value if strata_are_classes else None))
        producers.append(sample.estimate_ratio(right & is_so, is_so))
        # Of a class that no unit is of, while no unit was drawn where the map has it, the sample knows nothing: not an area of 0.
        is_unknown = strata_are_classes and value in sample.left_out and not is_so.any()
        areas.append(Estimate(math.nan, math.nan) if is_unknown else sample.estimate_mean(is_so))
    shares = np.zeros((len(class_values), len(class_values)))
    place = {value: index for index, value in enumerate(class_values)}
    rows = [place[value] for value in reference.tolist()]
    columns = [place[value] for value in mapped.tolist()]
    np.add.at(shares, (rows, columns), sample.unit_weights)
    return MapEstimates(
        sample.estimate_mean(right),
        tuple(users),
        tuple(producers),
        tuple(areas),
        ConfusionMatrix.from_counts(class_values, shares),
        sample,
    )
