# SPDX-License-Identifier: GPL-2.0-or-later
"""A random forest on the bands' values of single pixels, on the same folds as ``accuracy_scenes.py``.

The floor that a network has to beat. How high it lies depends on the draw of the training pixels, so several seeds are measured.
Called by ``make bench-accuracy`` with the benchmarks' Python, which has scikit-learn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import rasterio
from labelled_scenes import Fold, find_folds
from sklearn.ensemble import RandomForestClassifier

PIXELS = 20_000  # of all scenes together
TREES = 100


def main() -> None:
    """Prints the score of each fold: mean IoU of its classes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    for fold in find_folds(arguments.data, arguments.output):
        scores = [measure(fold, seed) for seed in range(1, arguments.seeds + 1)]
        mean = np.mean(scores, axis=0)
        spread = statistics.stdev(float(np.mean(score)) for score in scores)
        classes = " ".join(f"{value:.2f}" for value in mean)
        sys.stdout.write(f"{fold.name}: random forest {mean.mean():.3f} ± {spread:.3f} (classes {classes})\n")
        sys.stdout.flush()


def measure(fold: Fold, seed: int) -> list[float]:
    """IoU of each class of the fold over all of its test images together."""
    random = np.random.default_rng(seed)
    drawn = [_draw(*scene, PIXELS // len(fold.scenes), random) for scene in fold.scenes]
    forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=-1)
    forest.fit(np.concatenate([pixels for pixels, _ in drawn]), np.concatenate([labels for _, labels in drawn]))
    found = [(forest.predict(pixels), labels) for pixels, labels in (_read(*test) for test in fold.tests)]
    predicted, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return [
        float(np.sum((predicted == value) & (labels == value)) / max(np.sum((predicted == value) | (labels == value)), 1))
        for value in fold.classes
    ]


def _draw(image: Path, mask: Path, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = _read(image, mask)
    chosen = random.choice(len(labels), min(count, len(labels)), replace=False)
    return pixels[chosen], labels[chosen]


def _read(image: Path, mask: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values (pixels, bands) and labels (pixels,)."""
    with rasterio.open(image) as bands, rasterio.open(mask) as labels:
        return bands.read().reshape(bands.count, -1).T, labels.read(1).ravel()


if __name__ == "__main__":
    main()
