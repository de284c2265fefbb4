# SPDX-License-Identifier: GPL-2.0-or-later
"""Gives regions of few pixels to their largest neighbour, in a class raster of any height.

The raster is worked through in strips from top to bottom, in place. A strip is read with a margin above and below, and written with a
part of the lower one: a small region that reaches over the strip's edge lies there as a whole and gets one new value, and the next
strip finds it done. Only how large a large neighbour is may be cut short by the margin.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.features import sieve
from rasterio.windows import Window

from ..runtime.disk import checked_writing

STRIP_ROWS = 1024
CONNECTIVITY = 4
MARGIN_FACTOR = 3  # of the rows that the smallest region that stays can have


def sieve_raster(path: Path, smallest: int) -> Iterator[float]:
    """Sieves a class raster in place; nodata neither grows nor shrinks.

    Memory: a strip and its margins, some 12 bytes a pixel.

    Args:
        path: The raster, one band of whole numbers with a nodata value.
        smallest: Pixels of the smallest region that stays.

    Yields:
        The share done.
    """
    margin = MARGIN_FACTOR * smallest
    with checked_writing(path), rasterio.open(path, "r+") as raster:
        for top in range(0, raster.height, STRIP_ROWS):
            first, last = max(top - margin, 0), min(top + STRIP_ROWS + margin, raster.height)
            window = Window(0, first, raster.width, last - first)
            values = raster.read(1, window=window)
            known = values != raster.nodata
            if known.any():
                sieved = np.where(known, sieve(values, smallest, mask=known, connectivity=CONNECTIVITY), values)
                end = min(top + STRIP_ROWS + smallest, last)
                raster.write(sieved[top - first : end - first], 1, window=Window(0, top, raster.width, end - top))
            yield min(top + STRIP_ROWS, raster.height) / raster.height


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
