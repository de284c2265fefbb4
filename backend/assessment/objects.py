# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference polygons as objects: each has one true class and the class that most of its pixels have on the map. numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .confusion import ConfusionMatrix
from .pairs import NOTHING


@dataclass(frozen=True)
class ObjectResult:
    """Accuracy by object.

    Attributes:
        matrix: Objects by (reference, majority on the map).
        without_data: Objects without any pixel of the map: too small, covered by others, or on nodata.
    """

    matrix: ConfusionMatrix
    without_data: int


class ObjectCounter:
    """Counts the map's classes within each feature.

    Args:
        truth: Class value of each feature (n,); feature k bears the number k + 1.
    """

    def __init__(self, truth: NDArray[np.uint16]) -> None:
        self._truth = truth
        self._counts: dict[tuple[int, int], int] = {}

    def add(self, features: NDArray[np.uint32], mapped: NDArray[np.uint16]) -> None:
        """Adds the pixels of a window (rows, columns): number of the feature, 0 = none, and class value of the map."""
        used = (features > 0) & (mapped != NOTHING)
        keys, counts = np.unique(features[used].astype(np.uint64) << np.uint64(16) | mapped[used], return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            pair = (key >> 16, key & 0xFFFF)
            self._counts[pair] = self._counts.get(pair, 0) + count

    def finish(self, class_values: Sequence[int]) -> ObjectResult:
        """The objects by class; where two classes share the most pixels, the true one wins if it is among them."""
        best: dict[int, tuple[int, bool, int]] = {}
        for (feature, value), count in sorted(self._counts.items()):
            rank = (count, value == int(self._truth[feature - 1]), value)
            best[feature] = max(best.get(feature, rank), rank)
        matrix = ConfusionMatrix(class_values)
        features = np.array(sorted(best), np.int64)
        matrix.update(self._truth[features - 1] if features.size else [], [best[feature][2] for feature in features.tolist()])
        return ObjectResult(matrix, int((self._truth != NOTHING).sum()) - features.size)
