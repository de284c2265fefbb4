# SPDX-License-Identifier: GPL-2.0-or-later
"""Gives regions of few pixels to their largest neighbour, in a class raster of any height.

The raster is worked through in strips from top to bottom, in place. A strip is read with a margin above and below, and written with a
part of the lower one: a small region that reaches over the strip's edge lies there as a whole and gets one new value, and the next
strip finds it done. Only how large a large neighbour is may be cut short by the margin. A region that is to be removed can be as high
as it has pixels, so the margin, and with it the memory, grows with the size of regions that are removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.features import sieve
from rasterio.windows import Window

from ..errors import ToolboxError
from ..runtime.disk import checked_writing

STRIP_ROWS = 1024
CONNECTIVITY = 4
# Margins, in multiples of the rows that a region to be removed can have: one for what is written of the lower margin, one to see
# whether a region there is large; a third shows more of how large the large ones are.
LEAST_MARGIN, MARGIN = 2, 3
BYTES_PER_PIXEL = 25  # measured where every pixel is a region of its own; 5 where regions have 100 pixels


@dataclass(frozen=True)
class SievePlan:
    """How a raster is sieved.

    Attributes:
        smallest: Pixels of the smallest region that stays.
        strip: Rows that are written at a time.
        margin: Rows read above and below, at least `LEAST_MARGIN` times `smallest`.
    """

    smallest: int
    strip: int
    margin: int


def plan_sieve(width: int, height: int, smallest: int, memory_mb: int) -> SievePlan:
    """Strips that fit into the memory: wide margins where they do, those that are just enough where not.

    Args:
        width: Columns of the raster.
        height: Its rows.
        smallest: Pixels of the smallest region that stays.
        memory_mb: Ceiling in MiB for a strip with its margins.

    Raises:
        ToolboxError: Not even the narrowest strip fits; names the largest MIN_REGION that does, and the memory that is needed.
    """
    rows = memory_mb * 2**20 // (BYTES_PER_PIXEL * width)
    if rows >= height:
        return SievePlan(smallest, height, 0)
    margin = min(MARGIN * smallest, rows // 3)
    if margin < LEAST_MARGIN * smallest:
        needed_mb = -(-3 * LEAST_MARGIN * smallest * BYTES_PER_PIXEL * width // 2**20)
        raise ToolboxError(
            f"MIN_REGION {smallest:,} needs {needed_mb:,} MB on a raster of {width:,} columns, more than MEMORY, {memory_mb:,} MB; "
            f"choose at most {rows // 3 // LEAST_MARGIN:,} pixels, or allow more memory."
        )
    # Strips as high as both margins read each pixel twice; below STRIP_ROWS the many calls cost more.
    return SievePlan(smallest, min(max(STRIP_ROWS, 2 * margin), rows - 2 * margin), margin)


def sieve_raster(path: Path, plan: SievePlan) -> Iterator[float]:
    """Sieves a class raster in place; nodata neither grows nor shrinks.

    Memory: a strip and its margins, `BYTES_PER_PIXEL` at most.

    Args:
        path: The raster, one band of whole numbers with a nodata value.
        plan: Strips and margins.

    Yields:
        The share done.
    """
    with checked_writing(path), rasterio.open(path, "r+") as raster:
        for top in range(0, raster.height, plan.strip):
            first, last = max(top - plan.margin, 0), min(top + plan.strip + plan.margin, raster.height)
            window = Window(0, first, raster.width, last - first)
            values = raster.read(1, window=window)
            known = values != raster.nodata
            smallest = min(plan.smallest, known.size - 1)  # rasterio refuses more; alone, a region has no neighbour to go to anyway
            if smallest and known.any():
                sieved = np.where(known, sieve(values, smallest, mask=known, connectivity=CONNECTIVITY), values)
                end = min(top + plan.strip + plan.smallest, last)
                raster.write(sieved[top - first : end - first], 1, window=Window(0, top, raster.width, end - top))
            yield min(top + plan.strip, raster.height) / raster.height


def count_values(path: Path) -> dict[int, int]:
    """Pixels of each class value of a raster."""
    counts: dict[int, int] = {}
    with rasterio.open(path) as source:
        for top in range(0, source.height, STRIP_ROWS):
            window = Window(0, top, source.width, min(STRIP_ROWS, source.height - top))
            values, found = np.unique(source.read(1, window=window), return_counts=True)
            for value, count in zip(values.tolist(), found.tolist(), strict=True):
                if value != source.nodata:
                    counts[value] = counts.get(value, 0) + count
    return counts
