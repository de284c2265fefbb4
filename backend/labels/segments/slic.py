# SPDX-License-Identifier: GPL-2.0-or-later
"""Superpixels by simple linear iterative clustering (SLIC; Achanta et al. 2012, doi:10.1109/TPAMI.2012.120).

Each cell of a regular grid starts a segment at its centre. In turn, pixels join the segment that is nearest in likeness and place
among those of their own and the eight neighbouring cells, and segments move to the mean of their pixels. Unlike the original, the
candidates of a pixel are fixed by its cell, which keeps the work and the reach of a segment bounded; nodata takes no part.
"""

from __future__ import annotations

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import sieve

ITERATIONS = 6
NEIGHBOURS = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
SMALLEST_SHARE = 0.15  # of a cell's area: smaller pieces join a neighbour


def cluster(
    components: NDArray[np.float32],
    valid: NDArray[np.bool_],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    compactness: float,
) -> NDArray[np.int32]:
    """Segments of a tile.

    Args:
        components: (components, rows, columns) of the pixels, see `likeness`; anything where invalid.
        valid: (rows, columns).
        rows: (rows,) cell row of each pixel row, ascending from any number.
        columns: (columns,) cell column of each pixel column.
        compactness: Likeness that a distance of one cell is worth.

    Returns:
        (rows, columns) number of the cell whose segment a pixel belongs to, counted from 1 row by row within the tile; 0 = nodata.
    """
    rows, columns = rows - rows[0], columns - columns[0]
    counts = int(rows[-1]) + 1, int(columns[-1]) + 1
    features = _add_places(components, rows, columns, counts, compactness)
    features[:, ~valid] = 0
    labels = (rows[:, None] * counts[1] + columns[None, :]).astype(np.int32)
    centres = _update(features, valid, labels, _start(features, rows, columns, counts))
    for _ in range(ITERATIONS):
        labels = _assign(features, rows, columns, centres)
        centres = _update(features, valid, labels, centres)
    return _join_pieces(np.where(valid, labels + 1, 0), valid, components.shape[1] * components.shape[2] / (counts[0] * counts[1]))


def _add_places(
    components: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    counts: tuple[int, int],
    compactness: float,
) -> NDArray[np.float32]:
    """The components with row and column, in cells times the compactness, as two more: (components + 2, rows, columns)."""
    features = np.empty((len(components) + 2, *components.shape[1:]), np.float32)
    features[:-2] = components
    features[-2] = (np.arange(rows.size, dtype=np.float32) * (compactness * counts[0] / rows.size))[:, None]
    features[-1] = np.arange(columns.size, dtype=np.float32) * (compactness * counts[1] / columns.size)
    return features


def _start(
    features: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp], counts: tuple[int, int]
) -> NDArray[np.float32]:
    """Features (features, cell rows, cell columns) of the cells' middle pixels, for cells without data."""
    middle_rows = (np.searchsorted(rows, np.arange(counts[0])) + np.searchsorted(rows, np.arange(counts[0]), "right")) // 2
    middle_columns = (np.searchsorted(columns, np.arange(counts[1])) + np.searchsorted(columns, np.arange(counts[1]), "right")) // 2
    return features[:, middle_rows[:, None], middle_columns[None, :]]


def _assign(
    features: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp], centres: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Number, from 0, of the nearest segment of each pixel (rows, columns)."""
    height, width = centres.shape[1:]
    shape = features.shape[1:]
    nearest = np.full(shape, np.inf, np.float32)
    labels = np.zeros(shape, np.int32)
    for down, across in NEIGHBOURS:
        at_row, at_column = np.clip(rows + down, 0, height - 1), np.clip(columns + across, 0, width - 1)
        distance = np.zeros(shape, np.float32)
        for channel, centre in zip(features, centres, strict=True):
            difference = channel - centre[at_row[:, None], at_column[None, :]]
            difference *= difference
            distance += difference
        closer = distance < nearest
        np.copyto(nearest, distance, where=closer)
        np.copyto(labels, (at_row[:, None] * width + at_column[None, :]).astype(np.int32), where=closer)
    return labels


def _update(
    features: NDArray[np.float32], valid: NDArray[np.bool_], labels: NDArray[np.int32], centres: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The mean of each segment's valid pixels; segments without any stay where they are."""
    flat, weights = labels.reshape(-1), valid.reshape(-1)
    cells = centres[0].size
    pixels = np.bincount(flat, weights, cells)
    moved = centres.reshape(len(centres), -1).copy()
    present = pixels > 0
    for channel, centre in zip(features, moved, strict=True):
        centre[present] = np.bincount(flat, channel.reshape(-1), cells)[present] / pixels[present]
    return moved.reshape(centres.shape)


def _join_pieces(labels: NDArray[np.int32], valid: NDArray[np.bool_], cell_pixels: float) -> NDArray[np.int32]:
    """Labels whose small scattered pieces have become part of their largest neighbour; nodata (0) neither gives nor takes."""
    smallest = int(cell_pixels * SMALLEST_SHARE)
    if smallest <= 1:
        return labels
    with rasterio.Env():
        joined = sieve(labels, smallest, mask=valid, connectivity=4)
    return np.where(valid & (joined > 0), joined, labels)
