# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and memory of an assessment, raster against raster, beside plain reading of both rasters.

Runs in the worker's Python. Both rasters are compressed GeoTIFFs of 100 megapixels, as the toolbox writes them. Each measurement is a
fresh process: reading alone (rasterio, by the same strips, one raster after the other), and the stage without and with its report,
whose charts take the same time for any raster. Other load distorts the clock, so the processor time is compared as well.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.assessment.assess import assess
from deep_learning_toolbox.backend.assessment.maps import strip_windows
from deep_learning_toolbox.backend.assessment.settings import AssessSettings
from deep_learning_toolbox.backend.imagery.raster import describe, open_raster

SIDE, CLASSES, BLOCK, ROUNDS = 10_000, 8, 512, 3
WRONG = 0.1


def make_rasters(folder: Path) -> tuple[str, str]:
    """A map and the truth; patches of 8 × 8 pixels with single wrong ones."""
    generator = np.random.default_rng(0)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": SIDE, "height": SIDE, "nodata": 255, "crs": "EPSG:32632"}
    profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "DEFLATE"}
    profile |= {"transform": Affine(10, 0, 500_000, 0, -10, 5_200_000)}
    paths = str(folder / "map.tif"), str(folder / "truth.tif")
    with rasterio.open(paths[0], "w", **profile) as classified, rasterio.open(paths[1], "w", **profile) as truth:
        for _, window in truth.block_windows(1):
            small = generator.integers(1, CLASSES + 1, (BLOCK // 8, BLOCK // 8), np.uint8)
            values = np.kron(small, np.ones((8, 8), np.uint8))[: window.height, : window.width]
            truth.write(values, 1, window=window)
            noise = generator.integers(1, CLASSES + 1, values.shape, np.uint8)
            classified.write(np.where(generator.random(values.shape) < WRONG, noise, values), 1, window=window)
    return paths


def read(paths: list[str]) -> None:
    """Reads the rasters, strip by strip."""
    for path in paths:
        with open_raster(path) as dataset:
            for window in strip_windows(describe(path)):
                dataset.read(1, window=window)


def run_stage(paths: list[str], has_report: bool) -> None:
    """Assesses the first raster by the second."""
    folder = Path(paths[0]).parent
    report = str(folder / "report.html") if has_report else None
    for _ in assess(AssessSettings(paths[0], str(folder / "table.gpkg"), reference_raster=paths[1], report=report), "bench"):
        pass


TASKS = {"read": read, "assess": partial(run_stage, has_report=False), "assess with report": partial(run_stage, has_report=True)}


class Measured(NamedTuple):
    """Seconds by the clock and of all processor cores together, without starting Python; peak memory of the process in MiB."""

    wall: float
    processor: float
    memory: float


def measure(task: str, paths: tuple[str, str]) -> Measured:
    """One task in a fresh process."""
    done = subprocess.run([sys.executable, __file__, task, *paths], capture_output=True, text=True, check=True)
    return Measured(*map(float, done.stdout.split()))


def main() -> None:
    """Prints the figures; with arguments, runs one task and prints its own."""
    if len(sys.argv) > 1:
        wall, processor = time.perf_counter(), time.process_time()
        TASKS[sys.argv[1]](sys.argv[2:])
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        sys.stdout.write(f"{wall} {processor} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}")
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = make_rasters(Path(folder))
        rounds = [{task: measure(task, paths) for task in TASKS} for _ in range(ROUNDS)]
    sys.stdout.write(f"{SIDE * SIDE / 1e6:.0f} megapixels against as many; the best of {ROUNDS} rounds.\n")
    reading = min(found["read"].wall for found in rounds), min(found["read"].processor for found in rounds)
    for task in TASKS:
        wall, processor = min(found[task].wall for found in rounds), min(found[task].processor for found in rounds)
        memory = max(found[task].memory for found in rounds)
        sys.stdout.write(
            f"{task:20s} {wall:.2f} s ({wall / reading[0]:.2f} × reading), processor {processor:.2f} s "
            f"({processor / reading[1]:.2f} ×), peak memory {memory:.0f} MiB\n"
        )


if __name__ == "__main__":
    main()
