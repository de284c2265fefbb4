# SPDX-License-Identifier: GPL-2.0-or-later
"""How far two interpreters agree. Standard library only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple


class Agreement(NamedTuple):
    """Two interpreters on the points that both have answered.

    Attributes:
        other: The other interpreter's name.
        both: Points that both have answered.
        same: Of these, those with the same answer.
        kappa: Cohen's kappa (1960): agreement beyond chance; None where it is not defined.
    """

    other: str
    both: int
    same: int
    kappa: float | None


def compare_answers(mine: Mapping[int, int], others: Mapping[int, int], other: str) -> Agreement:
    """Compares answers by point; e.g. 8 of 10 alike, where chance alone gives 5, is a kappa of 0.6."""
    common = [point for point in mine if point in others]
    same = sum(mine[point] == others[point] for point in common)
    if not common:
        return Agreement(other, 0, 0, None)
    one, two = Counter(mine[point] for point in common), Counter(others[point] for point in common)
    chance = sum(one[value] * two[value] for value in one) / len(common) ** 2
    kappa = None if chance == 1 else (same / len(common) - chance) / (1 - chance)
    return Agreement(other, len(common), same, kappa)
