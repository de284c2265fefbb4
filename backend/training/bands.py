# SPDX-License-Identifier: GPL-2.0-or-later
"""Brings several chip folders under one list of bands and one list of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..labels.schema import ClassDefinition, ClassSchema


def join_bands(
    names: Sequence[str], band_lists: Sequence[Sequence[BandStatistics]], trained: int | None = None
) -> tuple[tuple[BandStatistics, ...], list[list[int]]]:
    """The common bands, in the order of the first folder, and for each folder the position of each of them.

    Statistics are merged: mean and standard deviation exactly (Chan et al. 1979), the percentiles as the widest range.

    Args:
        names: Name of each folder, for messages.
        band_lists: Bands of each folder.
        trained: How many of the folders, the first ones, give statistics; None = all. Those to validate on must not.

    Raises:
        ToolboxError: A folder lacks a band of the first one, or has one more.
    """
    first = band_lists[0]
    wanted = [band.name for band in first]
    positions = []
    for name, bands in zip(names, band_lists, strict=True):
        have = [band.name for band in bands]
        if sorted(have) != sorted(wanted):
            raise ToolboxError(
                f"The chip folders have different bands: {names[0]} has {', '.join(wanted)}; {name} has {', '.join(have)}. "
                "Export all of them with the same BANDS."
            )
        # Bands that share a name, such as several unnamed ones, can only be told apart by their order.
        positions.append(list(range(len(have))) if len(set(have)) < len(have) else [have.index(band) for band in wanted])
    joined = list(first)
    for bands, places in zip(band_lists[1:trained], positions[1:trained], strict=True):
        joined = [merge_statistics(left, bands[place]) for left, place in zip(joined, places, strict=True)]
    return tuple(joined), positions


def merge_statistics(left: BandStatistics, right: BandStatistics) -> BandStatistics:
    """Statistics of the pixels of both; name, wavelength, scale and offset are those of `left`."""
    count = left.count + right.count
    if not count:
        return left
    share = right.count / count
    gap = right.mean - left.mean
    variance = (1 - share) * left.std**2 + share * right.std**2 + share * (1 - share) * gap**2
    return replace(
        left,
        minimum=min(left.minimum, right.minimum),
        maximum=max(left.maximum, right.maximum),
        low=min(left.low, right.low),
        high=max(left.high, right.high),
        mean=left.mean + share * gap,
        std=math.sqrt(variance),
        count=count,
    )


def join_classes(names: Sequence[str], schemas: Sequence[ClassSchema]) -> ClassSchema:
    """The classes of all folders, ascending.

    Raises:
        ToolboxError: Two folders give one value different names.
    """
    joined: dict[int, ClassDefinition] = {}
    owner: dict[int, str] = {}
    for name, schema in zip(names, schemas, strict=True):
        for entry in schema.classes:
            known = joined.setdefault(entry.value, entry)
            if known.name != entry.name:
                raise ToolboxError(
                    f"Class {entry.value} is '{known.name}' in {owner[entry.value]} and '{entry.name}' in {name}; "
                    "export the folders with the same classes."
                )
            owner.setdefault(entry.value, name)
    return ClassSchema(tuple(joined[value] for value in sorted(joined)))


def leave_out(schema: ClassSchema, values: Sequence[int]) -> ClassSchema:
    """The classes without some of them.

    Raises:
        ToolboxError: A value is none of the classes, or none is left.
    """
    known = {entry.value: entry.name for entry in schema.classes}
    if unknown := [str(value) for value in values if value not in known]:
        listed = ", ".join(f"{value} ({name})" for value, name in known.items())
        raise ToolboxError(f"IGNORE_CLASSES names {', '.join(unknown)}, but the chips have the classes {listed}; choose among these.")
    left = tuple(entry for entry in schema.classes if entry.value not in values)
    if not left:
        raise ToolboxError("IGNORE_CLASSES names every class, so that nothing is left to learn; leave one out of the list.")
    return ClassSchema(left)
