# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of one band of the training imagery. Standard library only, so that an export need not load PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BandStatistics:
    """One band of the training imagery: who it is and how its valid pixels are distributed.

    Attributes:
        name: Name of the band, by which a model finds it in a raster.
        minimum: Smallest value, after scale and offset, as are all figures here.
        maximum: Largest value.
        mean: Mean.
        std: Standard deviation (population).
        low: 0.5 percentile.
        high: 99.5 percentile.
        count: Number of valid pixels.
        wavelength: Centre wavelength in micrometres, None when unknown.
        scale: Factor from stored to physical value.
        offset: Added after the factor.
    """

    name: str
    minimum: float
    maximum: float
    mean: float
    std: float
    low: float
    high: float
    count: int
    wavelength: float | None = None
    scale: float = 1.0
    offset: float = 0.0
