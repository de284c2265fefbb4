# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop: seeded steps, validation after each epoch, the best epoch kept.

Enters: a network, the chips, the settings. Each step draws label-centred crops, varies them, and updates the network; a moving
average of the weights follows it. After each epoch the average is measured on the held-out labels, and kept when it is the best
so far. Leaves: the best weights and the history. Yields events after every step, so that the caller can stop between any two.

An epoch has as many steps as batches that cover the chips once, but at least `SMALLEST_EPOCH`: a folder of thirty chips would
otherwise get four steps per epoch and learn nothing in twenty epochs.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ..assessment.confusion import ConfusionMatrix
from ..errors import ToolboxError
from ..models.registry import SizedNetwork
from ..runtime.protocol import Event, info, metric, progress, warning
from . import augment
from .dataset import ChipStore, TensorChip
from .losses import IGNORE, class_weights, segmentation_loss
from .sampler import LabelSampler
from .settings import TrainSettings

SMALLEST_EPOCH = 16  # steps
DEFAULT_BATCH = {"cpu": 8, "cuda": 16, "mps": 8}
SMALLEST_BATCH = 2  # batch normalisation over one sample fails in pooled branches
ENCODER_FACTOR = 0.3  # a pretrained encoder learns more slowly than the fresh decoder
WEIGHT_DECAY = 0.01
WARM_UP = 0.15  # share of the steps in which the rate rises
CLIP_NORM = 1.0
LARGEST_DECAY = 0.999
JITTER = 1 / 3  # of the crop's side: how far a crop's centre may lie from its labelled pixel
PATIENCE = 0.3  # of the epochs
SMALLEST_PATIENCE = 6
MONITORS = {"miou": "mean_iou", "accuracy": "overall_accuracy", "f1": "mean_f1"}


@dataclass
class Epoch:
    """Figures of one epoch; `values` as in the metric event."""

    number: int
    values: dict[str, float]


@dataclass
class Outcome:
    """What the training found; filled while it runs.

    Attributes:
        history: All epochs so far.
        best_epoch: Number of the epoch that was kept, from 1; 0 before the first.
        score: The monitored figure of that epoch.
        state_dict: Averaged weights of that epoch, on the CPU.
        confusion: Confusion matrix of that epoch over class values.
        batch_size: Chips per step that fitted.
        learning_rate: Peak rate of the decoder.
        ended: Why the training ended.
    """

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    score: float = math.nan
    state_dict: dict[str, Tensor] = field(default_factory=dict)
    confusion: ConfusionMatrix | None = None
    batch_size: int = 0
    learning_rate: float = 0.0
    ended: str = "all epochs were run"


