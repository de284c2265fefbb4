# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled pixels to train a pixel model on: a bounded number of each class, from places all over the raster.

Places are squares around labelled features. Each class gets some of them, drawn among its features, so that a class with few and one
with very many labels cost the same, whatever the size of the raster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..imagery.raster import RasterReader
from ..imagery.statistics import StatisticsAccumulator
from ..labels.vector import VectorLabels
from .features import MARGIN, describe_pixels

SIDE = 128  # pixels of a place
PLACES_PER_CLASS = 40
PIXELS_PER_CLASS = 4000


@dataclass(frozen=True)
class Samples:
    """Labelled pixels.

    Attributes:
        features: (pixels, features) see `describe_pixels`.
        classes: (pixels,) place of the class in `values`.
        owners: (pixels,) number of the labelled feature.
        values: Class values that have pixels, ascending.
        statistics: Of the bands around the labels.
    """

    features: Tensor
    classes: Tensor
    owners: Tensor
    values: list[int]
    statistics: list[BandStatistics]


def gather_samples(reader: RasterReader, labels: VectorLabels, seed: int) -> Samples:
    """Reads the places and draws the pixels.

    Raises:
        ToolboxError: Fewer than two classes have a labelled pixel with data.
    """
    random = np.random.default_rng(seed)
    places = [_Place.read(reader, labels, window) for window in _choose_places(reader, labels, random)]
    places = [place for place in places if place.valid.any()]
    values = sorted({int(value) for place in places for value in np.unique(place.labels[place.labels > 0])})
    if len(values) < 2:
        found = f"only of class {values[0]}" if values else "of no class"
        raise ToolboxError(
            f"There are labelled pixels with data {found}; draw labels of two classes at least, where the image has data."
        )
    accumulator = StatisticsAccumulator(len(reader.bands))
    for place in places:
        accumulator.add(place.image, place.valid)
    statistics = accumulator.finish(reader.info, reader.bands)
    parts = [place.collect(statistics) for place in places]
    features, classes, owners = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    kept = np.concatenate([_thin(np.flatnonzero(classes == value), random) for value in values])
    return Samples(
        torch.from_numpy(features[kept]),
        torch.from_numpy(np.searchsorted(values, classes[kept])),
        torch.from_numpy(owners[kept].astype(np.int64)),
        values,
        statistics,
    )


@dataclass(frozen=True)
class _Place:
    """A square of the raster: image (bands, rows, columns), valid, class value and feature number (rows, columns; 0 = none)."""

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    labels: NDArray[np.uint16]
    owners: NDArray[np.uint32]

    @classmethod
    def read(cls, reader: RasterReader, labels: VectorLabels, window: Window) -> _Place:
        image, valid = reader.read(window)
        values, owners = labels.burn(window)
        used = np.zeros_like(valid)
        used[MARGIN:-MARGIN, MARGIN:-MARGIN] = valid[MARGIN:-MARGIN, MARGIN:-MARGIN]  # the others lack surroundings
        return cls(image, valid, np.where(used, values, 0).astype(np.uint16), owners)

    def collect(self, statistics: list[BandStatistics]) -> tuple[NDArray[np.float32], NDArray[np.uint16], NDArray[np.uint32]]:
        """Features (pixels, features), class value and feature number of the labelled pixels."""
        found = self.labels > 0
        described = describe_pixels(torch.from_numpy(self.image), torch.from_numpy(self.valid), statistics).numpy()
        return described[:, found].T, self.labels[found], self.owners[found]


def _choose_places(reader: RasterReader, labels: VectorLabels, random: np.random.Generator) -> Iterator[Window]:
    """Squares of a grid, each once, that hold a point of some features of each class."""
    chosen: set[tuple[int, int]] = set()
    for value in np.unique(labels.values):
        features = np.flatnonzero(labels.values == value)
        for place in random.permutation(features)[:PLACES_PER_CLASS]:
            geometry = labels.geometries[place]
            if geometry is None:
                continue
            point = geometry.representative_point()
            if 0 <= point.x < reader.info.width and 0 <= point.y < reader.info.height:
                chosen.add((int(point.y) // SIDE, int(point.x) // SIDE))
    for row, column in sorted(chosen):
        yield Window(column * SIDE - MARGIN, row * SIDE - MARGIN, SIDE + 2 * MARGIN, SIDE + 2 * MARGIN)


def _thin(places: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
    """At most `PIXELS_PER_CLASS` of them."""
    return places if places.size <= PIXELS_PER_CLASS else random.choice(places, PIXELS_PER_CLASS, replace=False)
