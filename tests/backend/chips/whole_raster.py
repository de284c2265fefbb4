# SPDX-License-Identifier: GPL-2.0-or-later
"""An export of Classified Tiles done the slow and plain way: everything for the whole raster in memory, then cut out.

Independent of the toolbox, to compare with: point in polygon instead of scan lines, no windows, no blocks, no threads.
"""

import math
from typing import NamedTuple

import numpy as np
import shapely


class Request(NamedTuple):
    """What is exported; lengths in pixels, polygons in pixels of the raster."""

    image: np.ndarray  # (bands, rows, columns) as stored
    valid: np.ndarray  # (rows, columns)
    polygons: list  # (shapely polygon, class value), later ones win
    size: tuple  # (columns, rows) of a chip
    stride: tuple
    angles: tuple = (0,)
    extent: tuple | None = None  # left, top, right, bottom
    mask: shapely.Geometry | None = None
    empty_tiles: bool = False
    min_overlap: float = 0.0
    min_labeled: float = 0.0
    classes: np.ndarray | None = None  # (rows, columns) of a class raster, instead of polygons


class PlainChip(NamedTuple):
    """A chip as it ought to be; ``image`` counts where ``valid``."""

    left: int
    top: int
    angle: float
    image: np.ndarray
    valid: np.ndarray
    label: np.ndarray
    feature: np.ndarray  # number of the polygon from 1, 0 = none


def export(request):
    """All chips in the order of their names."""
    feature = burn(request) if request.classes is None else request.classes.astype(int)
    left, top, right, bottom = request.extent or (0, 0, *feature.shape[::-1])
    usable = np.zeros_like(request.valid)
    usable[top:bottom, left:right] = request.valid[top:bottom, left:right]
    chips = []
    for y in starts(top, bottom, request.size[1], request.stride[1]):
        for x in starts(left, right, request.size[0], request.stride[0]):
            for angle in request.angles:
                chip = cut(request, usable, feature, x, y, angle)
                if chip is not None:
                    chips.append(chip)
    return chips


def starts(begin, end, size, stride):
    """From the beginning on until a chip reaches the end."""
    positions = [begin]
    while positions[-1] + size < end:
        positions.append(positions[-1] + stride)
    return positions


def burn(request):
    """Number of the last polygon that holds each pixel's centre."""
    rows, columns = request.valid.shape
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    feature = np.zeros((rows, columns), int)
    for number, (polygon, _) in enumerate(request.polygons, start=1):
        feature[shapely.contains_xy(polygon, x, y)] = number
    return feature


def cut(request, usable, feature, left, top, angle):
    """One chip, or None if it is not wanted."""
    width, height = request.size
    u, v = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    c, s = round(math.cos(math.radians(angle)), 15), round(math.sin(math.radians(angle)), 15)
    x, y = left + width / 2 + u * c - v * s, top + height / 2 + u * s + v * c
    outline = shapely.Polygon(
        [
            (left + width / 2 + a * c - b * s, top + height / 2 + a * s + b * c)
            for a, b in ((-width / 2, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (-width / 2, height / 2))
        ]
    )
    if request.mask is not None and not request.mask.buffer(1e-5).covers(outline):
        return None
    image, valid = interpolate(request.image, usable, x, y)
    numbers = np.where(valid, nearest(feature, x, y), 0)
    for number, (polygon, _) in enumerate(request.polygons, start=1):
        inside = polygon.intersection(outline).area / polygon.area
        if inside < request.min_overlap:
            numbers[numbers == number] = 0
    values = numbers if request.classes is not None else np.array([0, *(value for _, value in request.polygons)])[numbers]
    labelled = np.count_nonzero(values)
    if not (labelled or (request.empty_tiles and valid.any())) or labelled < request.min_labeled * values.size:
        return None
    return PlainChip(left, top, angle, image, valid, values, numbers)


def tidy(positions):
    """Without the rounding of sines where a pixel's edge or centre is meant."""
    return np.round(positions * 1e6) / 1e6


def nearest(array, x, y):
    """Values at positions, 0 beyond the array."""
    row, column = np.floor(tidy(y)).astype(int), np.floor(tidy(x)).astype(int)
    inside = (row >= 0) & (column >= 0) & (row < array.shape[-2]) & (column < array.shape[-1])
    found = array[..., np.where(inside, row, 0), np.where(inside, column, 0)]
    return np.where(inside, found, 0)


def interpolate(image, valid, x, y):
    """Bilinear over valid pixels; a position is valid if the pixel that it lies in is."""
    x, y = tidy(x), tidy(y)
    total, weights = np.zeros((len(image), *x.shape)), np.zeros(x.shape)
    for dy in (0, 1):
        for dx in (0, 1):
            column, row = np.floor(x - 0.5) + dx, np.floor(y - 0.5) + dy
            weight = (1 - abs(x - 0.5 - column)) * (1 - abs(y - 0.5 - row)) * nearest(valid, column + 0.5, row + 0.5)
            values = nearest(image, column + 0.5, row + 0.5)
            total += np.where(weight > 0, values, 0) * weight
            weights += weight
    is_valid = nearest(valid, x, y) > 0
    return total / np.where(is_valid, weights, 1), is_valid