class WeightAverage:
    """Exponential moving average of a network's weights and buffers, after timm's `ModelEmaV3`.

    The decay grows as (1 + t) / (10 + t), so that a short run is not dominated by its random start, up to 0.999.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the network."""
        decay = min(LARGEST_DECAY, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        for mean, current in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(current, 1 - decay)
            else:
                mean.copy_(current)


class Trainer:
    """One training run.

    Args:
        network: On the CPU; moved to the device.
        store: Scanned and split chips.
        settings: The request.
        device: torch device.
        pretrained: The encoder has pretrained weights.
        learning_rate: Peak rate of the decoder.
        is_stopped: True once the user wants the best so far.
        validates: Measure each epoch on the held-out labels and keep the best; otherwise the last one is measured and kept.
    """

    def __init__(
        self,
        network: SizedNetwork,
        store: ChipStore,
        settings: TrainSettings,
        device: str,
        pretrained: bool,
        learning_rate: float,
        is_stopped: Callable[[], bool],
        validates: bool = True,
    ) -> None:
        self.store, self.settings = store, settings
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.average = WeightAverage(self.network)
        self.outcome = Outcome(learning_rate=learning_rate)
        self.outcome.batch_size = settings.batch_size or DEFAULT_BATCH.get(self.device.type, 8)
        self._is_stopped, self._validates = is_stopped, validates
        self._random = np.random.default_rng(settings.seed)
        self._device_random = torch.Generator(self.device).manual_seed(settings.seed)
        self._sampler = LabelSampler(store.pixels, settings.class_balancing, self._random)
        totals = torch.from_numpy(store.pixels.sum(axis=0))
        self._weights = (class_weights(totals) if settings.class_balancing else (totals > 0).float()).to(self.device)
        self._steps = max(SMALLEST_EPOCH, -(-len(store) // self.outcome.batch_size))
        self._varied = settings.augmentation == "default"
        self._size = (settings.chip_size, settings.chip_size) if settings.chip_size else store.chip_size
        self._optimizer = self._build_optimizer(learning_rate, ENCODER_FACTOR if pretrained else 1.0)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            [group["lr"] for group in self._optimizer.param_groups],
            total_steps=self._steps * settings.max_epochs,
            pct_start=WARM_UP,
        )

    def _build_optimizer(self, rate: float, encoder_factor: float) -> torch.optim.Optimizer:
        """AdamW in four groups: encoder or not, decayed or not (biases and normalisation weights are not)."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        encoder = {id(parameter) for parameter in self.network.encoder.parameters()}
        for parameter in self.network.parameters():
            groups.setdefault((id(parameter) in encoder, parameter.ndim > 1), []).append(parameter)
        return torch.optim.AdamW(
            {
                "params": parameters,
                "lr": rate * (encoder_factor if in_encoder else 1.0),
                "weight_decay": WEIGHT_DECAY if decayed else 0.0,
            }
            for (in_encoder, decayed), parameters in groups.items()
        )

    def fit(self) -> Iterator[Event]:
        """Trains; the outcome is in `outcome`.

        Raises:
            ToolboxError: The loss is not finite, or the memory does not suffice for the smallest batch.
        """
        for number in range(1, self.settings.max_epochs + 1):
            loss = yield from self._train_epoch(number)
            if not self._validates:
                if self._is_stopped():
                    return
                continue
            values, confusion = yield from self._validate(number)
            self._record(number, {"train_loss": loss, **values}, confusion)
            yield metric(number, {name: value for name, value in self.outcome.history[-1].values.items() if math.isfinite(value)})
            if self._is_stopped():
                self.outcome.ended = "it was stopped"
            elif self.settings.early_stopping and number - self.outcome.best_epoch >= self._patience():
                self.outcome.ended = f"the figure has not improved since epoch {self.outcome.best_epoch}"
            else:
                continue
            yield info(f"Training ended after epoch {number}: {self.outcome.ended}.")
            return
        if not self._validates:
            values, confusion = yield from self._validate(self.settings.max_epochs)
            self._record(self.settings.max_epochs, values, confusion)

    def _patience(self) -> int:
        """Epochs without improvement after which the training stops early."""
        return max(SMALLEST_PATIENCE, round(PATIENCE * self.settings.max_epochs))

    def _train_epoch(self, number: int) -> Iterator[Event]:
        """Runs the steps of one epoch; returns their mean loss."""
        losses = []
        done, total = (number - 1) * self._steps, self.settings.max_epochs * self._steps
        self.network.train()
        for step in range(self._steps):
            try:
                loss = self._step()
            except RuntimeError as failure:
                if not _is_out_of_memory(failure):
                    raise
                yield self._shrink_batch(failure)
                continue
            if loss is not None:
                losses.append(loss)
            if self._is_stopped() and (self.outcome.best_epoch or not self._validates):
                break
            yield progress(
                (done + step + 1) / total, f"Epoch {number} of {self.settings.max_epochs}, step {step + 1} of {self._steps}"
            )
        return float(np.mean(losses)) if losses else math.nan

    def _step(self) -> float | None:
        """One update; returns the loss, None when the crops showed no label."""
        image, target = self._draw_batch()
        loss = segmentation_loss(self.network(image), target, self._weights, self.settings.loss)
        if loss is None:
            return None
        value = loss.item()
        if not math.isfinite(value):
            raise ToolboxError(
                f"The training diverged (the loss became {value}) at a learning rate of {self.outcome.learning_rate:g}; "
                "choose a smaller LEARNING_RATE."
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        self._optimizer.step()
        self._schedule.step()
        self.average.update(self.network)
        return value

    def _draw_batch(self) -> tuple[Tensor, Tensor]:
        """Image (N, C, H, W) and target (N, H, W) of a training batch, on the device."""
        draws = self._sampler.draw(self.outcome.batch_size)
        chips = self.store.get([number for number, _ in draws], validation=False)
        crops = [self._cut(chip, index) for chip, (_, index) in zip(chips, draws, strict=True)]
        image, valid, target = (torch.stack(parts).to(self.device) for parts in zip(*crops, strict=True))
        if self._varied:
            image = augment.vary_radiometry(image, valid, self._device_random)
        return image, target.long()

    def _cut(self, chip: TensorChip, index: int) -> list[Tensor]:
        """Image, valid and target of a crop around a random pixel of class `index`, as far as the chip's edges allow."""
        pixel = self._sampler.draw_pixel(chip.target.numpy(), index)
        first = []
        for place, side, whole in zip(pixel, self._size, self.store.chip_size, strict=True):
            wanted = place - side // 2 + int(self._random.uniform(-JITTER, JITTER) * side)
            first.append(min(max(wanted, 0), whole - side))
        (top, left), (rows, columns) = first, self._size
        symmetry = augment.draw_symmetry(self._random, rows == columns) if self._varied else 0
        parts = (chip.image, chip.valid, chip.target)
        return [augment.apply_symmetry(part[..., top : top + rows, left : left + columns], symmetry) for part in parts]

    def _shrink_batch(self, failure: RuntimeError) -> Event:
        """Halves the batch after a failed step; raises ToolboxError when it cannot be halved."""
        self._optimizer.zero_grad(set_to_none=True)
        if self.outcome.batch_size < 2 * SMALLEST_BATCH:
            raise ToolboxError(
                f"The memory of {self.device} does not suffice for {self.outcome.batch_size} crops of {self._size[0]} x "
                f"{self._size[1]} pixels; choose a smaller CHIP_SIZE or BACKBONE."
            ) from failure
        self.outcome.batch_size //= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return warning(f"The memory of {self.device} does not suffice; the batch is now {self.outcome.batch_size} crops.")

    def _validate(self, number: int) -> Iterator[Event]:
        """Measures the averaged network on the held-out labels; returns figures and the confusion matrix."""
        confusion = ConfusionMatrix(self.store.class_values)
        values = np.array(self.store.class_values)
        loss_sum = pixel_sum = 0.0
        chips = self.store.validation_chips
        reported = time.monotonic()
        for start in range(0, len(chips), self.outcome.batch_size):
            batch = self.store.get(chips[start : start + self.outcome.batch_size], validation=True)
            target = torch.stack([chip.target for chip in batch]).to(self.device).long()
            with torch.inference_mode():
                logits = self.average.network(torch.stack([chip.image for chip in batch]).to(self.device))
                loss = segmentation_loss(logits, target, self._weights, self.settings.loss)
            labelled = target != IGNORE
            if loss is not None:
                pixels = float(labelled.sum())
                loss_sum, pixel_sum = loss_sum + loss.item() * pixels, pixel_sum + pixels
            confusion.update(values[target[labelled].cpu().numpy()], values[logits.argmax(1)[labelled].cpu().numpy()])
            if time.monotonic() - reported > 0.25:
                reported = time.monotonic()
                yield progress(number / self.settings.max_epochs, f"Epoch {number}, validating")
        figures = {name: getattr(confusion, attribute) for name, attribute in MONITORS.items()}
        return {"valid_loss": loss_sum / pixel_sum if pixel_sum else math.nan, **figures}, confusion

    def _record(self, number: int, values: dict[str, float], confusion: ConfusionMatrix) -> None:
        """Adds an epoch to the history and keeps its weights if it is the best."""
        values = {**values, "learning_rate": float(self._schedule.get_last_lr()[-1])}
        self.outcome.history.append(Epoch(number, values))
        score = values[self.settings.monitor]
        if not self.outcome.best_epoch or is_better(score, self.outcome.score, self.settings.monitor):
            self.outcome.best_epoch, self.outcome.score, self.outcome.confusion = number, score, confusion
            self.outcome.state_dict = {
                name: tensor.detach().cpu().clone() for name, tensor in self.average.network.state_dict().items()
            }


def is_better(score: float, than: float, monitor: str) -> bool:
    """Whether a monitored figure is better than another one; a loss is the better the smaller it is."""
    return score < than if monitor == "valid_loss" else score > than


def _is_out_of_memory(failure: RuntimeError) -> bool:
    """True for a GPU's out-of-memory error and for the allocator's on the CPU, which is a plain RuntimeError."""
    return isinstance(failure, torch.OutOfMemoryError) or "can't allocate memory" in str(failure)
