# SPDX-License-Identifier: GPL-2.0-or-later
"""Which chip speaks for a place on the ground that several chips show.

Chips overlap, so the same held-out pixel lies in many of them: with a stride of half a chip in four. Counted in each, eleven pixels
of water would look like forty-four, and a place in the middle of the scene would weigh more than one at its edge. Each place is
therefore measured in one chip, that in which it lies farthest from the edge; there the network sees most around it, as in a
classification, whose overlapping tiles are blended so that the deeper one counts more.

Enters: where the chips lie. Leaves: for each a mask of the pixels it speaks for. Chips of different images do not share places, since
each image is a measurement of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from shapely import STRtree, box

DIGITS = 6  # of a position in another chip, in pixels; far finer than what chips of one grid differ by
SAME_DEPTH = 0.05  # pixels: both show the place equally well, and the first one has it; coordinates in world files are rounded
KEPT_MASKS = 512  # as bits; chips of a regular grid differ only in which of their eight neighbours they have

Position = tuple[float, float, float, float, float, float]


class Frame(NamedTuple):
    """Where a chip lies.

    Attributes:
        image: What it was cut from; chips of one image share places.
        transform: Pixel-to-map matrix.
        shape: Rows and columns.
    """

    image: Hashable
    transform: Affine
    shape: tuple[int, int]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest and largest x and y of the corners: (x, y, x, y)."""
        rows, columns = self.shape
        corners = [self.transform * corner for corner in ((0, 0), (columns, 0), (0, rows), (columns, rows))]
        x, y = zip(*corners, strict=True)
        return min(x), min(y), max(x), max(y)


class Ground:
    """The places that a set of chips show.

    Args:
        frames: Number of each chip → where it lies. Pictures without a place, which all lie on one another, share nothing.
    """

    def __init__(self, frames: Mapping[int, Frame]) -> None:
        self._frames = frames
        by_image: dict[Hashable, list[int]] = {}
        for number, frame in frames.items():
            by_image.setdefault(frame.image, []).append(number)
        self._trees: dict[Hashable, tuple[STRtree, list[int]]] = {}
        for image, numbers in by_image.items():
            if len({frames[number].bounds for number in numbers}) > 1:
                self._trees[image] = STRtree([box(*frames[number].bounds) for number in numbers]), numbers

    def find_own(self, number: int) -> NDArray[np.bool_]:
        """Pixels (H, W) that this chip, and no other one, speaks for."""
        frame = self._frames[number]
        neighbours: list[tuple[Position, tuple[int, int], bool]] = []
        if frame.image in self._trees:
            tree, numbers = self._trees[frame.image]
            for other in sorted(numbers[place] for place in tree.query(box(*frame.bounds)).tolist()):
                if other != number:
                    position = ~self._frames[other].transform * frame.transform
                    neighbours.append((_round(position), self._frames[other].shape, other < number))
        bits = _find_deepest(frame.shape, tuple(neighbours))
        return np.unpackbits(bits, count=frame.shape[0] * frame.shape[1]).view(bool).reshape(frame.shape)


def _round(matrix: Affine) -> Position:
    """The six numbers of a matrix without the last digits, in which equal neighbourhoods differ."""
    a, b, c, d, e, f = (round(value, DIGITS) for value in matrix[:6])
    return a, b, c, d, e, f


@lru_cache(KEPT_MASKS)
def _find_deepest(shape: tuple[int, int], neighbours: tuple[tuple[Position, tuple[int, int], bool], ...]) -> NDArray[np.uint8]:
    """Pixels (H, W) of a chip of that shape that lie at least as deep in no neighbour, as bits, row by row.

    Args:
        shape: Rows and columns.
        neighbours: Matrix from the chip's pixels to the neighbour's, its shape, and whether it is the one that wins a tie.
    """
    rows, columns = shape
    x, y = np.arange(columns)[None, :] + 0.5, np.arange(rows)[:, None] + 0.5
    depth = _measure_depth(x, y, shape)
    own = np.ones(shape, bool)
    for matrix, other_shape, wins_ties in neighbours:
        lead = depth - _measure_depth(*(Affine(*matrix) * (x, y)), other_shape)
        own &= lead > (SAME_DEPTH if wins_ties else -SAME_DEPTH)
    return np.packbits(own)


def _measure_depth(x: NDArray[np.float64], y: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Distance in pixels to the nearest edge of a chip, negative outside of it; (H, W) like x and y together."""
    rows, columns = shape
    return np.minimum(np.minimum(x, columns - x), np.minimum(y, rows - y))
