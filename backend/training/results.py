# SPDX-License-Identifier: GPL-2.0-or-later
"""What a finished training run leaves: the model's description, the loss curves as JSON, the report."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import torch

from .. import __version__
from ..models.catalogue import ARCHITECTURES, ENCODERS
from ..models.definition import ModelDescription
from ..models.registry import SizedNetwork
from ..runtime.protocol import Event
from ..runtime.remaining import describe_seconds
from .dataset import ChipStore
from .evaluation import Calibration, count_trained, evaluate
from .outcome import Outcome
from .output import CHARACTERISTICS, REPORT
from .report import ReportData, per_class_figures, render_report
from .samples import Sample, ShownClass, choose_chips, list_classes, predict_samples
from .settings import TrainSettings, parameter_name
from .split import Split
from .split_map import SplitMap, draw_split_maps
from .validation import chips_at_once

MOST_SAMPLES = 6
MOST_WORST = 4
MONITOR_NAMES = {"miou": "mean IoU", "valid_loss": "validation loss", "accuracy": "overall accuracy", "f1": "mean F1"}


@dataclass(frozen=True)
class RunFacts:
    """Everything known at the end of a run.

    Attributes:
        name: Of the model.
        settings: As they were used.
        store: The chips.
        split: What was held out.
        outcome: What the loop found.
        origin: Sentence on the first weights.
        device: Name of the device.
        seconds: Duration so far.
        refit_epochs: Epochs of a second training on all labels, whose weights the model has; 0 without one.
    """

    name: str
    settings: TrainSettings
    store: ChipStore
    split: Split
    outcome: Outcome
    origin: str
    device: str
    seconds: float = 0.0
    refit_epochs: int = 0

    @property
    def classes(self) -> tuple[ShownClass, ...]:
        """Classes in channel order."""
        return list_classes(self.store)

    @property
    def best(self) -> dict[str, float]:
        """Figures of the epoch that was kept."""
        return self.outcome.history[self.outcome.best_epoch - 1].values


def describe_model(facts: RunFacts) -> ModelDescription:
    """The description for the package; figures that are not finite are left out, since JSON has no NaN."""
    index, best = facts.store.folders[0].index, facts.best
    figures = per_class_figures(facts.outcome.confusion)
    return ModelDescription(
        name=facts.name,
        architecture=facts.settings.model_type,
        backbone=facts.settings.backbone,
        bands=facts.store.bands,
        classes=facts.store.classes,
        has_background=facts.store.has_background,
        chip_size=facts.settings.chip_size or max(facts.store.chip_size),
        gsd_m=index.gsd_m,
        cell_size=index.cell_size,
        crs_wkt=index.crs_wkt,
        training={
            **{name: best[name] for name in ("miou", "accuracy", "f1", "valid_loss", "train_loss") if math.isfinite(best[name])},
            "monitor": facts.settings.monitor,
            "epochs": len(facts.outcome.history),
            "best_epoch": facts.outcome.best_epoch,
            "learning_rate": facts.outcome.learning_rate,
            "batch_size": facts.outcome.batch_size,
            "processes": facts.outcome.processes,
            "split": facts.settings.split,
            "sensor": index.sensor,
            "weights": facts.origin,
            "per_class": {entry.name: figures[entry.value] for entry in facts.classes if entry.value in figures},
            "refit_epochs": facts.refit_epochs,
            "not_validated": [facts.classes[index].name for index in facts.split.not_validated],
        },
    )


def write_characteristics(facts: RunFacts, folder: Path) -> dict[str, Path]:
    """Writes the loss curves; returns member name → file for the package."""
    path = folder / CHARACTERISTICS / "training_validation_loss.json"
    path.parent.mkdir(exist_ok=True)
    history = [epoch.values for epoch in facts.outcome.history]
    names = ("train_loss", "valid_loss", "miou", "accuracy", "f1", "learning_rate")
    curves = {name: [values[name] if math.isfinite(values[name]) else None for values in history] for name in names}
    path.write_text(json.dumps({"epoch": list(range(1, len(history) + 1)), **curves}, indent=1), encoding="utf-8")
    return {f"{CHARACTERISTICS}/{path.name}": path}


@dataclass(frozen=True)
class RunEvaluation:
    """What the report shows of the network that was measured: its calibration, samples, its worst chips, and the split.

    Attributes:
        trained: Class index → pixels of the ground trained on.
        calibration, samples, worst, maps: See `ReportData`.
    """

    trained: dict[int, int]
    calibration: Calibration
    samples: list[Sample]
    worst: list[Sample]
    maps: list[SplitMap]


def evaluate_run(facts: RunFacts, network: SizedNetwork, fraction: float) -> Iterator[Event]:
    """Looks at the held-out labels with the weights that were kept; yields progress, returns a `RunEvaluation`.

    Args:
        facts: The run.
        network: A network of the model's kind, on the device; gets the weights that were kept.
        fraction: Share of the whole job that is done.
    """
    network.load_state_dict(facts.outcome.state_dict)
    most = chips_at_once(facts.store, facts.settings.chip_size, facts.outcome.batch_size)
    found = yield from evaluate(facts.store, network, most, fraction)
    return RunEvaluation(
        (yield from count_trained(facts.store, fraction)),
        found.calibration,
        predict_samples(facts.store, network, choose_chips(facts.store, MOST_SAMPLES)),
        predict_samples(facts.store, network, [chip.number for chip in found.worst_chips(MOST_WORST)]),
        draw_split_maps(facts.store),
    )


def write_report(facts: RunFacts, found: RunEvaluation, folder: Path) -> dict[str, Path]:
    """Writes the HTML report; returns member name → file for the package."""
    confusion, store = facts.outcome.confusion, facts.store
    data = ReportData(
        title=f"{facts.name}: {ARCHITECTURES[facts.settings.model_type].title} with {facts.settings.backbone}",
        headline=f"Measured on {confusion.total:,} held-out pixels, whose labels the training never saw, with the network of epoch "
        f"{facts.outcome.best_epoch}.",
        notes=_list_notes(facts),
        facts=_list_facts(facts, sum(found.trained.values())),
        history=[epoch.values for epoch in facts.outcome.history],
        best_epoch=facts.outcome.best_epoch,
        classes=facts.classes,
        training_pixels={store.class_values[index]: pixels for index, pixels in found.trained.items()},
        confusion=confusion,
        calibration=found.calibration,
        samples=found.samples,
        worst=found.worst,
        maps=found.maps,
        duration=describe_seconds(facts.seconds),
        device=facts.device,
    )
    path = folder / REPORT
    path.write_text(render_report(data), encoding="utf-8")
    return {REPORT: path}


def _list_notes(facts: RunFacts) -> list[str]:
    """What the reader must know to judge the figures."""
    if facts.settings.split == "folder":
        notes = [f"Measured on the chips of {facts.settings.validation_folder}, none of which was trained on."]
        if facts.store.overlap():
            notes.append("Folders of chips show the same ground; if the validation folder is one of them, the figures are optimistic.")
    elif facts.settings.split == "random":
        notes = ["Whole chips were held out at random. Neighbouring chips show the same ground, so these figures are optimistic."]
    else:
        notes = [
            "Whole polygons or blocks were held out: no labelled pixel was both trained on and validated. The image around them "
            "may have been seen, without labels."
        ]
    if facts.refit_epochs:
        notes.append(
            f"The model itself was then trained anew on all labels, the held-out ones too, for {facts.refit_epochs} epochs. It is "
            "expected to be no worse than these figures, but cannot be measured by the same labels."
        )
    if facts.settings.pretrained_model:
        notes.append(
            "The network goes on from a trained model. Where that model was trained on the same ground, it has seen these places, and "
            "the figures are optimistic: assess the map with labels that neither has seen."
        )
    notes.append("The epoch was chosen by these same held-out labels, so an independent sample may score a little lower.")
    if facts.split.not_validated:
        listed = ", ".join(facts.classes[index].name for index in facts.split.not_validated)
        where = "the validation folder has none of their labels" if facts.settings.split == "folder" else "all labels are in one block"
        notes.append(f"Not validated, since {where}: {listed}. The means leave them out.")
    if single := _find_single_blocks(facts):
        notes.append(f"A single polygon or block is held out of {', '.join(single)}: figures of so few labels are rough.")
    if facts.split.not_trained:
        listed = ", ".join(facts.classes[index].name for index in facts.split.not_trained)
        notes.append(
            f"Only the validation folder has labels of {listed}, so the model does not know them, and the means count them as 0."
        )
    return notes


def _find_single_blocks(facts: RunFacts) -> list[str]:
    """Names of the classes of which only one block of labels is held out; none where blocks are chips or whole folders."""
    if facts.settings.split != "spatial":
        return []
    counts = Counter(index for block in facts.split.validation for index, pixels in facts.store.census[block].items() if pixels)
    return [entry.name for index, entry in enumerate(facts.classes) if counts[index] == 1]


def _list_facts(facts: RunFacts, trained: int) -> dict[str, Sequence[tuple[str, str]]]:
    """Sections of the report with names and values; `trained` are the pixels of the ground trained on."""
    store, split, outcome = facts.store, facts.split, facts.outcome
    index, held = store.folders[0].index, outcome.confusion.total
    weights = sum(tensor.numel() for tensor in outcome.state_dict.values()) / 1e6
    kept = f"epoch {outcome.best_epoch} kept by {MONITOR_NAMES[facts.settings.monitor]}"
    encoder = ENCODERS[facts.settings.backbone]
    together = f" in each of {outcome.processes} processes" if outcome.processes > 1 else ""
    return {
        "Data": [
            ("Chip folders", ", ".join(map(str, facts.settings.folders))),
            ("Chips", f"{len(store)} of {store.chip_size[1]} x {store.chip_size[0]} pixels"),
            ("Struck out", f"{sum(folder.struck_out for folder in store.folders)} chips"),
            ("Bands", ", ".join(band.name for band in store.bands)),
            ("Ground sample distance", f"{index.gsd_m:g} m" if index.gsd_m is not None else "unknown, since the images have no CRS"),
            ("Sensor", index.sensor or "not told by the images"),
            ("Unlabelled pixels", "class 0, Background" if store.has_background else "ignored"),
        ],
        "Split": [
            ("Blocks", f"{len(split.training)} for training, {len(split.validation)} held out"),
            ("Labelled pixels", f"{trained:,} for training, {held:,} held out"),
            ("Overlapping chips", "each place counts once, and is measured in the chip that shows it farthest from the edge"),
        ],
        "Network": [
            ("Architecture", ARCHITECTURES[facts.settings.model_type].title),
            ("Backbone", f"{facts.settings.backbone} (licence of its usual ImageNet weights: {encoder.licence})"),
            ("Size", f"{weights:.1f} million weights"),
            ("First weights", facts.origin),
        ],
        "Run": [
            ("Epochs", f"{len(outcome.history)} run, {kept}; {outcome.ended}"),
            ("Second training", f"on all labels, {facts.refit_epochs} epochs" if facts.refit_epochs else "none"),
            ("Batch and learning rate", f"{outcome.batch_size} chips{together}, peak {outcome.learning_rate:g}"),
            ("Precision", outcome.precision),
            ("Device", facts.device),
            ("Duration", f"{describe_seconds(facts.seconds)}, until {datetime.now().astimezone():%Y-%m-%d %H:%M %z}"),
            ("Versions", f"Deep Learning Toolbox {__version__}, PyTorch {torch.__version__}"),
        ],
        "Settings": _list_settings(facts.settings),
    }


def _list_settings(settings: TrainSettings) -> list[tuple[str, str]]:
    """Parameters of the tool under their own names, with values as they are given there."""
    rows = []
    for name, value in asdict(settings).items():
        if name == "cache":  # a folder of this computer, no parameter
            continue
        shown = "; ".join(map(str, value)) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
        rows.append((parameter_name(name), "" if shown is None else str(shown)))
    return rows
