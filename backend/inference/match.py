# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds a model's bands in a raster, by name, by what names mean (red is B04), then by order; compares ground sample distances."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..errors import ToolboxError
from ..imagery.raster import RasterInfo
from ..imagery.sensors import name_meanings

GENERIC_NAME = re.compile(r"band[ _]?\d+", re.IGNORECASE)
GSD_TOLERANCE = 0.25


def match_bands(info: RasterInfo, available: Sequence[int], wanted: Sequence[str], model: str) -> tuple[list[int], str]:
    """One-based bands of the raster in the model's order, and a sentence when they were not matched by their names.

    Args:
        info: The raster.
        available: Its bands without an alpha band.
        wanted: Names of the model's bands.
        model: Name of the model, for messages.

    Raises:
        ToolboxError: A band is missing (named), two mean the same, or names are missing and the numbers of bands differ.
    """
    keys = [info.band_names[band - 1].strip().casefold() for band in available]
    names = [name.strip().casefold() for name in wanted]
    are_named = not all(GENERIC_NAME.fullmatch(key) for key in keys)
    are_clear = len(set(names)) == len(names) and all(keys.count(name) == 1 for name in names)
    if are_clear:
        remark = ""
        if not are_named and len(available) > len(wanted):
            # A model trained on some bands of an unnamed raster must find them there again; in another raster it may be wrong.
            used = f"{', '.join(wanted)} of its {len(available)} bands are used"
            remark = f"The raster's bands have no names; {used}. Check that they fit."
        return [available[keys.index(name)] for name in names], remark
    matched = _match_meanings(info, available, wanted) if len(set(names)) == len(names) else []
    if matched:
        pairs = ", ".join(f"{name} = {info.band_names[band - 1]}" for name, band in zip(wanted, matched, strict=True))
        return matched, f"The bands were matched by what their names mean: {pairs}."
    if are_named and not all(GENERIC_NAME.fullmatch(name) for name in names):
        missing = [name for name, key in zip(wanted, names, strict=True) if key not in keys]
        if missing:
            have = ", ".join(info.band_names[band - 1] for band in available)
            raise ToolboxError(
                f"The raster lacks the band{'s' if len(missing) > 1 else ''} {', '.join(missing)} that the model {model} was trained "
                f"on (it has {have}); choose a raster with these bands, or rename its bands."
            )
    if len(available) != len(wanted):
        raise ToolboxError(
            f"The model {model} was trained on {len(wanted)} bands ({', '.join(wanted)}), but the raster has {len(available)} and not "
            "these names; stack the same bands in the same order."
        )
    return list(available), f"The bands were matched by their order, since their names do not tell them: {', '.join(wanted)}."


def map_bands(info: RasterInfo, wanted: Sequence[str], given: Mapping[str, int], model: str) -> list[int]:
    """One-based bands of the raster in the model's order, as the user has assigned them; all of the model's bands must be given.

    Args:
        info: The raster.
        wanted: Names of the model's bands.
        given: Name of a model's band, in any case, → band of the raster.
        model: Name of the model, for messages.

    Raises:
        ToolboxError: A name that the model does not have, a band that is missing, or one that the raster does not have.
    """
    assigned = {name.strip().casefold(): band for name, band in given.items()}
    names = [name.strip().casefold() for name in wanted]
    listed = ", ".join(wanted)
    if unknown := [name for name in given if name.strip().casefold() not in names]:
        raise ToolboxError(f"BAND_MAP names {', '.join(unknown)}, but the bands of the model {model} are {listed}; use these names.")
    if missing := [name for name, key in zip(wanted, names, strict=True) if key not in assigned]:
        raise ToolboxError(f"BAND_MAP lacks {', '.join(missing)}; give a band of the raster for each of the model's: {listed}.")
    if absent := [str(band) for band in assigned.values() if not 1 <= band <= info.count]:
        raise ToolboxError(f"BAND_MAP names band {', '.join(absent)}, but the raster has bands 1 to {info.count}.")
    return [assigned[key] for key in names]


def _match_meanings(info: RasterInfo, available: Sequence[int], wanted: Sequence[str]) -> list[int]:
    """One-based bands by name or, where no band has the name, by its meaning; empty unless each name has a band of its own."""
    keys = {band: info.band_names[band - 1].strip().casefold() for band in available}
    all_meanings = name_meanings(info.band_names, info.wavelengths, info.sensor)
    found: list[int] = []
    for name, meaning in zip(wanted, name_meanings(wanted), strict=True):
        same = [band for band in available if keys[band] == name.strip().casefold()]
        if len(same) > 1:  # the same name twice tells nothing
            return []
        same = same or [band for band in available if meaning and all_meanings[band - 1] == meaning]
        if len(same) > 1:
            both = " and ".join(info.band_names[band - 1] for band in same[:2])
            raise ToolboxError(f"The raster has two bands that mean {name}, {both}; rename or remove the one that is not meant.")
        found += same
    return found if len(found) == len(wanted) == len(set(found)) else []


def compare_gsd(info: RasterInfo, gsd_m: float | None) -> str:
    """A warning when the raster's ground sample distance is not the model's; empty when it is, or unknown."""
    if gsd_m is None or info.gsd_m is None or abs(info.gsd_m / gsd_m - 1) <= GSD_TOLERANCE:
        return ""
    return (
        f"The raster's cells measure {info.gsd_m:.3g} m, the model was trained at {gsd_m:.3g} m: objects have another size in pixels, "
        f"and the result will be worse. CELL_SIZE={_suggest_cell_size(info, gsd_m):.3g} resamples it to the model's on the fly."
    )


def _suggest_cell_size(info: RasterInfo, gsd_m: float) -> float:
    """Cell size in units of the raster's CRS at which its ground sample distance is the model's."""
    return sum(info.cell_size) / 2 * gsd_m / (info.gsd_m or gsd_m)
