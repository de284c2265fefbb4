# SPDX-License-Identifier: GPL-2.0-or-later
"""Accuracy on held-out polygons in all three folds of the sample scene, the demo's chain beside the random forest.

Called by ``make bench-accuracy``. Each fold runs the demo's whole chain anew in a folder of its own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "demo"))

import chain
from run import compare, say

FOLDS = 3


def main() -> None:
    """Prints the accuracy of every method in every fold, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--bench-python", required=True)
    arguments = parser.parse_args()
    chain.enable_plugin()
    figures: dict[str, list] = {}
    for fold in range(FOLDS):
        say(f"Fold {fold + 1} of {FOLDS}")
        for name, accuracy in compare(arguments.sample, arguments.output / f"fold{fold + 1}", arguments.bench_python, fold).items():
            figures.setdefault(name, []).append(accuracy)
            say(f"  {accuracy}  {name}")
    say("Mean of the folds")
    for name, folds in figures.items():
        overall = sum(accuracy.overall for accuracy in folds) / FOLDS
        mean = sum(accuracy.mean_of_classes for accuracy in folds) / FOLDS
        say(f"  {overall:.3f} overall, {mean:.3f} mean of classes  {name}")


if __name__ == "__main__":
    main()
