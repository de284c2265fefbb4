# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed of the classification beside the network alone, and its memory for two sizes of raster.

Runs in the worker's Python, called by ``make bench``. Efficiency: the time of the bare forward passes of the same network, with its
batch normalisation folded, on the same tiles in the same batches and precision, divided by the time of the whole stage with reading,
blending, counts, overviews and the cloud-optimised copy; in turns in one process. Other load distorts the clock, so the processor
time is compared as well. Memory: the peak of fresh processes that classify rasters of two sizes with a network that needs next to
none. ``speed 2048`` measures a smaller raster, ``memory 20000`` one size only.

OpenMP waits passively here. By default its threads spin at barriers as long as they do not outnumber the cores. The forward passes
alone then spin, the stage with its second thread does not, and on a busy machine the part took longer than the whole (seen: 1.9
times the processor time on two cores under a load of 7).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
import torch
from affine import Affine
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.job import Job
from deep_learning_toolbox.backend.inference.prepare import open_for, prepare_job
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.labels.schema import ClassSchema
from deep_learning_toolbox.backend.models.definition import ModelDescription
from deep_learning_toolbox.backend.models.precision import HALF_TYPES
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime.device import choose_device
from deep_learning_toolbox.backend.runtime.ranks import Ranks

BANDS, CLASSES, BLOCK = 6, 5, 512
BACKBONE = "resnet34"
ROUNDS = 3
SPEED_SIZES = {"cpu": 4096, "cuda": 16_384, "mps": 8192}  # columns and rows
SMALL_SIDE = 1024  # where both precisions are compared: 16 bits are slow on processors that do not know them
MEMORY_SIZES = (20_000, 40_000)  # columns and rows


class Times(NamedTuple):
    """Seconds by the clock, and of all processor cores together."""

    wall: float
    processor: float


class Stopwatch:
    """Context manager that measures its block, with what the device still has to do; the figures are in ``times``."""

    def __init__(self, device: str) -> None:
        self._is_cuda = device.startswith("cuda")

    def __enter__(self) -> Stopwatch:
        self._synchronise()
        self._start = Times(time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        self._synchronise()
        self.times = Times(time.perf_counter() - self._start.wall, time.process_time() - self._start.processor)

    def _synchronise(self) -> None:
        if self._is_cuda:
            torch.cuda.synchronize()


def write_scene(path: Path, width: int, height: int) -> None:
    """A compressed raster of uint16 noise, written block by block."""
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "LZW"}
    profile |= {"width": width, "height": height, "count": BANDS, "dtype": "uint16", "crs": "EPSG:32632"}
    values = np.random.default_rng(1).integers(0, 4000, (BANDS, BLOCK, BLOCK), np.uint16)
    with rasterio.open(path, "w", transform=Affine(10, 0, 500_000, 0, -10, 5_200_000), **profile) as raster:
        for _, window in raster.block_windows(1):
            raster.write(values[:, : window.height, : window.width], window=window)
        raster.descriptions = tuple(f"B{band}" for band in range(BANDS))


def make_model(bands: int = BANDS) -> ModelDescription:
    """A U-Net, untrained: the speed does not depend on the weights."""
    statistics_of = tuple(BandStatistics(f"B{band}", 0, 4000, 2000, 1000, 10, 3990, 1) for band in range(bands))
    classes = ClassSchema.from_dicts([{"value": value} for value in range(1, CLASSES + 1)])
    return ModelDescription("bench", "unet", BACKBONE, statistics_of, classes, False, 256)


def prepare(settings: ClassifySettings, model: ModelDescription, network: torch.nn.Module, device: str) -> Job:
    """The job that the stage would run; the scenes here need no virtual copy."""
    return prepare_job(settings, model, network, Ranks(device=device), open_for(model, settings, Path()))[0]


def time_forward(settings: ClassifySettings, model: ModelDescription, network: torch.nn.Module, device: str) -> Times:
    """The bare forward passes that the stage does, on tiles that lie ready."""
    job = prepare(settings, model, network, device)
    tile, size = job.plan.tile, job.predictor.batch_size
    ready = torch.randn(size, BANDS, tile, tile, device=device).contiguous(memory_format=torch.channels_last)
    half = HALF_TYPES.get(job.predictor.precision)
    row = len(job.plan.bands[0].tiles)
    steps = [min(size, row - start) for start in range(0, row, size)] * len(job.plan.rows)
    kind = device.partition(":")[0]
    with torch.inference_mode(), torch.autocast(kind, dtype=half or torch.bfloat16, enabled=half is not None):
        network(ready)
        with Stopwatch(device) as watch:
            for step in steps:
                network(ready[:step])
    return watch.times


def time_stage(settings: ClassifySettings, model: ModelDescription, network: torch.nn.Module, device: str) -> Times:
    """The whole stage, from reading to the cloud-optimised file."""
    with Stopwatch(device) as watch:
        for _ in classify_with(settings, model, network, Ranks(device=device)):
            pass
    return watch.times


