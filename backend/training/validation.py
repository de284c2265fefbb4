# SPDX-License-Identifier: GPL-2.0-or-later
"""The look at the held-out labels after each epoch, through the averaged network."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ..assessment.confusion import ConfusionMatrix
from ..runtime.failures import is_out_of_memory
from .dataset import ChipStore, TensorChip
from .losses import IGNORE, segmentation_loss
from .outcome import MONITORS

if TYPE_CHECKING:
    from .loop import Trainer

Figures = tuple[dict[str, float], ConfusionMatrix]


def validate(trainer: Trainer) -> Generator[None, None, Figures]:
    """Measures the averaged network; yields after each batch, returns the figures and the confusion matrix.

    A place that several chips show is measured in one of them (see `ground`). With several ranks each looks at every so-manieth chip,
    and the counts are added up.
    """
    store, ranks, settings = trainer.store, trainer.plan.ranks, trainer.settings
    confusion = ConfusionMatrix(store.class_values)
    values = np.array(store.class_values)
    loss_sum = pixel_sum = 0.0
    numbers = store.validation_chips[ranks.rank :: ranks.size]
    most = chips_at_once(store, settings.chip_size, trainer.outcome.batch_size)
    for some, chips, logits in predict_chips(store, trainer.average.network, numbers, most, trainer.arithmetic.forward):
        target = torch.stack([keep_measured(store, *pair) for pair in zip(some, chips, strict=True)]).to(trainer.device).long()
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


def keep_measured(store: ChipStore, number: int, chip: TensorChip) -> Tensor:
    """Target (H, W) of a held-out chip, `IGNORE` where another chip shows the place better."""
    return torch.where(store.find_measured(number), chip.target, IGNORE)


def chips_at_once(store: ChipStore, crop: int, batch_size: int) -> int:
    """How many whole chips take no more memory than a batch of crops of that side (0 = whole chips); at least one.

    16 crops of 128 pixels are as large as one chip of 512.
    """
    rows, columns = store.chip_size
    return max(1, batch_size * crop**2 // (rows * columns)) if crop else batch_size


def predict_chips(
    store: ChipStore,
    network: nn.Module,
    numbers: Sequence[int],
    most: int,
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Iterator[tuple[Sequence[int], list[TensorChip], Tensor]]:
    """Held-out chips and their logits (N, K, H, W), 32 bits, a few at a time: their numbers, they, the logits.

    Args:
        store: Scanned and split chips.
        network: In evaluation mode.
        numbers: Of the chips.
        most: Chips at a time; halved when the memory does not suffice.
        around: Entered around each forward pass, for its precision.
    """
    place = next(network.parameters()).device
    start = 0
    while start < len(numbers):
        some = numbers[start : start + most]
        chips = store.get(some, validation=True)
        try:
            with torch.inference_mode(), around():
                image = torch.stack([chip.image for chip in chips]).to(place)
                logits = network(image.contiguous(memory_format=torch.channels_last)).float()
        except RuntimeError as failure:
            if most == 1 or not is_out_of_memory(failure):
                raise
            most = max(1, most // 2)
            continue
        yield some, chips, logits
        start += len(some)
