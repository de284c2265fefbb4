# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop.

Each step shows the network a batch of crops around labelled pixels; each epoch ends with a look at the held-out labels through the
averaged weights, and the best of these are kept. An epoch has at least `SMALLEST_EPOCH` steps, since small chip folders would
otherwise get four steps per epoch and learn nothing in twenty epochs.

Several processes may train together (`Ranks`): each draws crops of its own, gradients are averaged, and each looks at its share of
the held-out labels, so that all have the same weights and figures and take the same decisions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ToolboxError
from ..models.catalogue import ARCHITECTURES
from ..models.registry import SizedNetwork
from ..runtime.failures import is_out_of_memory
from ..runtime.protocol import Event, info, metric, progress, warning
from ..runtime.ranks import Ranks
from .average import WeightAverage
from .batches import Batch, BatchMaker
from .dataset import ChipStore
from .fit_batch import SMALLEST_BATCH, usual_batch
from .losses import class_weights, segmentation_loss
from .optimiser import build_optimiser, build_schedule, freeze_encoder, keep_frozen
from .outcome import Outcome
from .precision import Arithmetic, choose_precision
from .settings import TrainSettings
from .validation import validate

SMALLEST_EPOCH = 16  # steps
CLIP_NORM = 1.0
PATIENCE = 0.3  # of the epochs
SMALLEST_PATIENCE = 6


@dataclass(frozen=True)
class Plan:
    """What a training starts from.

    Attributes:
        settings: The request.
        pretrained: The encoder has pretrained weights.
        learning_rate: Peak rate of the decoder.
        ranks: The processes that train together.
        validates: Measure each epoch on the held-out labels and keep the best; otherwise the last one is measured and kept.
        precision: As `choose_precision` takes it.
    """

    settings: TrainSettings
    pretrained: bool
    learning_rate: float
    ranks: Ranks
    validates: bool = True


