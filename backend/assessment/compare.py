# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of two maps is better, judged by one reference: McNemar's test, and the difference in each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .confusion import ConfusionMatrix
from .estimate import Estimate, MapEstimates

# Below so many disagreements the exact binomial test is used instead of the chi-squared distribution.
FEW_DISAGREEMENTS = 25


class Disagreement:
    """How often only one of two maps is right.

    Attributes:
        only_first: Units where the first map is right and the second wrong.
        only_second: The reverse.
    """

    def __init__(self) -> None:
        self.only_first = 0
        self.only_second = 0

    def add(self, first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> None:
        """Adds units (n,)."""
        self.only_first += int((first_right & ~second_right).sum())
        self.only_second += int((second_right & ~first_right).sum())


@dataclass(frozen=True)
class McNemar:
    """McNemar's test (1947, doi:10.1007/BF02295996) of the hypothesis that both maps are equally often right.

    Attributes:
        only_first: Units where only the first map is right.
        only_second: Units where only the second is.
        statistic: (only_first − only_second)² / (only_first + only_second); 0 when there are none.
        p_value: By the exact binomial distribution for fewer than 25 disagreements, else by chi-squared with one degree of freedom.
        is_exact: Which of the two.
    """

    only_first: int
    only_second: int
    statistic: float
    p_value: float
    is_exact: bool


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """The test; e.g. 6 and 16 give 4.545 and, exactly, 0.0525."""
    total = only_first + only_second
    statistic = (only_first - only_second) ** 2 / total if total else 0.0
    if total < FEW_DISAGREEMENTS:
        tail = sum(math.comb(total, count) for count in range(min(only_first, only_second) + 1))
        return McNemar(only_first, only_second, statistic, min(1.0, 2 * tail / 2**total), True)
    # The chi-squared distribution with one degree of freedom is that of the square of a standard normal number.
    return McNemar(only_first, only_second, statistic, math.erfc(math.sqrt(statistic / 2)), False)


@dataclass(frozen=True)
class Comparison:
    """A second map beside the first, on the units where both have data.

    Attributes:
        first: The first map by (reference, map).
        second: The second map.
        test: McNemar's.
        difference: Overall accuracy of the second less that of the first, over the whole map; None when it was not estimated.
        second_estimates: Of the second map, as for the first; None when they were not estimated.
    """

    first: ConfusionMatrix
    second: ConfusionMatrix
    test: McNemar
    difference: Estimate | None = None
    second_estimates: MapEstimates | None = None

    def class_changes(self) -> list[tuple[int, float, float, float]]:
        """Class value, and second less first in user's accuracy, producer's accuracy and IoU; NaN where either is undefined."""
        rows: Sequence[NDArray] = (
            self.second.precision - self.first.precision,
            self.second.recall - self.first.recall,
            self.second.iou - self.first.iou,
        )
        return [(value, *(float(row[place]) for row in rows)) for place, value in enumerate(self.first.class_values)]
