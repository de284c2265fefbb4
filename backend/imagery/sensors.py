# SPDX-License-Identifier: GPL-2.0-or-later
"""Sensors and their bands, and which band of an image has which letter in the formulas of spectral indices.

The letters are those of the awesome-spectral-indices catalogue: B blue, G green, R red, N near infrared, S1 and S2 short-wave
infrared, RE1 to RE3 red edge, T thermal, VV and VH radar. Standard library only; also imported by QGIS, so it keeps to Python 3.9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ToolboxError

TABLE = Path(__file__).resolve().parent.parent.parent / "resources" / "tables" / "sensors.json"
AUTO, CUSTOM = "auto", "custom"
# Names that other programs give, by ours.
SYNONYMS = {
    "coastal aerosol": "coastal", "aerosol": "coastal", "near infrared": "nir", "near-infrared": "nir", "nir1": "nir",
    "narrow nir": "nir08", "nir narrow": "nir08", "red edge 1": "rededge1", "red edge 2": "rededge2", "red edge 3": "rededge3",
    "rededge071": "rededge1", "rededge075": "rededge2", "rededge078": "rededge3", "swir16": "swir1", "swir22": "swir2",
    "swir 1": "swir1", "swir 2": "swir2", "water vapour": "water_vapour", "water vapor": "water_vapour", "nir09": "water_vapour",
}  # fmt: skip
MAIN_LETTERS = {"B": "blue", "G": "green", "R": "red", "N": "nir", "S1": "swir1", "S2": "swir2"}
_CODE = re.compile(r"(?:sr_|st_)?b0?(\d{1,2}a?)(?:_\d0m)?", re.IGNORECASE)


@dataclass(frozen=True)
class SensorBand:
    """A band of a sensor: its code there (B4, B8A), our name (red, nir), its letters, and its centre in nanometres if known."""

    code: str
    name: str
    letters: tuple[str, ...]
    wavelength_nm: float | None


@dataclass(frozen=True)
class Sensor:
    """A sensor; ``stacks`` are the usual orders, by code, of images whose bands have no names."""

    id: str
    title: str
    bands: tuple[SensorBand, ...]
    stacks: tuple[tuple[str, ...], ...]

    def find(self, name: str) -> SensorBand | None:
        """The band with a name or code such as red, B4, B04 or SR_B4; None if the sensor has no such band."""
        wanted, code = common_name(name), band_code(name)
        return next((band for band in self.bands if band.name == wanted or (code and band.code == code)), None)


@dataclass(frozen=True)
class SensorTable:
    """All sensors by id, and (lowest, usual, highest) wavelength in nanometres by letter."""

    sensors: dict[str, Sensor]
    ranges_nm: dict[str, tuple[float, float, float]]

    @property
    def letters(self) -> list[str]:
        """Every letter that a band may have."""
        return list(dict.fromkeys(letter for sensor in self.sensors.values() for band in sensor.bands for letter in band.letters))


@dataclass(frozen=True)
class LetterMatch:
    """The bands of an image by letter.

    Attributes:
        bands: One-based band number by letter.
        wavelengths_nm: Centre in nanometres by letter, where known.
        sensor: Id of the sensor; empty when it is not known.
        remark: A sentence for the user when something was assumed; else empty.
    """

    bands: dict[str, int]
    wavelengths_nm: dict[str, float] = field(default_factory=dict)
    sensor: str = ""
    remark: str = ""


@lru_cache(maxsize=1)
def load_sensors() -> SensorTable:
    """The table of the sensors in the order of resources/tables/sensors.json."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    sensors = {name: _read_sensor(name, entry) for name, entry in table["sensors"].items()}
    return SensorTable(sensors, {letter: tuple(limits) for letter, limits in table["ranges_nm"].items()})


def _read_sensor(name: str, entry: dict[str, Any]) -> Sensor:
    bands = tuple(SensorBand(band["code"], band["name"], tuple(band["letters"]), band["wavelength_nm"]) for band in entry["bands"])
    return Sensor(name, entry["title"], bands, tuple(tuple(stack.split()) for stack in entry["stacks"]))


def common_name(text: str) -> str:
    """Our spelling of a band's name, in lower case."""
    name = text.strip().casefold()
    return SYNONYMS.get(name, name)


def band_code(text: str) -> str:
    """The code in a band's name: B4 for B04, b4, SR_B4 or B04_10m; empty when it is none."""
    found = _CODE.fullmatch(text.strip())
    return f"B{found[1].upper()}" if found else ""


