# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed and memory of the training loop, as ratios measured in one run.

1. Throughput: steps of the real loop (reading, cutting, augmenting, averaging and all) against forward, loss and backward of the same
   network and batch on tensors that lie in memory, in turns. By the clock, and by the time of all processor cores, which other load
   distorts less.
2. Peak memory of the process with few chips and with many, beyond those that are kept in memory.
3. Time from the start of the worker's process, as the tool starts it, to the end of the first step on the few chips.

Called by ``make bench`` with the worker's Python.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import rasterio
import torch
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime.client import JobCancelled, new_job_folder, run_job
from deep_learning_toolbox.backend.runtime.interpreter import find_interpreter
from deep_learning_toolbox.backend.runtime.protocol import Event, Request
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from deep_learning_toolbox.backend.training import dataset, loop
from deep_learning_toolbox.backend.training.batches import Batch
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.loop import Plan, Trainer
from deep_learning_toolbox.backend.training.settings import TrainSettings
from deep_learning_toolbox.backend.training.split import split_blocks
from numpy.typing import NDArray
from rasterio.transform import from_origin

TILE, BANDS, BATCH, ROUNDS, STEPS = 256, 6, 8, 5, 4
FEW, MANY = 100, 800  # chips
KEPT_BYTES = 32 * 2**20  # so that either has to be read again


def main() -> None:
    """Prints the figures with their parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        _train_a_little(arguments.memory)
        return
    with tempfile.TemporaryDirectory() as folder:
        few = make_chips(Path(folder) / "few", FEW)
        measure_throughput(few)
        peaks = [_peak_of(chips) for chips in (few, make_chips(Path(folder) / "many", MANY))]
        say(f"peak memory: {peaks[0]:.0f} MiB with {FEW} chips, {peaks[1]:.0f} MiB with {MANY}, ratio {peaks[1] / peaks[0]:.2f}")
        seconds, what = measure_start(few, Path(folder) / "model")
        say(f"time to the first step, {FEW} chips: {seconds:.1f} s ({what})")


def measure_throughput(chips: Path) -> None:
    """Steps of the loop against bare forward and backward passes, in turns."""
    trainer = make_trainer(chips, batch_size=BATCH)
    batch = Batch(torch.randn(BATCH, BANDS, TILE, TILE), torch.randint(0, 2, (BATCH, TILE, TILE)))
    loops, bares = [], []
    for number in range(ROUNDS + 1):  # the first warms up
        began = _now()
        for _ in trainer._train_epoch(number + 1):
            pass
        between = _now()
        for _ in range(STEPS):
            trainer._step(batch)
        bares.append((_now() - between) / STEPS)
        loops.append((between - began) / STEPS)
    loop_seconds, bare_seconds = (np.median(times[1:], axis=0) for times in (loops, bares))
    say(f"training, U-Net with ResNet-34, {BANDS} bands, {BATCH} crops of {TILE} x {TILE}, {torch.get_num_threads()} threads")
    for title, whole, bare in zip(("time", "processor time"), loop_seconds, bare_seconds, strict=True):
        say(f"  {title} of a step: {whole:.2f} s, forward and backward alone {bare:.2f} s, efficiency {bare / whole:.2f}")


def _now() -> NDArray[np.float64]:
    """Seconds by the clock, and of all cores."""
    return np.array([time.perf_counter(), time.process_time()])


def measure_start(chips: Path, output: Path) -> tuple[float, str]:
    """Seconds from the start of a training as the tool starts it to its first step, and the message of that step."""
    ends: list[tuple[float, str]] = []

    def note(event: Event) -> None:
        if event["event"] == "progress" and "step 1 of" in event["message"]:
            ends.append((time.perf_counter() - began, event["message"]))

    settings = TrainSettings(str(chips), str(output), weights="none", device="cpu")
    request = Request("train", asdict(settings), "bench", __version__)
    began = time.perf_counter()
    with contextlib.suppress(JobCancelled):
        run_job(request, find_interpreter(None), new_job_folder("train"), note, lambda: bool(ends))
    return ends[0]


def make_trainer(chips: Path, batch_size: int) -> Trainer:
    """A trainer whose epochs have few steps."""
    loop.SMALLEST_EPOCH = STEPS
    settings = TrainSettings(str(chips), "not written", weights="none", device="cpu", batch_size=batch_size, max_epochs=1000)
    store = ChipStore(settings)
    for _ in store.scan():
        pass
    store.apply_split(split_blocks(store.census, 20, 1))
    network = build_network("unet", "resnet34", BANDS, 2)
    trainer = Trainer(network, store, Plan(settings, False, 1e-3, Ranks()), lambda: False)
    trainer._steps = STEPS
    return trainer


def _train_a_little(chips: Path) -> None:
    """In a process of its own: reads the chips, trains and validates, tells the peak."""
    dataset.MEMORY_BYTES = KEPT_BYTES
    trainer = make_trainer(chips, batch_size=2)
    for _ in trainer._train_epoch(1):
        pass
    say(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _peak_of(chips: Path) -> float:
    """MiB."""
    done = subprocess.run([sys.executable, __file__, "--memory", str(chips)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def make_chips(folder: Path, count: int) -> Path:
    """So many chips of noise with two classes in squares."""
    rows, columns = count // 10 * TILE, 10 * TILE
    random = np.random.default_rng(1)
    profile = {"driver": "GTiff", "height": rows, "width": columns, "transform": from_origin(0, 0, 10, 10), "crs": "EPSG:32632",
               "tiled": True}  # fmt: skip
    folder.parent.mkdir(exist_ok=True)
    image, label = folder.with_suffix(".tif"), folder.with_name(folder.name + "_label.tif")
    with rasterio.open(image, "w", count=BANDS, dtype="uint16", **profile) as target:
        for row in range(0, rows, TILE):
            block = random.integers(1, 3000, (BANDS, TILE, columns)).astype(np.uint16)
            target.write(block, window=rasterio.windows.Window(0, row, columns, TILE))
    with rasterio.open(label, "w", count=1, dtype="uint8", **profile) as target:
        place = np.add.outer(np.arange(rows) // 64, np.arange(columns) // 64)
        target.write((1 + place % 2).astype(np.uint8), 1)
    settings = ExportSettings(str(image), str(folder), label_raster=str(label), stride_x=TILE, stride_y=TILE)
    for _ in export_chips(settings, "bench"):
        pass
    return folder


def say(text: str) -> None:
    """Writes a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
