# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage "train": from chip folders to a model package. Runs in the worker.

Steps: check the output folder, choose the device, read the chips, split the labels, build the network, train, write checkpoints,
figures, report and package into a partial folder, move them in. Stops between two events without leaving anything; a file `stop`
in the working directory, which is the job's folder, ends the training early and keeps the best epoch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ..errors import ToolboxError
from ..models.catalogue import ENCODERS
from ..models.package import read_package, write_package
from ..models.registry import SizedNetwork, build_network
from ..models.transfer import transfer_weights
from ..models.weights import load_encoder_weights
from ..runtime.device import choose_device
from ..runtime.protocol import STOP_FILE, Event, device, info, progress, result, warning
from .dataset import ChipStore
from .loop import Trainer
from .output import CHECKPOINTS, REPORT, model_path, open_output
from .preview import Preview, measure_memory
from .refit import refit, wants_refit
from .results import RunFacts, describe_model, evaluate_run, write_characteristics, write_report
from .settings import TrainSettings
from .split import split_blocks

READ_SHARE, FIRST_SHARE, FIT_SHARE = 0.05, 0.6, 0.97  # of the progress bar, where reading, the first training and all training end
MOST_SHOWN_VALUES = 10
UNITS = {"label": "polygon, or a square of a label raster", "square": "square of two chips' side", "chip": "chip"}


def train(settings: TrainSettings, job_id: str) -> Iterator[Event]:
    """Trains a network and writes its package.

    Yields:
        Events; the result's outputs are OUTPUT, MODEL, OUTPUT_HTML (paths), SCORE (the monitored figure of the kept epoch on
        held-out labels) and EPOCHS (the number run).

    Raises:
        ToolboxError: The request, the data or the output folder cannot be used.
    """
    began = time.monotonic()
    with open_output(Path(settings.output), job_id) as output, deterministic(settings.seed):
        chosen = choose_device(settings.device)
        yield device(chosen.name, chosen.torch_device, chosen.reason)
        store = ChipStore(settings.folders, settings.unlabelled, settings.split)
        yield from _describe_folders(store)
        for share in store.scan():
            yield progress(READ_SHARE * share, "Reading chips")
        yield from _warn_of_unlisted_values(store)
        split = yield from _split_labels(store, settings)
        settings, network, pretrained, origin = yield from _start_network(settings, store)
        rate = settings.learning_rate or ENCODERS[settings.backbone].learning_rate
        refits, start = wants_refit(settings, store), copy_weights(network)
        trainer = Trainer(network, store, settings, chosen.torch_device, pretrained, rate, Path(STOP_FILE).exists)
        yield info(
            f"Training on {len(store)} chips of {store.chip_size[1]} x {store.chip_size[0]} pixels, "
            f"{trainer.outcome.batch_size} a step, peak learning rate {rate:g}."
        )
        middle = FIRST_SHARE if refits else FIT_SHARE
        yield from _fit(trainer, output.partial / CHECKPOINTS, Preview(store, Path()), chosen.name, middle)
        yield progress(middle, "Writing the report")
        planned = settings.max_epochs if refits and not Path(STOP_FILE).exists() else 0
        facts = RunFacts(
            output.path.name, settings, store, split, trainer.outcome, origin, chosen.name, time.monotonic() - began, planned
        )
        evaluation = yield from evaluate_run(facts, trainer.average.network, middle)
        final = trainer.outcome.state_dict
        if planned:
            refitted = yield from _refit(trainer, start, pretrained, middle)
            facts = replace(facts, refit_epochs=planned if refitted else 0, seconds=time.monotonic() - began)
            final = refitted or final
        extra = {**write_characteristics(facts, output.partial), **write_report(facts, evaluation, output.partial)}
        model = model_path(output.path)
        write_package(output.partial / model.name, describe_model(facts), final, extra)
        output.publish()
    outcome = trainer.outcome
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


def _describe_folders(store: ChipStore) -> Iterator[Event]:
    """Tells how many chips were struck out, and what is odd about the folders."""
    for folder in store.folders:
        if folder.struck_out:
            total = len(folder.chips) + folder.struck_out
            yield info(f"{folder.struck_out} of {total} chips of {folder.path} are struck out in {folder.footprints}; not used.")
        for note in folder.notes:
            yield warning(note)


