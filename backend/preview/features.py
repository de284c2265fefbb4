# SPDX-License-Identifier: GPL-2.0-or-later
"""What a pixel model knows of a pixel: its bands, and mean and spread of its surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..imagery.band_statistics import BandStatistics
from ..imagery.normalise import normalise

RADII = (1, 3)  # pixels; surroundings of 3 × 3 and 7 × 7
MARGIN = max(RADII)  # that an image must have around the pixels of interest
PER_BAND = 1 + 2 * len(RADII)


def describe_pixels(image: Tensor, valid: Tensor, statistics: Sequence[BandStatistics]) -> Tensor:
    """Features of every pixel.

    Args:
        image: (bands, rows, columns) float32 after scale and offset, anything where invalid.
        valid: (rows, columns) bool.
        statistics: One entry per band.

    Returns:
        (bands · `PER_BAND`, rows, columns) float32: per band the normalised value, then mean and standard deviation over the valid
        pixels of each of the surroundings; meaningless where invalid.
    """
    bands = normalise(image, valid, statistics)
    present = valid.to(bands.dtype)[None]  # (1, rows, columns)
    parts = [bands]
    for radius in RADII:
        total = _sum(present, radius).clamp_min(1)
        mean = _sum(bands, radius) / total  # invalid pixels are 0 and add nothing
        spread = (_sum(bands * bands, radius) / total - mean * mean).clamp_min(0).sqrt()
        parts += [mean, spread]
    return torch.cat(parts)


def _sum(image: Tensor, radius: int) -> Tensor:
    """Sum over the surroundings of each pixel, those beyond the edge counting as 0: (channels, rows, columns)."""
    side = 2 * radius + 1
    return functional.avg_pool2d(image[None], side, 1, radius, count_include_pad=True)[0] * (side * side)
