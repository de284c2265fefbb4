# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the labels lie that were trained on and those that were held out, as a small map of each chip folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dataset import ChipStore
from .losses import IGNORE

SIDE = 480  # cells of a map's longer side
MOST_MAPS = 4
MOST_CHIPS = 1000  # per folder; evenly taken, so that a large folder is not read once more as a whole
OUTSIDE, IMAGE, TRAINED, HELD_OUT = range(4)  # codes of the cells; the larger one wins where chips overlap


@dataclass(frozen=True)
class SplitMap:
    """One folder.

    Attributes:
        name: Of the folder.
        cells: (rows, columns) codes, north up.
        bounds: West, south, east, north in map units.
        drawn, chips: Chips drawn, and in the folder.
    """

    name: str
    cells: NDArray[np.uint8]
    bounds: tuple[float, float, float, float]
    drawn: int
    chips: int


def draw_split_maps(store: ChipStore) -> list[SplitMap]:
    """Maps of the first four folders whose chips know where they lie."""
    maps = []
    for folder in range(min(len(store.folders), MOST_MAPS)):
        numbers = [number for number, location in enumerate(store.locations) if location.folder == folder]
        boxes = np.array([store.locations[number].record.bounds for number in numbers], float)
        if len(numbers) > 1 and len(np.unique(boxes, axis=0)) == 1:
            continue  # pictures without a place: all would lie on one another
        bounds = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
        if not np.isfinite(bounds).all() or bounds[0] >= bounds[2] or bounds[1] >= bounds[3]:
            continue
        chosen = [numbers[place] for place in np.unique(np.linspace(0, len(numbers) - 1, min(MOST_CHIPS, len(numbers))).astype(int))]
        cells = _draw(store, chosen, bounds)
        maps.append(SplitMap(store.folders[folder].path.name, cells, tuple(map(float, bounds)), len(chosen), len(numbers)))
    return maps


def _draw(store: ChipStore, numbers: Sequence[int], bounds: Sequence[float]) -> NDArray[np.uint8]:
    """The cells of one folder's map."""
    west, south, east, north = bounds
    cell = max(east - west, north - south) / SIDE
    cells = np.zeros((max(1, round((north - south) / cell)), max(1, round((east - west) / cell))), np.uint8)
    for number in numbers:
        left, bottom, right, top = store.locations[number].record.bounds
        rows = slice(int((north - top) / cell), max(int((north - top) / cell) + 1, round((north - bottom) / cell)))
        columns = slice(int((left - west) / cell), max(int((left - west) / cell) + 1, round((right - west) / cell)))
        part = cells[rows, columns]
        codes = np.full(part.shape, IMAGE, np.uint8)
        for validation, code in ((False, TRAINED), (True, HELD_OUT)):
            (chip,) = store.get([number], validation)
            codes = np.maximum(codes, code * _shrink(chip.target.numpy() != IGNORE, part.shape))
        np.maximum(part, codes, out=part)
    return cells


def _shrink(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """1 in the cells (of a smaller or larger grid of that shape) in which any pixel is true, 0 elsewhere."""
    small = np.zeros(shape, np.uint8)
    if not small.size:
        return small
    rows, columns = np.nonzero(mask)
    small[rows * shape[0] // mask.shape[0], columns * shape[1] // mask.shape[1]] = 1
    if shape[0] > mask.shape[0] or shape[1] > mask.shape[1]:  # cells finer than pixels: each takes the pixel it lies in
        row, column = (np.arange(size) * side // size for size, side in zip(shape, mask.shape, strict=True))
        return mask[np.ix_(row, column)].astype(np.uint8)
    return small
