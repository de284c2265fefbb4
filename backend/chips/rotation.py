# SPDX-License-Identifier: GPL-2.0-or-later
"""Turned chips: image values bilinear over valid pixels, classes and validity nearest.

A pixel of the chip is valid if the pixel of the raster that its centre falls into is; its value is interpolated between the four
nearest pixel centres, of which invalid ones have no weight. Turns by multiples of 90° of square chips move pixels unchanged.
"""

from __future__ import annotations

import numpy as np
from affine import Affine
from numpy.typing import NDArray

EXACT = 1e-6  # pixels; a centre this near to another is meant to be there


def sample_positions(to_window: Affine, width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row, in pixels of a window, of the centre of each pixel of the chip, two arrays (rows, columns).

    Args:
        to_window: From (column, row) of the chip to that of the window.
        width: Columns of the chip.
        height: Rows of the chip.
    """
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    a, b, c, d, e, f, *_ = to_window
    columns, rows = a * x + b * y + c, d * x + e * y + f
    return _snap(columns), _snap(rows)


def _snap(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions without the rounding errors that would move an exact centre or edge."""
    halves = np.round(positions * 2) / 2
    return np.where(np.abs(positions - halves) < EXACT, halves, positions)


def turn_nearest(values: NDArray, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray:
    """Values (…, rows, columns) of a window at the positions; all must lie inside the window."""
    return values[..., np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)]


def turn_bilinear(
    image: NDArray, valid: NDArray[np.bool_], columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> tuple[NDArray, NDArray[np.bool_]]:
    """A window's image at the positions, in its own type, integers rounded; memory: five times the chip in float64.

    Args:
        image: (bands, rows, columns).
        valid: (rows, columns).
        columns: (rows, columns) of the chip, at least half a pixel inside the window.
        rows: The same.

    Returns:
        Image (bands, rows, columns), unspecified where invalid; valid (rows, columns).
    """
    left, top = np.floor(columns - 0.5).astype(np.intp), np.floor(rows - 0.5).astype(np.intp)
    right_share, lower_share = columns - 0.5 - left, rows - 0.5 - top
    total = np.zeros(columns.shape)
    sums = np.zeros((len(image), *columns.shape))
    for row, column, weight in (
        (top, left, (1 - lower_share) * (1 - right_share)),
        (top, left + 1, (1 - lower_share) * right_share),
        (top + 1, left, lower_share * (1 - right_share)),
        (top + 1, left + 1, lower_share * right_share),
    ):
        row, column = np.clip(row, 0, valid.shape[0] - 1), np.clip(column, 0, valid.shape[1] - 1)
        weight = weight * valid[row, column]
        total += weight
        # NaN of an invalid pixel would survive the weight 0.
        sums += np.where(weight > 0, image[:, row, column], 0) * weight
    turned_valid = turn_nearest(valid, columns, rows) & (total > 0)
    sums /= np.where(turned_valid, total, 1)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        sums = np.clip(np.rint(sums), limits.min, limits.max)
    return sums.astype(image.dtype), turned_valid