def match_letters(
    names: Sequence[str],
    wavelengths_um: Sequence[float | None],
    tagged: str = "",
    sensor: str = AUTO,
    band_map: str = "",
) -> LetterMatch:
    """Finds the letters of an image's bands.

    In this order: the sensor asked for, the sensor that the image itself names, the bands' names, their codes, their wavelengths.
    Bands beside named ones whose own names tell nothing count by their wavelengths. `band_map` then adds to or overrides that.

    Args:
        names: Names of the bands, band 1 first.
        wavelengths_um: Their wavelengths in micrometres, None where unknown.
        tagged: Sensor that the image's metadata names; may be unknown or empty.
        sensor: ``auto``, ``custom`` (only the band map counts) or an id of the table.
        band_map: Text such as ``N=5 R=4``: letter or name of a band, and its number or name in the image.

    Raises:
        ToolboxError: The sensor is unknown or does not fit the image, or the band map is wrong.
    """
    table = load_sensors()
    own = parse_band_map(band_map, names)
    if sensor == CUSTOM:
        if not own:
            raise ToolboxError("SENSOR is custom, so BAND_MAP must say which band is which, for example: N=5 R=4 G=3.")
        return LetterMatch(own, _known_wavelengths(own, wavelengths_um, None))
    if sensor != AUTO and sensor not in table.sensors:
        raise ToolboxError(f"SENSOR “{sensor}” is not known; choose {AUTO}, {CUSTOM} or one of {', '.join(table.sensors)}.")
    found = _match_sensor(table.sensors[sensor], names) if sensor != AUTO else _match_auto(table, names, wavelengths_um, tagged)
    bands = {**found.bands, **own}
    known = table.sensors.get(found.sensor)
    return LetterMatch(bands, _known_wavelengths(bands, wavelengths_um, known), found.sensor, found.remark)


def _match_sensor(sensor: Sensor, names: Sequence[str]) -> LetterMatch:
    """By names or codes; for bands without names by the usual order."""
    found = _by_names(sensor, names)
    if found:
        return LetterMatch(found, sensor=sensor.id)
    stack = next((stack for stack in sensor.stacks if len(stack) == len(names)), None)
    if stack is None:
        usual = " or ".join(str(len(stack)) for stack in sensor.stacks)
        raise ToolboxError(
            f"The image has {len(names)} bands without names that {sensor.title} knows (usual are {usual}); say which is which in "
            "BAND_MAP with SENSOR=custom, for example: N=5 R=4."
        )
    remark = f"The bands have no names that {sensor.title} knows; they were taken in this order: {', '.join(stack)}. Check that."
    return LetterMatch(_by_names(sensor, stack), sensor=sensor.id, remark=remark)


def _match_auto(table: SensorTable, names: Sequence[str], wavelengths_um: Sequence[float | None], tagged: str) -> LetterMatch:
    sensor = tagged if tagged in table.sensors else ""
    found = _by_names(table.sensors[sensor], names) if sensor else {}
    if not found:
        sensor, found = "", _by_common_names(table, names)
    if found:
        unclear = [None if _tells_band(table, names[place]) else value for place, value in enumerate(wavelengths_um)]
        return LetterMatch({**_by_wavelengths(table, unclear), **found}, sensor=sensor)
    found = _by_codes(table, names)
    return LetterMatch(found or _by_wavelengths(table, wavelengths_um))


def _tells_band(table: SensorTable, name: str) -> bool:
    """Whether a name is that of a sensor's band, perhaps after a file's name, as stacks call the second red: lastyear_red."""
    last = name.rpartition("_")[2]
    return any(sensor.find(text) for sensor in table.sensors.values() for text in (name, last))


def name_meanings(names: Sequence[str], wavelengths_um: Sequence[float | None] = (), sensor: str = "") -> list[str]:
    """Our names (red, nir) of an image's bands, by which images that name them otherwise can be compared.

    Args:
        names: Names of the bands, such as B04, SR_B4 or red.
        wavelengths_um: Their wavelengths in micrometres, None where unknown; used for the main bands that their names do not tell.
        sensor: Id of their sensor; empty or unknown = a code counts only if all sensors that may write the names agree on it.

    Returns:
        One name for each band, empty where its meaning is not known.
    """
    table = load_sensors()
    known = [table.sensors[sensor]] if sensor in table.sensors else []
    common = {band.name for entry in table.sensors.values() for band in entry.bands}
    is_padded = any(re.match(r"b0\d", name.strip(), re.IGNORECASE) for name in names)  # as only Sentinel-2 writes them
    writers = known or [entry for entry in table.sensors.values() if not is_padded or entry.id.startswith("sentinel2")]
    meanings = []
    for name in names:
        found = {band.name for entry in writers if (band := entry.find(name))}
        own = common_name(name)
        meanings.append(own if own in common else found.pop() if len(found) == 1 else "")
    if not known and wavelengths_um:
        for letter, number in _by_wavelengths(table, wavelengths_um).items():
            if letter in MAIN_LETTERS and not meanings[number - 1] and MAIN_LETTERS[letter] not in meanings:
                meanings[number - 1] = MAIN_LETTERS[letter]
    return meanings