def _warn_of_unlisted_values(store: ChipStore) -> Iterator[Event]:
    """Names the label values that no class list has."""
    for folder, counts in store.unlisted.items():
        listed = ", ".join(f"{value} ({pixels:,} pixels)" for value, pixels in list(counts.items())[:MOST_SHOWN_VALUES])
        more = f" and {len(counts) - MOST_SHOWN_VALUES} more" if len(counts) > MOST_SHOWN_VALUES else ""
        yield warning(
            f"The labels of {folder} hold values that its class list lacks: {listed}{more}. These pixels are ignored; to learn them, "
            "export again with these classes, or see the chips with Inspect training data."
        )


def _split_labels(store: ChipStore, settings: TrainSettings) -> Iterator[Event]:
    """Splits the labels, tells how; returns the split."""
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
    split = split_blocks(store.census, settings.validation_percent, settings.seed, UNITS[store.block_kind])
    store.apply_split(split)
    held, used = sum(split.validation_pixels.values()), sum(split.training_pixels.values())
    yield info(
        f"Held out for validation: {len(split.validation)} of {len(store.census)} blocks "
        f"(a block is a {UNITS[store.block_kind]}), {held:,} of {held + used:,} labelled pixels, "
        "those in several chips counted in each."
    )
    if settings.split == "random":
        yield warning(
            "SPLIT=random holds out whole chips at random: neighbouring and overlapping chips show the same ground, so the "
            "score is optimistic. SPLIT=spatial gives an honest one."
        )
    names = _names_by_index(store)
    if split.not_validated:
        listed = ", ".join(names[index] for index in split.not_validated)
        yield warning(f"Not validated, since all labels are in one block: {listed}. Draw more labels to learn how well it is found.")
    unseen = [name for index, name in enumerate(names) if index not in split.training_pixels]
    if unseen:
        yield warning(f"No chip holds a label of {', '.join(unseen)}; the model will never predict it.")
    if store.has_background:
        yield info("Unlabelled pixels with data count as class 0, Background.")
    return split


def _names_by_index(store: ChipStore) -> list[str]:
    """Name of each class index."""
    names = [entry.name for entry in store.classes.classes]
    return ["Background", *names] if store.has_background else names


def _start_network(settings: TrainSettings, store: ChipStore) -> Iterator[Event]:
    """Builds the network with its first weights; returns the settings in use, the network, pretrained, and a sentence."""
    if settings.pretrained_model is not None:
        model, state_dict = read_package(settings.pretrained_model)
        settings = settings.with_network(model.architecture, model.backbone)
        network = _build(settings, store)
        origin = transfer_weights(network, model, state_dict, store.bands, store.class_values)
        yield info(f"{origin} Model type {model.architecture} and backbone {model.backbone} are the model's.")
        return settings, network, True, origin
    network = _build(settings, store)
    loaded = load_encoder_weights(network, settings.backbone, settings.weights, settings.weights_file, settings.cache, store.bands)
    yield warning(loaded.description) if loaded.warning else info(loaded.description)
    return settings, network, loaded.pretrained, loaded.description


def _build(settings: TrainSettings, store: ChipStore) -> SizedNetwork:
    return build_network(settings.model_type, settings.backbone, len(store.bands), len(store.class_values))


def _fit(trainer: Trainer, checkpoints: Path, preview: Preview, device_name: str, end: float) -> Iterator[Event]:
    """Trains up to a share of the progress bar; keeps the last and the best weights in files, shows samples of each better epoch."""
    checkpoints.mkdir()
    for event in trainer.fit():
        if event["event"] == "metric":
            if trainer.outcome.best_epoch == event["epoch"]:
                _save(trainer.outcome.state_dict, checkpoints / "best.safetensors")
                yield from preview.show(trainer.average.network, event["epoch"])
            _save(trainer.network.state_dict(), checkpoints / "last.safetensors")
            yield measure_memory(trainer.device, device_name)
        if event["event"] == "progress":
            event = progress(READ_SHARE + (end - READ_SHARE) * event["fraction"], event["message"])
        yield event


def _refit(trainer: Trainer, start: dict[str, Tensor], pretrained: bool, begin: float) -> Iterator[Event]:
    """The second training, on all labels; returns its weights, None when it was stopped."""
    steps = refit(trainer, start, pretrained, Path(STOP_FILE).exists)
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        if event["event"] == "progress":
            event = progress(begin + (FIT_SHARE - begin) * event["fraction"], f"All labels: {event['message']}")
        yield event


def copy_weights(network: SizedNetwork) -> dict[str, Tensor]:
    """The network's tensors as they are now."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def _save(state_dict: dict[str, Tensor], path: Path) -> None:
    """Writes tensors under a temporary name first."""
    temporary = path.with_suffix(".partial")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    temporary.write_bytes(safetensors.torch.save(tensors))
    temporary.replace(path)
