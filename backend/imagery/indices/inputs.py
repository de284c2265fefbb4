# SPDX-License-Identifier: GPL-2.0-or-later
"""Which bands and numbers of an image the names in an index's formula stand for, and which of them it lacks.

Names are, in this order: letters of bands (N, S1), kernels of two bands (kNR), wavelengths (lambdaN, in nanometres), constants
(L, g), and, in own formulas, b1, b2, … for the image's bands by number, then its band names. Standard library only; also imported by
QGIS, so it keeps to Python 3.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import ToolboxError
from ..sensors import LetterMatch, load_sensors
from .catalogue import OWN_DOMAIN, Constant, IndexDefinition, load_catalogue
from .formula import Formula


@dataclass(frozen=True)
class IndexInputs:
    """An index that is ready to be computed.

    Attributes:
        definition: The index.
        formula: Its checked formula.
        bands: One-based band number by name in the formula.
        numbers: Constants by name.
        kernels: By name the pair whose radial basis function kernel it is: an int is a one-based band number, a float a constant.
        missing: The names for which the image has nothing; the index can be computed if this is empty.
    """

    definition: IndexDefinition
    formula: Formula
    bands: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    kernels: dict[str, tuple[float, float]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def used_bands(self) -> set[int]:
        """One-based numbers of all bands the index needs."""
        return {*self.bands.values(), *(part for pair in self.kernels.values() for part in pair if isinstance(part, int))}


class InputFinder:
    """Finds the inputs of indices in one image.

    Args:
        match: The image's bands by letter.
        names: Its band names, band 1 first.
        parameters: Constants that the user set.
    """

    def __init__(self, match: LetterMatch, names: Sequence[str], parameters: Mapping[str, float]) -> None:
        self._match = match
        self._names = names
        self._parameters = parameters
        self._constants: dict[str, Constant] = load_catalogue().constants

    def find(self, definition: IndexDefinition) -> IndexInputs:
        """The inputs of an index; what the image lacks is listed as missing."""
        found = IndexInputs(definition, definition.parse())
        missing = [name for name in found.formula.names if not self._find_name(name, found)]
        return IndexInputs(definition, found.formula, found.bands, found.numbers, found.kernels, tuple(missing))

    def _find_name(self, name: str, found: IndexInputs) -> bool:
        if name in self._match.bands:
            found.bands[name] = self._match.bands[name]
        elif self._kernel(name):
            found.kernels[name] = self._kernel(name)
        elif self._number(name) is not None:
            if found.definition.domain == OWN_DOMAIN and name in self._names:
                number = list(self._names).index(name) + 1
                raise ToolboxError(
                    f"The formula {found.definition.name} holds {name}, which is the constant {self._number(name):g} and the image's "
                    f"band {number}; write b{number} for the band, or rename the band."
                )
            found.numbers[name] = self._number(name)
        elif self._band_of_own_formula(name):
            found.bands[name] = self._band_of_own_formula(name)
        else:
            return False
        return True

    def _kernel(self, name: str) -> tuple[float, ...]:
        """The two parts of a kernel's name such as kNR; empty when it is none or a part is missing."""
        if not re.fullmatch(r"k[A-Z]{2}", name):
            return ()
        parts = [self._match.bands.get(letter, self._number(letter)) for letter in name[1:]]
        return () if None in parts else tuple(parts)

    def _number(self, name: str) -> float | None:
        if name in self._parameters:
            return self._parameters[name]
        if name.startswith("lambda"):
            return self._match.wavelengths_nm.get(name[len("lambda") :])
        constant = self._constants.get(name)
        return float(constant.default) if constant and constant.default is not None else None

    def _band_of_own_formula(self, name: str) -> int:
        """The band with this number, as b1, or else with this name; 0 if there is none."""
        number = re.fullmatch(r"b(\d{1,3})", name)
        if number:
            return int(number[1]) if 1 <= int(number[1]) <= len(self._names) else 0
        return list(self._names).index(name) + 1 if name in self._names else 0


def find_inputs(definitions: Sequence[IndexDefinition], finder: InputFinder, match: LetterMatch) -> list[IndexInputs]:
    """The inputs of all indices.

    Raises:
        ToolboxError: The image lacks some, all of which are named.
    """
    found = [finder.find(definition) for definition in definitions]
    lacking = [entry for entry in found if entry.missing]
    if lacking:
        each = "; ".join(f"{entry.definition.name} needs {', '.join(map(describe_name, entry.missing))}" for entry in lacking)
        letters = ", ".join(f"{letter}={number}" for letter, number in match.bands.items()) or "no band that is known"
        raise ToolboxError(
            f"The image does not have what these indices need: {each}. It has {letters}; set SENSOR, or BAND_MAP with SENSOR=custom, "
            "give constants in PARAMETERS, or leave these indices out."
        )
    return found


def describe_name(name: str) -> str:
    """A name of a formula with what it means, e.g. ``S1 (swir1)``."""
    for sensor in load_sensors().sensors.values():
        for band in sensor.bands:
            if name in band.letters:
                return f"{name} ({band.name})"
    constant = load_catalogue().constants.get(name)
    return f"{name} ({constant.title})" if constant else name
