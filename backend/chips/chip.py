# SPDX-License-Identifier: GPL-2.0-or-later
"""One chip on its way from the raster to the disk, and the objects in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes

from ..labels.vector import ClippedFeatures, VectorLabels
from .placement import Place

VALUE_BITS = 16  # a class value and a block number share one integer
VALUE_MASK = (1 << VALUE_BITS) - 1


@dataclass(frozen=True)
class ChipObject:
    """A labelled feature, or a connected region of a class raster, within a chip.

    Attributes:
        number: Block that it belongs to.
        value: Class value.
        box: (left, top, right, bottom) in pixels of the chip, from its upper left corner, clipped to the chip.
        area: In square map units within the chip.
    """

    number: int
    value: int
    box: tuple[float, float, float, float]
    area: float


@dataclass(frozen=True)
class Layer:
    """An image cut for a chip: stored values (bands, rows, columns) and validity (rows, columns)."""

    image: NDArray
    valid: NDArray[np.bool_]


@dataclass
class Chip:
    """A chip that is ready to be written.

    Attributes:
        place: Where it lies on the grid of its raster.
        image: The image.
        label: (rows, columns) uint16 class values, 0 = unlabelled, also where the image is invalid.
        blocks: (rows, columns) uint32 block numbers, 0 = none.
        objects: The objects in feature order; empty in formats that do not use them.
        image2: The second image.
        instances: (class value, instance number) of the instance layer, each (rows, columns).
    """

    place: Place
    image: Layer
    label: NDArray[np.uint16]
    blocks: NDArray[np.uint32]
    objects: list[ChipObject] = field(default_factory=list)
    image2: Layer | None = None
    instances: tuple[NDArray[np.uint16], NDArray[np.uint32]] | None = None


def clipped_objects(labels: VectorLabels, clipped: ClippedFeatures, valid: NDArray[np.bool_], cell_area: float) -> list[ChipObject]:
    """The objects of features that were cut to a chip; those without a valid pixel in their box are left out."""
    objects = []
    for place, geometry in zip(clipped.places.tolist(), clipped.geometries, strict=True):
        left, top, right, bottom = geometry.bounds
        # A point or an upright line still covers the cell it lies in.
        right, bottom = (max(end, np.floor(start) + 1 if end == start else end) for start, end in ((left, right), (top, bottom)))
        rows = slice(int(np.floor(top)), max(int(np.ceil(bottom)), int(np.floor(top)) + 1))
        columns = slice(int(np.floor(left)), max(int(np.ceil(right)), int(np.floor(left)) + 1))
        if valid[rows, columns].any():
            box = float(left), float(top), float(min(right, valid.shape[1])), float(min(bottom, valid.shape[0]))
            objects.append(ChipObject(int(labels.numbers[place]), int(labels.values[place]), box, geometry.area * cell_area))
    return objects


def number_regions(label: NDArray[np.uint16]) -> NDArray[np.uint32]:
    """Numbers from 1 the regions (rows, columns) of pixels of one class that hang together by their edges; 0 = unlabelled."""
    regions = np.zeros(label.shape, np.uint32)
    found = [geometry for geometry, _ in shapes(label, mask=label > 0, connectivity=4)]
    if found:
        rasterize([(geometry, number) for number, geometry in enumerate(found, 1)], out=regions, transform=Affine.identity())
    return regions


def region_objects(label: NDArray[np.uint16], regions: NDArray[np.uint32], cell_area: float) -> list[ChipObject]:
    """The objects of numbered regions; boxes along the edges of their pixels."""
    objects = []
    for number in range(1, int(regions.max(initial=0)) + 1):
        rows, columns = np.nonzero(regions == number)
        box = float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
        objects.append(ChipObject(number, int(label[rows[0], columns[0]]), box, rows.size * cell_area))
    return objects


def count_blocks(label: NDArray[np.uint16], blocks: NDArray[np.uint32]) -> list[tuple[int, int, int]]:
    """(block, class value, pixels) of each pair that occurs, ascending.

    Sorts the runs of equal pairs, of which labels have few, instead of all pixels.
    """
    known = label > 0
    keys = blocks[known].astype(np.int64) << VALUE_BITS | label[known]
    if keys.size == 0:
        return []
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    found, place = np.unique(keys[starts], return_inverse=True)
    counts = np.bincount(place, weights=np.diff(starts, append=keys.size)).astype(np.int64)
    return [(key >> VALUE_BITS, key & VALUE_MASK, count) for key, count in zip(found.tolist(), counts.tolist(), strict=True)]
