# SPDX-License-Identifier: GPL-2.0-or-later
"""The look at the held-out labels after each epoch, through the averaged network."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..assessment.confusion import ConfusionMatrix
from .losses import IGNORE, segmentation_loss
from .outcome import MONITORS

if TYPE_CHECKING:
    from .loop import Trainer

Figures = tuple[dict[str, float], ConfusionMatrix]


def validate(trainer: Trainer) -> Generator[None, None, Figures]:
    """Measures the averaged network; yields after each batch, returns the figures and the confusion matrix.

    With several ranks each looks at every so-manieth chip, and the counts are added up.
    """
    store, ranks, settings = trainer.store, trainer.plan.ranks, trainer.settings
    confusion = ConfusionMatrix(store.class_values)
    values = np.array(store.class_values)
    loss_sum = pixel_sum = 0.0
    chips = store.validation_chips[ranks.rank :: ranks.size]
    for start in range(0, len(chips), trainer.outcome.batch_size):
        batch = store.get(chips[start : start + trainer.outcome.batch_size], validation=True)
        target = torch.stack([chip.target for chip in batch]).to(trainer.device).long()
        image = torch.stack([chip.image for chip in batch]).to(trainer.device)
        with torch.inference_mode(), trainer.arithmetic.forward():
            logits = trainer.average.network(image.contiguous(memory_format=torch.channels_last)).float()
        loss = segmentation_loss(logits, target, trainer.weights, settings.loss)
        labelled = target != IGNORE
        if loss is not None:
            pixels = float(labelled.sum())
            loss_sum, pixel_sum = loss_sum + loss.item() * pixels, pixel_sum + pixels
        confusion.update(values[target[labelled].cpu().numpy()], values[logits.argmax(1)[labelled].cpu().numpy()])
        yield
    if ranks.size > 1:
        sums = torch.tensor([loss_sum, pixel_sum, *confusion.counts.ravel().tolist()], dtype=torch.float64)
        sums = ranks.add_up(sums.to(trainer.device)).cpu()
        loss_sum, pixel_sum = sums[:2].tolist()
        confusion = ConfusionMatrix.from_counts(store.class_values, sums[2:].reshape(confusion.counts.shape).round().long().numpy())
    figures = {name: getattr(confusion, attribute) for name, attribute in MONITORS.items()}
    return {"valid_loss": loss_sum / pixel_sum if pixel_sum else math.nan, **figures}, confusion
