# SPDX-License-Identifier: GPL-2.0-or-later
"""The confusion matrix and the usual measures of agreement. numpy only; used by training and by the accuracy tools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class ConfusionMatrix:
    """Counts of pixels by label and prediction, gathered batch by batch.

    Only pixels whose label is one of the class values count: label 0 (unlabelled), nodata and ignored pixels drop out, unless 0
    is a class value itself (background). A prediction outside the class values counts as wrong for its label: it is kept in an
    extra column that belongs to no class.

    A measure per class is NaN where it is undefined (no pixel in its denominator); means leave NaN out.

    Attributes:
        class_values: The class values, in the order of rows and columns.
    """

    def __init__(self, class_values: Sequence[int]) -> None:
        if not class_values or len(set(class_values)) != len(class_values):
            raise ValueError(f"class values must be given and be distinct, not {list(class_values)}")
        self.class_values = tuple(int(value) for value in class_values)
        self._counts = np.zeros((len(class_values), len(class_values) + 1), np.int64)

    def update(self, label: ArrayLike, prediction: ArrayLike) -> None:
        """Adds the pixels of two arrays of class values of the same shape (any integer type)."""
        labels, predictions = np.asarray(label).ravel(), np.asarray(prediction).ravel()
        if labels.shape != predictions.shape:
            raise ValueError(f"label has {labels.size} pixels, prediction {predictions.size}")
        rows = self._to_index(labels)
        known = rows < len(self.class_values)
        columns = self._to_index(predictions[known])
        size = len(self.class_values) + 1
        self._counts += np.bincount(rows[known] * size + columns, minlength=size * (size - 1)).reshape(self._counts.shape)

    def _to_index(self, values: NDArray[np.integer]) -> NDArray[np.int64]:
        """Position of each value among the class values; their number for every other value."""
        order = np.argsort(self.class_values)
        ascending = np.asarray(self.class_values, np.int64)[order]
        place = np.minimum(np.searchsorted(ascending, values), ascending.size - 1)
        return np.where(ascending[place] == values, order[place], ascending.size)

    @classmethod
    def from_counts(cls, class_values: Sequence[int], counts: ArrayLike) -> ConfusionMatrix:
        """A matrix from finished counts, or from shares of the map's area, by (label, prediction).

        Args:
            class_values: The class values, in the order of rows and columns.
            counts: Square array of numbers that are not negative; shares keep their fractions.

        Raises:
            ValueError: Another shape than the class values ask for, or a negative or not finite number.
        """
        matrix = cls(class_values)
        given = np.asarray(counts)
        size = len(matrix.class_values)
        if given.shape != (size, size):
            raise ValueError(f"counts have the shape {given.shape}, {size} class values ask for {(size, size)}")
        if not np.isfinite(given).all() or (given < 0).any():
            raise ValueError("counts must be finite and not negative")
        matrix._counts = np.hstack([given, np.zeros((size, 1), given.dtype)])
        return matrix

    @property
    def counts(self) -> NDArray[np.int64]:
        """Square matrix (label, prediction) of pixel counts (or shares), without predictions outside the classes."""
        return self._counts[:, :-1].copy()

    @property
    def support(self) -> NDArray[np.int64]:
        """Labelled pixels per class."""
        return self._counts.sum(axis=1)

    @property
    def total(self) -> int:
        """Labelled pixels in all."""
        return int(self._counts.sum())

    @property
    def _hits(self) -> Floats:
        return np.diagonal(self._counts).astype(float)

    @property
    def _predicted(self) -> Floats:
        return self._counts[:, :-1].sum(axis=0).astype(float)

    @property
    def precision(self) -> Floats:
        """User's accuracy per class: share of the pixels called so that are so."""
        return _divide(self._hits, self._predicted)

    @property
    def recall(self) -> Floats:
        """Producer's accuracy per class: share of the pixels of the class that were found."""
        return _divide(self._hits, self.support)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall per class, 2·hits / (labelled + predicted)."""
        return _divide(2 * self._hits, self.support + self._predicted)

    @property
    def iou(self) -> Floats:
        """Intersection over union per class, hits / (labelled + predicted - hits)."""
        return _divide(self._hits, self.support + self._predicted - self._hits)

    @property
    def overall_accuracy(self) -> float:
        """Share of labelled pixels with the right class; NaN without labels."""
        return float(_divide(self._hits.sum(), self._counts.sum()))

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that have labelled pixels."""
        return self._mean_of_present(self.iou)

    @property
    def mean_f1(self) -> float:
        """Mean of `f1` over the classes that have labelled pixels."""
        return self._mean_of_present(self.f1)

    @property
    def mean_recall(self) -> float:
        """Mean of `recall` over the classes that have labelled pixels."""
        return self._mean_of_present(self.recall)

    @property
    def kappa(self) -> float:
        """Cohen's kappa (1960): agreement beyond what the row and column totals give by chance; NaN when chance is 1."""
        total = float(self._counts.sum())
        if not total:
            return float("nan")
        # Shares first: a class that is everything is then exactly 1, however many pixels it has.
        expected = float(((self.support / total) * (self._predicted / total)).sum())
        return float(_divide(self.overall_accuracy - expected, 1 - expected))

    @property
    def quantity_disagreement(self) -> float:
        """Share of the pixels that must be wrong because the classes' totals differ (Pontius and Millones 2011).

        Half the sum of the absolute differences between labelled and predicted totals; doi:10.1080/01431161.2011.552923. A
        prediction outside the classes counts as a class of its own. NaN without labels.
        """
        labelled = np.append(self.support, 0)
        return float(_divide(np.abs(labelled - self._counts.sum(axis=0)).sum() / 2, self._counts.sum()))

    @property
    def allocation_disagreement(self) -> float:
        """Share of the pixels that are wrong although the totals would fit, i.e. lie in the wrong place; see above."""
        return 1 - self.overall_accuracy - self.quantity_disagreement

    def _mean_of_present(self, values: Floats) -> float:
        present = values[self.support > 0]
        return float(present.mean()) if present.size else float("nan")


def _divide(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Quotient, NaN where the denominator is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)