class Trainer:
    """One training run.

    Args:
        network: On the CPU; moved to the device.
        store: Scanned and split chips.
        plan: What to start from.
        is_stopped: True once the user wants the best so far.

    Raises:
        ToolboxError: The device has no such precision.
    """

    def __init__(self, network: SizedNetwork, store: ChipStore, plan: Plan, is_stopped: Callable[[], bool]) -> None:
        self.store, self.plan, self.settings = store, plan, plan.settings
        self.device = torch.device(plan.ranks.device)
        self.network = network.to(self.device, memory_format=torch.channels_last)
        if self.settings.freeze:
            freeze_encoder(self.network)
        self.average = WeightAverage(self.network)
        self.arithmetic = Arithmetic(choose_precision(self.settings.precision, self.device), self.device)
        batch_size = self.settings.batch_size or usual_batch(self.device)
        self.outcome = Outcome(
            learning_rate=plan.learning_rate, batch_size=self._share(batch_size), processes=plan.ranks.size,
            precision=self.arithmetic.precision,
        )  # fmt: skip
        self.epoch = 0
        self._is_stopped = is_stopped
        self._batches = BatchMaker(store, self.settings, self.device, plan.ranks.rank)
        totals = torch.from_numpy(store.pixels.sum(axis=0))
        self.weights = (class_weights(totals) if self.settings.class_balancing else (totals > 0).float()).to(self.device)
        self._steps = max(SMALLEST_EPOCH, -(-len(store) // (self.outcome.batch_size * plan.ranks.size)))
        self._optimiser = build_optimiser(self.network, plan.learning_rate, plan.pretrained)
        self._schedule = build_schedule(self._optimiser, self._steps * self.settings.max_epochs)

    def fit(self) -> Iterator[Event]:
        """Trains from the epoch reached so far; the outcome is in `outcome`. Yields events; after each epoch, the metric event.

        Raises:
            ToolboxError: The loss is not finite, or the memory does not suffice for the smallest batch.
        """
        last = self.settings.max_epochs
        while self.epoch < last:
            if ended := self._find_end():
                if self.plan.validates:
                    self.outcome.ended = ended
                    yield info(f"Training ended after epoch {self.epoch}: {ended}.")
                return
            number = self.epoch + 1
            loss = yield from self._train_epoch(number)
            values = (yield from self._validate(number, loss)) if self.plan.validates else {}
            self.epoch = number  # from here on `to_state` is whole
            if self.plan.validates:
                yield metric(number, {name: value for name, value in values.items() if math.isfinite(value)})
            else:
                yield progress(number / last, f"Epoch {number} of {last}")
        if not self.plan.validates:
            yield from self._validate(last, math.nan)

    @property
    def total_steps(self) -> int:
        """Steps of all epochs."""
        return self._steps * self.settings.max_epochs

    def try_rate(self, factor: float) -> Iterator[float]:
        """One step at so many times the planned rates, outside of the schedule.

        Yields the loss, the mean of all ranks: NaN without labels, infinite when one of them diverges. The weights move when it is
        resumed, so that all ranks can agree to end.
        """
        self.network.train()
        keep_frozen(self.network)
        for group in self._optimiser.param_groups:
            group["lr"] = group["max_lr"] * factor  # the schedule keeps the planned rate there
        try:
            loss = self._step(self._batches.draw(self.outcome.batch_size))
        except ToolboxError:
            loss = math.inf
        found = torch.tensor([loss or 0.0, float(loss is not None)], device=self.device)
        total, count = self.plan.ranks.add_up(found).tolist()
        yield total / count if count else math.nan
        self._apply()

    def _share(self, batch_size: int) -> int:
        """Chips of a step that fall to this process."""
        return max(ARCHITECTURES[self.settings.model_type].smallest_batch, batch_size // self.plan.ranks.size)

    def _find_end(self) -> str:
        """Why the training ends after the epoch it has reached; empty to go on."""
        if not self.epoch:
            return ""
        if self.plan.ranks.any_of(self._is_stopped())[0]:
            return "it was stopped"
        patience = max(SMALLEST_PATIENCE, round(PATIENCE * self.settings.max_epochs))
        if self.plan.validates and self.settings.early_stopping and self.epoch - self.outcome.best_epoch >= patience:
            return f"the figure has not improved since epoch {self.outcome.best_epoch}"
        return ""

    def _train_epoch(self, number: int) -> Iterator[Event]:
        """Runs the steps of one epoch; returns their mean loss."""
        losses = []
        done, total = (number - 1) * self._steps, self.settings.max_epochs * self._steps
        self.network.train()
        keep_frozen(self.network)
        torch.manual_seed(self.settings.seed + number)  # of dropout; so a resumed training draws what it would have drawn
        for step, batch in enumerate(self._batches.epoch(number, self._steps, lambda: self.outcome.batch_size)):
            failure, loss = self._try_step(batch)
            failed, stopped = self.plan.ranks.any_of(failure is not None, self._is_stopped())
            if failed:
                yield self._shrink_batch(failure)
                continue
            self._apply()
            if loss is not None:
                losses.append(loss)
            if stopped and (self.outcome.best_epoch or not self.plan.validates):
                break
            yield progress(
                (done + step + 1) / total, f"Epoch {number} of {self.settings.max_epochs}, step {step + 1} of {self._steps}"
            )
        return float(np.mean(losses)) if losses else math.nan

    def _try_step(self, batch: Batch) -> tuple[Exception | None, float | None]:
        """The failure for want of memory, if any, and the loss, None when the crops showed no label."""
        try:
            return None, self._step(batch)
        except (RuntimeError, MemoryError) as failure:
            if not is_out_of_memory(failure):
                raise
            return failure, None

    def _step(self, batch: Batch) -> float | None:
        """Gradients of one batch; returns the loss, None when the crops showed no label."""
        self._optimiser.zero_grad(set_to_none=True)
        loss = self._loss_of(batch)
        if loss is None:
            return None
        value = loss.item()
        if not math.isfinite(value):
            raise ToolboxError(
                f"The training diverged (the loss became {value}) at a learning rate of {self.outcome.learning_rate:g}; "
                "choose a smaller LEARNING_RATE."
            )
        self.arithmetic.backward(loss, self._optimiser)
        return value

    def _loss_of(self, batch: Batch) -> Tensor | None:
        """The loss of a batch, of both targets where crops are mixed; None without labels."""
        with self.arithmetic.forward():
            logits = self.network(batch.image.contiguous(memory_format=torch.channels_last))
        own = segmentation_loss(logits, batch.target, self.weights, self.settings.loss)
        if batch.partner_target is None or own is None:
            return own
        partner = segmentation_loss(logits, batch.partner_target, self.weights, self.settings.loss)
        return batch.share * own + (1 - batch.share) * partner

    def _apply(self) -> None:
        """One update with the gradients of all ranks, if any of them has some."""
        parameters = [parameter for group in self._optimiser.param_groups for parameter in group["params"]]
        if not average_gradients(parameters, self.plan.ranks):
            return
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        self.arithmetic.step(self._optimiser)
        self._schedule.step()
        self.average.update(self.network)

    def _shrink_batch(self, failure: Exception | None) -> Event:
        """Halves the batch after a failed step; raises ToolboxError when it cannot be halved."""
        self._optimiser.zero_grad(set_to_none=True)
        if self.outcome.batch_size < 2 * SMALLEST_BATCH:
            rows, columns = self._batches.size
            raise ToolboxError(
                f"The memory of {self.device} does not suffice for {self.outcome.batch_size} crops of {rows} x {columns} pixels; "
                "choose a smaller CHIP_SIZE or BACKBONE."
            ) from failure
        self.outcome.batch_size //= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return warning(f"The memory of {self.device} does not suffice; the batch is now {self.outcome.batch_size} crops.")

    def _validate(self, number: int, loss: float) -> Iterator[Event]:
        """Measures the averaged network on the held-out labels after an epoch, records and returns the figures."""
        self.average.agree(self.plan.ranks)
        reported = time.monotonic()
        steps = validate(self)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                values, confusion = end.value
                break
            if time.monotonic() - reported > 0.25:
                reported = time.monotonic()
                yield progress(number / self.settings.max_epochs, f"Epoch {number}, validating")
        values = {"train_loss": loss, **values, "learning_rate": float(self._schedule.get_last_lr()[-1])}
        if self.outcome.record(values, confusion, self.settings.monitor):
            self.outcome.state_dict = copy_weights(self.average.network)
        return values

    def to_state(self) -> dict[str, Any]:
        """Everything that `resume` needs, as tensors, numbers, texts, lists and dictionaries."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "updates": self.average.updates,
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self.arithmetic.scaler.state_dict(),
            "outcome": self.outcome.to_state(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Goes back to where `to_state` was called; the plan must be the same."""
        self.epoch = state["epoch"]
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.updates = state["updates"]
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        if state["scaler"]:  # empty where the training was not in 16-bit floats
            self.arithmetic.scaler.load_state_dict(state["scaler"])
        before = Outcome.from_state(state["outcome"])
        self.outcome = replace(
            before, precision=self.arithmetic.precision, processes=self.plan.ranks.size,
            batch_size=self._share(before.batch_size * before.processes),  # a step stays as large with more or fewer processes
        )  # fmt: skip
        # The usual batch, and with it the steps of an epoch, may differ on another device; the schedule was made for these.
        self._steps = self._schedule.total_steps // self.settings.max_epochs


def average_gradients(parameters: list[nn.Parameter], ranks: Ranks) -> bool:
    """Replaces each gradient by its mean over all ranks; false when none has any."""
    have = any(parameter.grad is not None for parameter in parameters)
    if ranks.size == 1:
        return have
    gradients = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in parameters]
    flat = torch.cat([gradient.flatten() for gradient in gradients] + [gradients[0].new_full((1,), float(have))])
    ranks.add_up(flat)
    count = float(flat[-1])
    if not count:
        return False
    mean = (flat[:-1] / count).split([parameter.numel() for parameter in parameters])
    for parameter, part in zip(parameters, mean, strict=True):
        parameter.grad = part.view_as(parameter)
    return True


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """The network's tensors as they are now, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
