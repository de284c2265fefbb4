# SPDX-License-Identifier: GPL-2.0-or-later
"""The one normalisation of pixel values, called by training and by inference.

Enters: band values as read, the valid mask, and the statistics of the training pixels. Leaves: numbers of about −3 to 3 that the
network sees. The statistics are frozen into the model, so the same pixel gives the same number in both stages.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .band_statistics import BandStatistics as BandStatistics

# A constant band has no spread to divide by; this leaves it at 0 instead of NaN.
SMALLEST_STD = 1e-6


def normalise(image: torch.Tensor, valid: torch.Tensor, statistics: Sequence[BandStatistics]) -> torch.Tensor:
    """Clips each band to its 0.5 and 99.5 percentile and brings it to mean 0 and standard deviation 1.

    Args:
        image: (C, H, W) or (N, C, H, W) float32, values after scale and offset; anything where invalid, NaN included.
        valid: (H, W) or (N, H, W) bool.
        statistics: One entry per band, in the order of the channels.

    Returns:
        Float32 of the image's shape; 0, the mean of every band, where invalid.

    Raises:
        ValueError: Another number of bands than statistics.
    """
    channels = image.shape[-3]
    if channels != len(statistics):
        raise ValueError(f"{channels} bands, but statistics of {len(statistics)}")

    def column(name: str) -> torch.Tensor:
        values = [getattr(band, name) for band in statistics]
        return torch.tensor(values, dtype=torch.float32, device=image.device).view(-1, 1, 1)  # (C, 1, 1)

    # One array, changed in place: this runs over every pixel of every tile, and memory is what it waits for.
    scaled = image.clamp(column("low"), column("high")).sub_(column("mean")).div_(column("std").clamp_min(SMALLEST_STD))
    return scaled.masked_fill_(~valid.unsqueeze(-3), 0)
