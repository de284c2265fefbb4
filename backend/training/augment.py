# SPDX-License-Identifier: GPL-2.0-or-later
"""Random changes of a batch of chips, on the device and for any number of bands.

One affine map per sample does cropping, shifting, scaling and the eight symmetries of the square; then each band gets a gain, an
offset and noise. Images are interpolated bilinearly, labels and the valid mask by the nearest pixel; what comes from outside the
chip is invalid and unlabelled. Images enter normalised (mean 0, deviation 1, invalid pixels 0), and leave so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .losses import IGNORE

SMALLEST_SCALE, LARGEST_SCALE = 0.75, 1.33
SCALED_SHARE = 0.5  # the other half keeps its pixels exactly, since interpolation smooths away texture
GAIN, OFFSET, NOISE = 0.1, 0.1, 0.05  # standard deviations, in units of the band's own
DROPPED_SHARE = 0.1  # of the samples lose one band
BANDS_FOR_DROPPING = 4  # with fewer bands, each one matters too much


@dataclass(frozen=True)
class Placement:
    """Where the crops come from.

    Attributes:
        centres: (N, 2) row and column in the chip, in pixels from its upper left corner, at which the crop is centred.
        scales: (N,) magnification; 2 shows half the ground.
        symmetries: (N,) 0 to 7: quarter turns (value mod 4), mirrored first from 4 on.
    """

    centres: np.ndarray
    scales: np.ndarray
    symmetries: np.ndarray


def draw_scales(count: int, generator: np.random.Generator) -> np.ndarray:
    """Magnifications: 1 for half of the samples, log-uniform between 0.75 and 1.33 for the others."""
    scales = np.exp(generator.uniform(math.log(SMALLEST_SCALE), math.log(LARGEST_SCALE), count))
    return np.where(generator.random(count) < SCALED_SHARE, scales, 1.0)


def cut(image: Tensor, valid: Tensor, target: Tensor, placement: Placement, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Crops of `size` (rows, columns).

    Args:
        image: (N, C, H, W) float, 0 where invalid.
        valid: (N, H, W) bool.
        target: (N, H, W) integer class indices, `IGNORE` where unlabelled.
        placement: One entry per sample.
        size: Rows and columns of the crops.

    Returns:
        Image (N, C, rows, columns), valid (N, rows, columns), target (N, rows, columns) int64.
    """
    theta = torch.from_numpy(_affine(placement, image.shape[-2:], size)).to(image)  # (N, 2, 3)
    grid = F.affine_grid(theta, [len(image), 1, *size], align_corners=False)  # (N, rows, columns, 2)
    mask = valid[:, None].to(image.dtype)  # (N, 1, H, W)
    kept = F.grid_sample(mask, grid, "nearest", "zeros", align_corners=False)[:, 0] > 0.5
    weight = F.grid_sample(mask, grid, "bilinear", "zeros", align_corners=False).clamp(min=0.1)
    # Dividing by the share of valid neighbours keeps the zeros of invalid pixels out of their neighbours' values.
    cropped = F.grid_sample(image, grid, "bilinear", "zeros", align_corners=False) / weight * kept[:, None]
    shifted = (target[:, None] - IGNORE).to(torch.float32)  # unlabelled becomes 0, the value of the outside
    labels = F.grid_sample(shifted, grid.float(), "nearest", "zeros", align_corners=False)[:, 0].round().long() + IGNORE
    return cropped, kept, torch.where(kept, labels, IGNORE)


def _affine(placement: Placement, chip: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Affine matrices (N, 2, 3), float32, from crop to chip coordinates, both running from -1 to 1 over x, y."""
    rows, columns = chip
    turn = placement.symmetries % 4 * (math.pi / 2)
    mirror = np.where(placement.symmetries >= 4, -1.0, 1.0)
    cosine, sine = np.round(np.cos(turn)), np.round(np.sin(turn))
    matrix = np.stack([np.stack([cosine * mirror, -sine], -1), np.stack([sine * mirror, cosine], -1)], 1)  # (N, 2, 2), pixels
    matrix = matrix / placement.scales[:, None, None] * np.array([size[1], size[0]]) / np.array([columns, rows])[:, None]
    centre = placement.centres[:, ::-1] / np.array([columns, rows]) * 2 - 1  # x, y
    return np.concatenate([matrix, centre[:, :, None]], axis=2).astype(np.float32)


def vary_radiometry(image: Tensor, valid: Tensor, generator: torch.Generator) -> Tensor:
    """The image with random gain, offset and noise per band, and one band left out in a tenth of the samples.

    Args:
        image: (N, C, H, W) normalised.
        valid: (N, H, W) bool; invalid pixels stay 0.
        generator: On the image's device.
    """
    samples, bands = image.shape[:2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=image.device)

    image = image * (1 + GAIN * normal(samples, bands, 1, 1)) + OFFSET * normal(samples, bands, 1, 1) + NOISE * normal(*image.shape)
    if bands >= BANDS_FOR_DROPPING:
        dropped = torch.randint(bands, (samples,), generator=generator, device=image.device)
        hit = torch.rand(samples, generator=generator, device=image.device) < DROPPED_SHARE
        keep = ~(F.one_hot(dropped, bands).bool() & hit[:, None])  # (N, C)
        image = image * keep[:, :, None, None]
    return image * valid[:, None]
