# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the first training, which is measured, and the second one on all labels, if there is one; keeps files for the case of a crash.

Leaves, beside the trained network: the last and the best weights of the first training in `checkpoints`, and after each epoch the
whole state, from which an interrupted run goes on in either training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from ..models.registry import SizedNetwork
from ..runtime.protocol import STOP_FILE, Event, progress, warning
from .dataset import ChipStore
from .loop import Plan, Trainer, copy_weights
from .outcome import Outcome
from .preview import Preview, measure_memory
from .refit import announce_refit, judge_refit, prepare_refit, wants_refit
from .unfinished import Unfinished

READ_SHARE, FIRST_SHARE, FIT_SHARE = 0.05, 0.6, 0.97  # of the progress bar, where reading, the first training and all training end


class Runner:
    """Both trainings of one run.

    Args:
        network: On the CPU, with its first weights.
        store: Scanned and split chips.
        plan: What to start from.
        unfinished: Keeps the state.

    Attributes:
        first: The training that is measured.
        middle: Share of the progress bar at its end.
        refit_epochs: Epochs of the second training, if its weights are used; else 0.
        state_dict: After both: the weights of the model.
    """

    def __init__(self, network: SizedNetwork, store: ChipStore, plan: Plan, unfinished: Unfinished) -> None:
        self._start = copy_weights(network)
        self._unfinished = unfinished
        self._refits = wants_refit(plan.settings, store)
        self._second_state: dict[str, Any] | None = None
        self.first = Trainer(network, store, plan, _is_stopped)
        self.middle = FIRST_SHARE if self._refits else FIT_SHARE
        self.refit_epochs = 0
        self.state_dict: dict[str, Tensor] = {}

    def resume(self, state: dict[str, Any]) -> None:
        """Goes back to where `Unfinished.save` was called."""
        if state["first"] is None:
            self.first.resume(state["trainer"])
            return
        self.first.outcome = Outcome.from_state(state["first"])
        self.first.epoch = self.first.settings.max_epochs
        self._second_state = state["trainer"]

    def run_first(self, checkpoints: Path | None, device_name: str) -> Iterator[Event]:
        """Trains and measures; each better epoch shows samples and, given a folder, leaves its weights there."""
        trainer = self.first
        preview = Preview(trainer.store, Path())
        if checkpoints:
            checkpoints.mkdir()
        begun = trainer.epoch
        for event in self._run(trainer, READ_SHARE, self.middle, ""):
            yield event
            if event["event"] != "metric" or checkpoints is None:
                continue
            is_best = trainer.outcome.best_epoch == event["epoch"]
            yield from _keep(trainer, checkpoints, is_best)
            if is_best:
                yield from preview.show(trainer.average.network, event["epoch"])
            yield measure_memory(trainer.device, device_name)
        if checkpoints and trainer.epoch == begun:  # went on after its last epoch
            yield from _keep(trainer, checkpoints, is_best=True)
        self.state_dict = trainer.outcome.state_dict
        yield progress(self.middle, "Measuring the accuracy")

    def run_second(self) -> Iterator[Event]:
        """Trains on all labels, if that is wanted and nobody has stopped; its weights replace the first ones unless it failed."""
        first = self.first
        if not self._refits or first.plan.ranks.any_of(_is_stopped())[0]:
            return
        yield announce_refit(first)
        second = prepare_refit(first, self._start, _is_stopped)
        if self._second_state is not None:
            second.resume(self._second_state)
        yield from self._run(second, self.middle, FIT_SHARE, "All labels: ")
        if not second.outcome.state_dict:  # stopped
            return
        if (fault := judge_refit(first, second)) is not None:
            yield fault
            return
        self.state_dict, self.refit_epochs = second.outcome.state_dict, first.settings.max_epochs

    def _run(self, trainer: Trainer, begin: float, end: float, prefix: str) -> Iterator[Event]:
        """A training's events, its progress from `begin` to `end`; after each epoch its state is kept."""
        kept = trainer.epoch
        for event in trainer.fit():
            if event["event"] == "progress":
                event = progress(begin + (end - begin) * event["fraction"], prefix + event["message"])
            yield event
            if trainer.epoch != kept:
                kept = trainer.epoch
                yield from self._unfinished.save(self._to_state(trainer))

    def _to_state(self, trainer: Trainer) -> dict[str, Any]:
        """The state of the run while this training is at work."""
        first = None if trainer is self.first else self.first.outcome.to_state()
        return {"first": first, "trainer": trainer.to_state(), "learning_rate": self.first.plan.learning_rate}


def _is_stopped() -> bool:
    """Whether the user wants what there is."""
    return Path(STOP_FILE).exists()


def _keep(trainer: Trainer, checkpoints: Path, is_best: bool) -> Iterator[Event]:
    """Writes the last weights, and the best ones; a full disk is told, and leaves those of an earlier epoch."""
    try:
        if is_best:
            _save(trainer.outcome.state_dict, checkpoints / "best.safetensors")
        _save(trainer.network.state_dict(), checkpoints / "last.safetensors")
    except OSError as failure:
        yield warning(
            f"The weights of epoch {trainer.epoch} cannot be saved ({failure.strerror}); the training goes on, those of an earlier "
            "epoch stay. Free some space on the disk of OUTPUT, or the model cannot be written in the end."
        )


def _save(state_dict: dict[str, Tensor], path: Path) -> None:
    """Writes tensors under a temporary name first."""
    temporary = path.with_suffix(".partial")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    try:
        temporary.write_bytes(safetensors.torch.save(tensors))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
