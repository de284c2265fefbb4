# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage "train": from chip folders to a model package. Runs in the worker.

Steps: check the output folder, choose the device, read the chips, split the labels, build the network, train, write checkpoints,
figures, report and package into a partial folder, move them in. A file `stop` in the working directory, which is the job's folder,
ends the training early and keeps the best epoch. Cancelled between two events it leaves nothing; interrupted, it leaves its state
(`unfinished`). With several processes (`Ranks`) the first one does all of this, and the others train along.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ToolboxError
from ..models.catalogue import ENCODERS
from ..models.package import write_package
from ..runtime.companions import companions, own_device
from ..runtime.device import choose_device
from ..runtime.protocol import Event, device, info, progress, result
from ..runtime.ranks import Ranks, join_ranks
from .announce import UNITS, describe_folders, describe_split, list_names, warn_of_damage, warn_of_unlisted_values
from .dataset import ChipStore
from .first_weights import Start, start_network
from .fit_batch import fit_batch
from .loop import Plan
from .output import CHECKPOINTS, REPORT, model_path, open_output
from .rate_finder import find_rate
from .results import RunEvaluation, RunFacts, describe_model, evaluate_run, write_characteristics, write_report
from .room import check_room, write_in_room
from .runner import READ_SHARE, Runner
from .settings import TrainSettings
from .split import Split, hold_out_folders, split_blocks
from .unfinished import UNFINISHED, Unfinished, refuse_disagreement


def train(settings: TrainSettings, job_id: str) -> Iterator[Event]:
    """Trains a network and writes its package.

    Yields:
        Events; the result's outputs are OUTPUT, MODEL, OUTPUT_HTML (paths), SCORE (the monitored figure of the kept epoch on
        held-out labels) and EPOCHS (the number run).

    Raises:
        ToolboxError: The request, the data or the output folder cannot be used.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(companions("train", settings, job_id))
        chosen = choose_device(own_device(settings.device))
        ranks = stack.enter_context(join_ranks(chosen.torch_device))
        output = stack.enter_context(open_output(Path(settings.output), job_id)) if ranks.is_first else None
        stack.enter_context(deterministic(settings.seed))
        yield device(chosen.name, chosen.torch_device, chosen.reason)
        if ranks.size > 1:
            yield info(f"{ranks.size} processes train together; this is number {ranks.rank + 1}.")
        store, split = yield from _read_chips(settings)
        start = yield from start_network(settings, store)
        if output is not None:
            yield from check_room(output.path, start.network)
        unfinished = stack.enter_context(Unfinished(Path(settings.output), start.settings, store, job_id, ranks.is_first))
        runner = yield from _prepare(start, store, ranks, unfinished)
        yield from runner.run_first(output.partial / CHECKPOINTS if output else None, chosen.name)
        if output is None:
            yield from runner.run_second()
            yield result({})
            return
        facts = RunFacts(output.path.name, start.settings, store, split, runner.first.outcome, start.origin, chosen.name)
        evaluation = yield from evaluate_run(facts, runner.first.average.network, runner.middle)
        yield from runner.run_second()
        facts = replace(facts, refit_epochs=runner.refit_epochs, seconds=time.monotonic() - began)
        model = model_path(output.path)
        write = partial(_write, facts, evaluation, runner.state_dict, output.partial / model.name)
        yield from write_in_room(write, output.partial / CHECKPOINTS, output.path / UNFINISHED)
        output.publish()
    outcome = facts.outcome
    yield info(f"Epoch {outcome.best_epoch} of {len(outcome.history)} was kept, {settings.monitor} {outcome.score:.3f}.")
    yield result(
        {
            "OUTPUT": str(output.path),
            "MODEL": str(model),
            "OUTPUT_HTML": str(output.path / REPORT),
            "SCORE": outcome.score,
            "EPOCHS": len(outcome.history),
        }
    )


def _write(facts: RunFacts, evaluation: RunEvaluation, state_dict: dict[str, Tensor], package: Path) -> None:
    """Writes curves, report and package into one folder."""
    extra = {**write_characteristics(facts, package.parent), **write_report(facts, evaluation, package.parent)}
    write_package(package, describe_model(facts), state_dict, extra)


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Seeds PyTorch and asks it for repeatable algorithms; what has none warns in the log. Undone on leaving."""
    was_on, warn_only = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no repeatable algorithm
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_on, warn_only=warn_only)


def _read_chips(settings: TrainSettings) -> Iterator[Event]:
    """Reads the chips and splits their labels, tells about them; returns the store and the split."""
    store = ChipStore(settings)
    yield from describe_folders(store)
    for share in store.scan():
        yield progress(READ_SHARE * share, "Reading chips")
    yield from warn_of_damage(store)
    yield from warn_of_unlisted_values(store)
    if settings.chip_size > min(store.chip_size):
        raise ToolboxError(
            f"CHIP_SIZE is {settings.chip_size}, but the chips have {store.chip_size[1]} x {store.chip_size[0]} pixels; choose a "
            "smaller one, or 0 for whole chips."
        )
    if not any(store.census.values()):
        raise ToolboxError("No chip holds a labelled pixel with data; export training data with labels inside the raster.")
    if len(store.class_values) < 2:
        raise ToolboxError(
            "There is only one class and unlabelled pixels are ignored, so there is nothing to tell apart; choose "
            "UNLABELED=auto or background, or label a second class."
        )
    split = _split(settings, store)
    if len(present := {index for of_block in store.census.values() for index in of_block}) < 2:
        raise ToolboxError(
            f"All labelled pixels are of the class {list_names(store)[present.pop()]}, so there is nothing to tell apart; add chips "
            "with labels of a second class."
        )
    store.apply_split(split)
    yield from describe_split(store, settings, split)
    return store, split


def _split(settings: TrainSettings, store: ChipStore) -> Split:
    """Which blocks are held out."""
    if settings.split == "folder":
        return hold_out_folders(store.census, store.first_validation_folder)
    return split_blocks(store.census, settings.validation_percent, settings.seed, UNITS[store.block_kind])


def _prepare(start: Start, store: ChipStore, ranks: Ranks, unfinished: Unfinished) -> Iterator[Event]:
    """Finds batch and learning rate, or goes back to where an unfinished training was; returns a `Runner`."""
    settings = start.settings
    state = yield from unfinished.load(settings.resume)
    refuse_disagreement(state, ranks)
    rate = settings.learning_rate or ENCODERS[settings.backbone].learning_rate
    plan = Plan(settings, start.pretrained, rate, ranks)
    if state is not None:
        plan = replace(plan, learning_rate=state["learning_rate"])
    else:
        if not settings.batch_size:
            fitting = yield from fit_batch(start.network, store, settings, ranks)
            plan = replace(plan, settings=replace(settings, batch_size=fitting))
        if not settings.learning_rate:
            plan = replace(plan, learning_rate=(yield from find_rate(start.network, store, plan)))
    runner = Runner(start.network, store, plan, unfinished)
    if state is not None:
        runner.resume(state)
    outcome = runner.first.outcome
    yield info(
        f"Training on {len(store)} chips of {store.chip_size[1]} x {store.chip_size[0]} pixels, "
        f"{outcome.batch_size * outcome.processes} a step, peak learning rate {plan.learning_rate:g}, {outcome.precision}."
    )
    return runner
