# SPDX-License-Identifier: GPL-2.0-or-later
"""The rasters that are made of the blended probabilities: classes, confidence, uncertainty, probabilities.

Each is a small function of a block of pixels, so that all of them are computed in one pass and share what they need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.definition import ModelDescription
from .settings import ClassifySettings
from .sidecars import LegendEntry

BYTE_NODATA, WIDE_NODATA = 255, 65_535
SMALLEST_PROBABILITY = 1e-12  # its logarithm is finite, and its share of an entropy nothing


@dataclass(frozen=True)
class Pixels:
    """A block of pixels that is final.

    Attributes:
        probabilities: (classes, rows, columns) float32, adding up to one over the classes.
    """

    probabilities: Tensor

    @cached_property
    def _best(self) -> tuple[Tensor, Tensor]:
        return self.probabilities.max(0)  # on a CPU many times as fast as argmax

    @property
    def winner(self) -> NDArray[np.int64]:
        """Channel with the highest probability (rows, columns)."""
        return self._best[1].cpu().numpy()

    @property
    def highest(self) -> Tensor:
        """The highest probability (rows, columns)."""
        return self._best[0]


@dataclass(frozen=True)
class Layer:
    """One raster to write.

    Attributes:
        setting: Field of the settings that holds its path.
        dtype: ``uint8`` or ``uint16``.
        compute: Values (bands, rows, columns) of a block, before nodata is put in.
        legend: Classes for the colour table and the sidecars; empty for a raster of numbers.
        band_names: Names of its bands.
    """

    setting: str
    dtype: str
    compute: Callable[[Pixels], NDArray[np.generic]]
    legend: list[LegendEntry] = field(default_factory=list)
    band_names: tuple[str, ...] = ("",)

    @property
    def nodata(self) -> int:
        """Value of pixels that were not classified."""
        return BYTE_NODATA if self.dtype == "uint8" else WIDE_NODATA


def list_layers(settings: ClassifySettings, model: ModelDescription, legend: list[LegendEntry]) -> list[Layer]:
    """The rasters that are asked for, the class raster last, since it is the one that others wait for."""
    names = tuple(entry.name for entry in legend)
    layers = [
        Layer("confidence", "uint8", confidence, band_names=("Confidence (%)",)),
        uncertainty_layer(len(names) - int(model.has_background and not settings.predict_background)),
        Layer("probabilities", "uint8", to_percent_of_each, band_names=names),
    ]
    wanted = [layer for layer in layers if getattr(settings, layer.setting)]
    return [*wanted, class_layer(model.class_values, legend)]


def class_layer(class_values: Sequence[int], legend: list[LegendEntry]) -> Layer:
    """The class raster: the value of the winning class, in the smallest type that leaves a nodata value.

    Args:
        class_values: Of each channel.
        legend: Classes as they are shown.
    """
    dtype = "uint8" if max(class_values) < BYTE_NODATA else "uint16"
    table = np.array(class_values, dtype)
    return Layer("output", dtype, lambda pixels: table[pixels.winner][None], legend, ("Class",))


def confidence(pixels: Pixels) -> NDArray[np.uint8]:
    """Probability of the winning class in percent."""
    return _percent(pixels.highest)[None]


def uncertainty_layer(possible: int) -> Layer:
    """The raster of uncertainty, for a number of classes that can win."""
    return Layer("uncertainty", "uint8", lambda pixels: uncertainty(pixels, possible), band_names=("Uncertainty (%)",))


def uncertainty(pixels: Pixels, possible: int) -> NDArray[np.uint8]:
    """Entropy of the probabilities in percent of its maximum, that of a coin toss between the classes that can win (Shannon 1948).

    Two classes at 0.5 give 100, 0.9 and 0.1 give 47, certainty gives 0; a single class is always certain.
    """
    probabilities = pixels.probabilities.clamp(min=SMALLEST_PROBABILITY)
    entropy = -(probabilities * probabilities.log()).sum(0)
    return _percent(entropy / math.log(max(possible, 2)))[None]


def to_percent_of_each(pixels: Pixels) -> NDArray[np.uint8]:
    """Probability of each class in percent (classes, rows, columns)."""
    return _percent(pixels.probabilities)


def _percent(shares: Tensor) -> NDArray[np.uint8]:
    """Shares 0 to 1 as whole percent."""
    return (shares.clamp(0, 1) * 100).round().to(torch.uint8).cpu().numpy()
