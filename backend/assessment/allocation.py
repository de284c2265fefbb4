# SPDX-License-Identifier: GPL-2.0-or-later
"""How many points an assessment needs, and how many of them each class gets. Imports nothing heavy."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ..errors import ToolboxError
from .estimate import Z_95

Sizes = Mapping[int, int]
STRATIFIED, EQUALIZED, RANDOM = "stratified", "equalized", "random"
SAMPLINGS = (STRATIFIED, EQUALIZED, RANDOM)


def read_expected_accuracy(text: str, class_values: list[int]) -> dict[int, float]:
    """The user's accuracy that is expected of each class.

    Args:
        text: One number for all classes, such as ``0.8``, or ``1=0.7; 2=0.95``, where a number alone holds for the others.
        class_values: The classes of the map.

    Raises:
        ToolboxError: Not such a text, not between 0 and 1, an unknown class, or a class is left without a number.
    """
    given: dict[int | None, float] = {}
    for part in filter(None, re.split(r"[;\s]+", re.sub(r"\s*=\s*", "=", text.strip()))):
        key, equals, number = part.rpartition("=")
        try:
            value, share = int(key) if equals else None, float(number.replace(",", "."))
        except ValueError:
            raise ToolboxError(f"EXPECTED_ACCURACY takes 0.8, or 1=0.7; 2=0.95, and got “{text}”.") from None
        if not 0 < share < 1:
            raise ToolboxError(f"EXPECTED_ACCURACY is a share between 0 and 1, such as 0.8, and got {number}.")
        if value is not None and value not in class_values:
            raise ToolboxError(
                f"EXPECTED_ACCURACY names the class {value}, but the map has {', '.join(map(str, class_values))}; correct it."
            )
        if value in given:
            of = "all other classes" if value is None else f"the class {value}"
            raise ToolboxError(f"EXPECTED_ACCURACY gives two numbers for {of}: “{text}”; leave one.")
        given[value] = share
    expected = {value: given.get(value, given.get(None, math.nan)) for value in class_values}
    missing = [value for value, share in expected.items() if math.isnan(share)]
    if missing:
        raise ToolboxError(f"EXPECTED_ACCURACY says nothing of the class {missing[0]}; add {missing[0]}=…, or a number for all.")
    return expected


def sample_size(sizes: Sizes, expected: Mapping[int, float], margin: float, sampling: str) -> int:
    """Number of points with which the overall accuracy gets a 95 % interval of ± ``margin``.

    Stratified: (Σ W S / S(O))², Olofsson et al. 2014, equation 13, after Cochran 1977, equation 5.25 without its correction for
    small populations; W is a class's share of the map, S² = U (1 − U). E.g. W = .020, .015, .320, .645 with U = .7, .6, .9, .95 and a
    standard error of 0.01 need 641 points. Equalised: K Σ W² S² / S(O)² for K classes. Random: O (1 − O) / S(O)².

    Args:
        sizes: Pixels of each class.
        expected: User's accuracy that is expected of each class.
        margin: Half the width of the interval wished for.
        sampling: One of `SAMPLINGS`.
    """
    total = sum(sizes.values())
    error = margin / Z_95
    weights = {value: size / total for value, size in sizes.items()}
    spreads = {value: math.sqrt(expected[value] * (1 - expected[value])) for value in sizes}
    if sampling == RANDOM:
        overall = sum(weights[value] * expected[value] for value in sizes)
        count = overall * (1 - overall) / error**2
    elif sampling == EQUALIZED:
        count = len(sizes) * sum((weights[value] * spreads[value]) ** 2 for value in sizes) / error**2
    else:
        count = (sum(weights[value] * spreads[value] for value in sizes) / error) ** 2
    return max(1, math.ceil(round(count, 6)))


def expected_margin(sizes: Sizes, expected: Mapping[int, float], points: Mapping[int, int]) -> float:
    """Half the width of the 95 % interval of the overall accuracy that these points per class will give; NaN without points."""
    total = sum(sizes.values())
    variance = 0.0
    for value, size in sizes.items():
        if not points.get(value):
            return math.nan
        variance += (size / total) ** 2 * expected[value] * (1 - expected[value]) / points[value]
    return Z_95 * math.sqrt(variance)


def allocate(count: int, sizes: Sizes, sampling: str, minimum: int) -> dict[int, int]:
    """Points of each class for a stratified or equalised sample.

    The sum is at least ``count``, unless the map has fewer pixels. No class gets more points than it has pixels.

    Args:
        count: Points wished for.
        sizes: Pixels of each class.
        sampling: ``stratified``: in proportion to the classes' areas; ``equalized``: the same for all.
        minimum: Points that every class gets at least, if it has so many pixels.
    """
    wanted = min(count, sum(sizes.values()))
    points = _share(wanted, sizes) if sampling == STRATIFIED else _level(wanted, sizes)
    return {value: max(points[value], min(minimum, size)) for value, size in sizes.items()}


def _share(count: int, sizes: Sizes) -> dict[int, int]:
    """In proportion to the sizes; what rounding down leaves goes to the largest remainders."""
    total = sum(sizes.values())
    points = {value: count * size // total for value, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda value: (-(count * sizes[value] % total), value))
    for value in by_remainder[: count - sum(points.values())]:
        points[value] += 1
    return points


def _level(count: int, sizes: Sizes) -> dict[int, int]:
    """The same for all, rounded up; what small classes cannot give is spread over the others."""
    points: dict[int, int] = {}
    left = count
    for place, (value, size) in enumerate(sorted(sizes.items(), key=lambda item: item[1])):
        points[value] = min(size, max(0, -(-left // (len(sizes) - place))))
        left -= points[value]
    # Going up in size, each class takes the ceiling of what is left over those that are left, so that all but the small agree to 1.
    most = max(points.values())
    return {value: min(size, most) for value, size in sizes.items()}
