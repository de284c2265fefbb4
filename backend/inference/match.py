# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds a model's bands in a raster, by name first, then by order, and compares the ground sample distances."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import ToolboxError
from ..imagery.raster import RasterInfo

GENERIC_NAME = re.compile(r"band[ _]?\d+", re.IGNORECASE)
GSD_TOLERANCE = 0.25


def match_bands(info: RasterInfo, available: Sequence[int], wanted: Sequence[str], model: str) -> tuple[list[int], str]:
    """One-based bands of the raster in the model's order, and a sentence when they were matched by order only.

    Args:
        info: The raster.
        available: Its bands without an alpha band.
        wanted: Names of the model's bands.
        model: Name of the model, for messages.

    Raises:
        ToolboxError: A band is missing (named), or names are missing and the numbers of bands differ.
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


def compare_gsd(info: RasterInfo, gsd_m: float | None) -> str:
    """A warning when the raster's ground sample distance is not the model's; empty when it is, or unknown."""
    if gsd_m is None or info.gsd_m is None or abs(info.gsd_m / gsd_m - 1) <= GSD_TOLERANCE:
        return ""
    return (
        f"The raster's cells measure {info.gsd_m:.3g} m, the model was trained at {gsd_m:.3g} m: objects have another size in pixels, "
        "and the result will be worse. Resample the raster to the model's cell size first."
    )
