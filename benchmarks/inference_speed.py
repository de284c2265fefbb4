# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed of the classification beside the network alone, and its memory for two raster heights.

Runs in the worker's Python, called by ``make bench``. Speed: the whole stage and the bare forward passes of the same tiles in the
same batches, in turns in one process. Other load distorts the clock, so the processor time is compared as well. Memory: the peak of
fresh processes that classify rasters of two heights with a network that needs next to none.

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
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime.device import choose_device

BANDS, CLASSES, BLOCK = 4, 6, 512
ROUNDS = 5
SPEED_SIZES = {"cpu": (1408, 960), "cuda": (16_384, 8192), "mps": (8192, 4096)}  # (columns, rows)
MEMORY_WIDTH, MEMORY_HEIGHTS, MEMORY_MB = 4096, (6144, 18_432), 256


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
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "DEFLATE", "zlevel": 1}
    profile |= {"width": width, "height": height, "count": BANDS, "dtype": "uint16", "crs": "EPSG:32632"}
    values = np.random.default_rng(1).integers(0, 4000, (BANDS, BLOCK, BLOCK), np.uint16)
    with rasterio.open(path, "w", transform=Affine(10, 0, 500_000, 0, -10, 5_200_000), **profile) as raster:
        for _, window in raster.block_windows(1):
            raster.write(values[:, : window.height, : window.width], window=window)
        raster.descriptions = tuple(f"B{band}" for band in range(BANDS))


def make_model() -> ModelDescription:
    """A U-Net on ResNet-18, untrained: the speed does not depend on the weights."""
    bands = tuple(BandStatistics(f"B{band}", 0, 4000, 2000, 1000, 10, 3990, 1) for band in range(BANDS))
    classes = ClassSchema.from_dicts([{"value": value} for value in range(1, CLASSES + 1)])
    return ModelDescription("bench", "unet", "resnet18", bands, classes, False, 256)


def prepare(settings: ClassifySettings, model: ModelDescription, network: torch.nn.Module, device: str) -> Job:
    """The job that the stage would run; the scenes here need no virtual copy."""
    return prepare_job(settings, model, network, device, open_for(model, settings, Path()))[0]


def time_forward(settings: ClassifySettings, model: ModelDescription, network: torch.nn.Module, device: str) -> Times:
    """The forward passes that the stage does, on tiles that lie ready."""
    job = prepare(settings, model, network, device)
    tile, size = job.plan.tile, job.predictor.batch_size
    ready = torch.randn(size, BANDS, tile, tile, device=device)
    row = len(job.plan.bands[0].tiles)
    steps = [min(size, row - start) for start in range(0, row, size)] * len(job.plan.rows)
    job.predictor.predict(ready)
    with Stopwatch(device) as watch:
        for step in steps:
            job.predictor.predict(ready[:step])
    return watch.times


def time_stage(settings: ClassifySettings, model: ModelDescription, network: torch.nn.Module, device: str) -> Times:
    """The whole stage, from reading to the cloud-optimised file."""
    with Stopwatch(device) as watch:
        for _ in classify_with(settings, "bench", model, network, device):
            pass
    return watch.times


def measure_speed(folder: Path) -> None:
    """Prints speeds and their ratios, each stage beside the mean of the forward passes right before and after it."""
    chosen = choose_device("auto")
    device = chosen.torch_device
    width, height = SPEED_SIZES[device.partition(":")[0]]
    write_scene(folder / "scene.tif", width, height)
    settings = ClassifySettings(str(folder / "scene.tif"), "", str(folder / "classes.tif"))
    model, network = make_model(), build_network("unet", "resnet18", BANDS, CLASSES)
    work = (settings, model, network, device)
    job = prepare(*work)
    say(f"device: {chosen.name}; U-Net, ResNet-18, {BANDS} bands, {CLASSES} classes; {width} × {height} pixels, "
        f"{job.plan.tile_count} tiles of {job.plan.tile}")  # fmt: skip
    forwards, stages = [time_forward(*work)], []
    for _ in range(ROUNDS):
        stages.append(time_stage(*work))
        forwards.append(time_forward(*work))
    for title, times in (("whole stage", stages), ("forward only, same tiles", forwards)):
        say(f"{title}: {summarise([width * height / 1e6 / entry.wall for entry in times])} Mpx/s of the raster")
    for title, name in (("time", "wall"), ("processor time", "processor")):
        seconds = [getattr(entry, name) for entry in forwards]
        means = [(before + after) / 2 for before, after in pairwise(seconds)]
        ratios = [mean / getattr(stage, name) for mean, stage in zip(means, stages, strict=True)]
        say(f"{title} of forward only / whole stage: {summarise(ratios)}")
    say(f"overlap factor: {job.plan.overlap_factor:.3f} pixels computed per pixel")


def summarise(values: list[float]) -> str:
    """Median and extremes of some rounds."""
    return f"median {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def measure_memory(folder: Path, height: int) -> None:
    """Prints the peak of this process in MB, before and after it has classified a raster of this height (Linux)."""
    write_scene(folder / "scene.tif", MEMORY_WIDTH, height)
    options = {"memory_mb": MEMORY_MB, "tile_size": 512, "device": "cpu"}
    settings = ClassifySettings(str(folder / "scene.tif"), "", str(folder / "classes.tif"), **options)
    before = peak_mb()
    for _ in classify_with(settings, "bench", make_model(), torch.nn.Conv2d(BANDS, CLASSES, 1), "cpu"):
        pass
    say(f"{before:.0f} {peak_mb():.0f}")


def peak_mb() -> float:
    """Largest resident memory so far; getrusage would count in the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_again(argument: str) -> str:
    """Output of this script in a fresh process."""
    environment = os.environ | {"OMP_WAIT_POLICY": "passive"}
    done = subprocess.run([sys.executable, __file__, argument], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return done.stdout.rstrip()


def main() -> None:
    """Without arguments everything; with ``speed`` or a height that part, for the process that asked."""
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            if sys.argv[1] == "speed":
                measure_speed(Path(folder))
            else:
                measure_memory(Path(folder), int(sys.argv[1]))
        return
    say(run_again("speed"))
    for height in MEMORY_HEIGHTS:
        before, after = run_again(str(height)).split()
        size = f"{MEMORY_WIDTH} × {height} pixels, MEMORY {MEMORY_MB} MB"
        say(f"peak memory, {size}: {after} MB ({before} MB before: libraries, writing the scene)")


if __name__ == "__main__":
    main()