def measure_speed(folder: Path, side: int, rounds: int) -> None:
    """Prints speeds and their ratios, each stage beside the mean of the forward passes right before and after it."""
    chosen = choose_device("auto")
    device = chosen.torch_device
    side = side or SPEED_SIZES[device.partition(":")[0]]
    write_scene(folder / "scene.tif", side, side)
    settings = ClassifySettings(str(folder / "scene.tif"), "", str(folder / "classes.tif"))
    model, network = make_model(), build_network("unet", BACKBONE, BANDS, CLASSES).eval()
    work = (settings, model, network, device)
    job = prepare(*work)
    say(f"device: {chosen.name}; U-Net, {BACKBONE}, {BANDS} bands, {CLASSES} classes, {job.predictor.precision}; "
        f"{side} × {side} pixels, {job.plan.tile_count} tiles of {job.plan.tile}, {job.predictor.batch_size} a step")  # fmt: skip
    forwards, stages = [time_forward(*work)], []
    for _ in range(rounds):
        stages.append(time_stage(*work))
        forwards.append(time_forward(*work))
    for title, times in (("whole stage", stages), ("bare network, same tiles", forwards)):
        say(f"{title}: {summarise([side**2 / 1e6 / entry.wall for entry in times])} Mpx/s of the raster")
    for title, name in (("time", "wall"), ("processor time", "processor")):
        seconds = [getattr(entry, name) for entry in forwards]
        means = [(before + after) / 2 for before, after in pairwise(seconds)]
        ratios = [mean / getattr(stage, name) for mean, stage in zip(means, stages, strict=True)]
        say(f"efficiency by {title}, bare network / whole stage: {summarise(ratios)}")
    say(f"overlap factor: {job.plan.overlap_factor:.3f} pixels computed per pixel")
    if device == "cpu":
        compare_precisions(folder, network)


def compare_precisions(folder: Path, network: torch.nn.Module) -> None:
    """Prints the bare network and the whole stage in 32 and in 16 bits on the CPU, and which of them the stage takes by itself."""
    write_scene(folder / "small.tif", SMALL_SIDE, SMALL_SIDE)
    # Tiles so small that there are enough of them for a trial.
    settings = ClassifySettings(str(folder / "small.tif"), "", str(folder / "classes.tif"), tile_size=256)
    for precision in ("fp32", "bf16"):
        work = (replace(settings, precision=precision), make_model(), network, "cpu")
        forward, stage = time_forward(*work), time_stage(*work)
        speeds = " and ".join(f"{SMALL_SIDE**2 / 1e6 / entry.wall:.3f} Mpx/s" for entry in (forward, stage))
        say(f"{precision}, {SMALL_SIDE}² pixels, bare network and whole stage: {speeds}, ratio {forward.wall / stage.wall:.3f}")
    events = list(classify_with(settings, make_model(), network, Ranks()))
    say("chosen by a trial: " + "; ".join(event["message"] for event in events if "fp32" in event.get("message", "")))


def summarise(values: list[float]) -> str:
    """Median and extremes of some rounds."""
    return f"median {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def measure_memory(folder: Path, side: int) -> None:
    """Prints the peak of this process in MB, before and after it has classified a sparse raster of one band (Linux)."""
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "sparse_ok": True, "compress": "LZW"}
    profile |= {"width": side, "height": side, "count": 1, "dtype": "uint16", "crs": "EPSG:32632", "bigtiff": "YES"}
    with rasterio.open(folder / "scene.tif", "w", transform=Affine(10, 0, 500_000, 0, -10, 5_200_000), **profile) as raster:
        raster.descriptions = ("B0",)
    settings = ClassifySettings(str(folder / "scene.tif"), "", str(folder / "classes.tif"), device="cpu")
    network = torch.nn.Conv2d(1, CLASSES, 1)
    with torch.inference_mode():
        network(torch.zeros(1, 1, 64, 64))  # loads what PyTorch loads at its first use
    before = peak_mb()
    with Stopwatch("cpu") as watch:
        for _ in classify_with(settings, make_model(1), network, Ranks()):
            pass
    say(f"peak memory, {side} × {side} pixels: {peak_mb():.0f} MB, {peak_mb() - before:.0f} MB more than the libraries; "
        f"{side**2 / 1e6 / watch.times.wall:.1f} Mpx/s with a network that is one multiplication per class")  # fmt: skip


def peak_mb() -> float:
    """Largest resident memory so far; getrusage would count in the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_again(*arguments: str) -> None:
    """This script in a fresh process."""
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    subprocess.run([sys.executable, __file__, *arguments], check=True, env=environment)


def main() -> None:
    """Without arguments everything; with ``speed`` or ``memory`` and a size that part, for the process that asked."""
    if len(sys.argv) == 1:
        run_again("speed")
        for side in MEMORY_SIZES:
            run_again("memory", str(side))
        return
    part, *numbers = sys.argv[1:]
    side, rounds = (int(number) for number in [*numbers, *("0", str(ROUNDS))[len(numbers) :]])
    with tempfile.TemporaryDirectory() as folder:
        if part == "speed":
            measure_speed(Path(folder), side, rounds)
        else:
            measure_memory(Path(folder), side)


if __name__ == "__main__":
    main()
