# SPDX-License-Identifier: GPL-2.0-or-later
"""Training batches: crops around labelled pixels, cut one batch ahead in a thread and changed at random on the device.

All draws of an epoch follow from the seed, the epoch and the rank, so a training that is resumed draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from . import augment
from .dataset import ChipStore, TensorChip
from .sampler import LabelSampler
from .settings import TrainSettings

JITTER = 1 / 3  # of the crop's side: how far a crop's centre may lie from its labelled pixel
SEED_STEP = 1_000_003  # a prime, so that seeds, epochs and ranks do not meet


class Batch(NamedTuple):
    """Crops on the device.

    Attributes:
        image: (N, C, H, W) float32, normalised, 0 where invalid.
        target: (N, H, W) int64 class indices, `losses.IGNORE` where unlabelled.
        partner_target: The same of the crop that each was mixed with; None without mixup.
        share: Of the crop itself in the mixture; 1 without mixup.
    """

    image: Tensor
    target: Tensor
    partner_target: Tensor | None = None
    share: float = 1.0


class BatchMaker:
    """Makes the batches of one training run.

    Args:
        store: Scanned and split chips.
        settings: The request.
        device: Where the batches go.
        rank: Number of this process among those that train together; each draws crops of its own.
    """

    def __init__(self, store: ChipStore, settings: TrainSettings, device: torch.device, rank: int = 0) -> None:
        self._store, self._settings, self._device, self._rank = store, settings, device, rank
        self.size = (settings.chip_size, settings.chip_size) if settings.chip_size else store.chip_size
        self._device_random = torch.Generator(device)
        self._start(0)

    def epoch(self, number: int, steps: int, batch_size: Callable[[], int]) -> Iterator[Batch]:
        """The batches of an epoch.

        Args:
            number: Of the epoch, from 1.
            steps: How many batches.
            batch_size: Asked before each batch is drawn; the one that was drawn ahead is cut to it.
        """
        self._start(number)
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as ahead:
            following = ahead.submit(self._draw, batch_size())
            for step in range(steps):
                crops = following.result()
                if step + 1 < steps:
                    following = ahead.submit(self._draw, batch_size())
                yield self._finish([part[: batch_size()] for part in crops])

    def draw(self, batch_size: int) -> Batch:
        """One batch, outside of an epoch."""
        return self._finish(self._draw(batch_size))

    def _start(self, epoch: int) -> None:
        """Makes the generators of an epoch."""
        seed = (self._settings.seed * SEED_STEP + epoch) * SEED_STEP + self._rank
        self._random = np.random.default_rng(seed)
        self._device_random.manual_seed(seed % 2**63)
        self._sampler = LabelSampler(self._store.pixels, self._settings.class_balancing, self._random)

    def _draw(self, count: int) -> list[Tensor]:
        """Image, valid and target of as many crops, on the CPU."""
        draws = self._sampler.draw(count)
        chips = self._store.get([number for number, _ in draws], validation=False)
        crops = [self._cut(chip, index) for chip, (_, index) in zip(chips, draws, strict=True)]
        return [torch.stack(parts) for parts in zip(*crops, strict=True)]

    def _cut(self, chip: TensorChip, index: int) -> list[Tensor]:
        """Image, valid and target of a crop around a random pixel of class `index`, as far as the chip's edges allow."""
        pixel = self._sampler.draw_pixel(chip.target.numpy(), index)
        first = []
        for place, side, whole in zip(pixel, self.size, self._store.chip_size, strict=True):
            wanted = place - side // 2 + int(self._random.uniform(-JITTER, JITTER) * side)
            first.append(min(max(wanted, 0), whole - side))
        (top, left), (rows, columns) = first, self.size
        is_turned = self._settings.augmentation in augment.TURNING
        symmetry = augment.draw_symmetry(self._random, rows == columns) if is_turned else 0
        parts = (chip.image, chip.valid, chip.target)
        return [augment.apply_symmetry(part[..., top : top + rows, left : left + columns], symmetry) for part in parts]

    def _finish(self, crops: list[Tensor]) -> Batch:
        """Crops on the device, changed at random."""
        image, valid, target = (part.to(self._device, non_blocking=True) for part in crops)
        target, generator = target.long(), self._device_random
        if self._settings.augmentation == "strong":
            image, valid, target = augment.warp(image, valid, target, generator)
        if self._settings.augmentation != "none":
            image = augment.vary_radiometry(image, valid, generator)
        if self._settings.augmentation == "strong":
            image = augment.drop_bands(image, generator)
        if not self._settings.mixup:
            return Batch(image, target)
        partners, share = augment.draw_mixing(image.shape[0], generator)
        return Batch(share * image + (1 - share) * image[partners], target, target[partners], share)