def _by_names(sensor: Sensor, names: Iterable[str]) -> dict[str, int]:
    """Letters of the bands that the sensor knows by name or code."""
    found: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        band = sensor.find(name)
        for letter in band.letters if band else ():
            found.setdefault(letter, number)
    return found


def _by_common_names(table: SensorTable, names: Iterable[str]) -> dict[str, int]:
    """Letters of names such as red or nir, whatever the sensor; the first letter of a name that has two."""
    letters = {band.name: band.letters[0] for sensor in table.sensors.values() for band in sensor.bands if band.letters}
    found: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        letter = letters.get(common_name(name))
        if letter:
            found.setdefault(letter, number)
    return found


def _by_codes(table: SensorTable, names: Sequence[str]) -> dict[str, int]:
    """Letters of codes such as B04 if all sensors that have all these codes agree on them."""
    codes = [band_code(name) for name in names]
    if not any(codes):
        return {}
    is_padded = any(re.match(r"b0\d", name.strip(), re.IGNORECASE) for name in names)  # as only Sentinel-2 writes them
    fitting = [
        sensor
        for sensor in table.sensors.values()
        if (not is_padded or sensor.id.startswith("sentinel2")) and all(not code or sensor.find(code) for code in codes)
    ]
    candidates = [_by_names(sensor, names) for sensor in fitting]
    return candidates[0] if candidates and all(other == candidates[0] for other in candidates) else {}


def _by_wavelengths(table: SensorTable, wavelengths_um: Sequence[float | None]) -> dict[str, int]:
    """For each letter the band within its range that is nearest to its usual wavelength."""
    found: dict[str, int] = {}
    for letter, (lowest, usual, highest) in table.ranges_nm.items():
        inside = [
            (abs(1000 * wavelength - usual), number)
            for number, wavelength in enumerate(wavelengths_um, start=1)
            if wavelength is not None and lowest <= 1000 * wavelength <= highest
        ]
        if inside:
            found[letter] = min(inside)[1]
    return found


def _known_wavelengths(bands: dict[str, int], wavelengths_um: Sequence[float | None], sensor: Sensor | None) -> dict[str, float]:
    """The image's own wavelengths, else those of the sensor."""
    typical = {letter: band.wavelength_nm for band in sensor.bands for letter in band.letters} if sensor else {}
    known = {letter: wavelengths_um[number - 1] for letter, number in bands.items()}
    own = {letter: round(1000 * value, 6) for letter, value in known.items() if value is not None}
    return {letter: value for letter, value in {**typical, **own}.items() if value is not None and letter in bands}


def parse_band_map(text: str, names: Sequence[str]) -> dict[str, int]:
    """One-based band numbers by letter, from a text such as ``N=5 R=4`` or ``nir=B8A``; empty for an empty text.

    Raises:
        ToolboxError: An entry has another form, an unknown letter, a letter given before, or a band that the image lacks.
    """
    table = load_sensors()
    letters = {band.name: band.letters[0] for sensor in table.sensors.values() for band in sensor.bands if band.letters}
    keys = [name.strip().casefold() for name in names]
    found: dict[str, int] = {}
    separator = r"[;,\n]+" if re.search(r"[;,\n]", text.strip()) else r"\s+"  # names may hold blanks
    for entry in map(str.strip, re.split(separator, text.strip())):
        if not entry:
            continue
        left, equals, right = (part.strip() for part in entry.partition("="))
        letter = left if left in table.letters else letters.get(common_name(left), "")
        if not equals or not letter:
            raise ToolboxError(
                f"BAND_MAP holds “{entry}”; write a letter and the number of its band, such as N=5. "
                f"Letters: {', '.join(table.letters)}."
            )
        number = int(right) if right.isdecimal() else keys.index(right.casefold()) + 1 if right.casefold() in keys else 0
        if not 1 <= number <= len(names):
            raise ToolboxError(f"BAND_MAP holds “{entry}”, but the image has the bands 1 to {len(names)}; give one of these.")
        if letter in found:
            raise ToolboxError(f"BAND_MAP gives {letter} twice; leave one out.")
        found[letter] = number
    return found
