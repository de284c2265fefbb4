# SPDX-License-Identifier: GPL-2.0-or-later
"""What a training found, epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..assessment.confusion import ConfusionMatrix

MONITORS = {"miou": "mean_iou", "accuracy": "overall_accuracy", "f1": "mean_f1"}  # monitored figure: attribute of the matrix


@dataclass
class Epoch:
    """Figures of one epoch; `values` as in the metric event."""

    number: int
    values: dict[str, float]


@dataclass
class Outcome:
    """Filled while the training runs.

    Attributes:
        history: All epochs so far.
        best_epoch: Number of the epoch that was kept, from 1; 0 before the first.
        score: The monitored figure of that epoch.
        state_dict: Averaged weights of that epoch, on the CPU.
        confusion: Confusion matrix of that epoch over class values.
        batch_size: Chips per step that fitted, of one process.
        processes: How many trained together.
        learning_rate: Peak rate of the decoder.
        precision: Number format of the arithmetic.
        ended: Why the training ended.
    """

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    score: float = math.nan
    state_dict: dict[str, Tensor] = field(default_factory=dict)
    confusion: ConfusionMatrix | None = None
    batch_size: int = 0
    processes: int = 1
    learning_rate: float = 0.0
    precision: str = "fp32"
    ended: str = "all epochs were run"

    def record(self, values: dict[str, float], confusion: ConfusionMatrix, monitor: str) -> bool:
        """Adds an epoch to the history; true when it is the best so far, whose weights are to be kept."""
        self.history.append(Epoch(len(self.history) + 1, values))
        score = values[monitor]
        if self.best_epoch and not is_better(score, self.score, monitor):
            return False
        self.best_epoch, self.score, self.confusion = len(self.history), score, confusion
        return True

    def to_state(self) -> dict[str, Any]:
        """Everything as tensors, numbers, texts and lists."""
        confusion = None
        if self.confusion is not None:
            confusion = {"values": list(self.confusion.class_values), "counts": torch.from_numpy(self.confusion.counts)}
        plain = ("best_epoch", "score", "state_dict", "batch_size", "processes", "learning_rate", "precision", "ended")
        history = [epoch.values for epoch in self.history]
        return {**{name: getattr(self, name) for name in plain}, "history": history, "confusion": confusion}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Outcome:
        """The reverse of `to_state`."""
        history = [Epoch(number, values) for number, values in enumerate(state["history"], 1)]
        confusion = None
        if state["confusion"] is not None:
            confusion = ConfusionMatrix.from_counts(state["confusion"]["values"], state["confusion"]["counts"].numpy())
        return cls(**{**state, "history": history, "confusion": confusion})


def is_better(score: float, than: float, monitor: str) -> bool:
    """Whether a monitored figure is better than another one; a loss is the better the smaller it is; none (NaN) is the worst."""
    if math.isnan(than):
        return not math.isnan(score)
    return score < than if monitor == "valid_loss" else score > than
