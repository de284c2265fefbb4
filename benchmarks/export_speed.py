# SPDX-License-Identifier: GPL-2.0-or-later
"""Speed and memory of the chip export, beside a bare loop that reads and writes the same windows without labels.

Runs in the worker's Python, called by ``make bench``. Speed: the whole stage and the bare loop in turns in one process, on the same
number of threads; the loop writes the images only, or images and empty label files. Other load distorts the clock, so processor time
is compared as well. Memory: the peaks of fresh processes that export from square rasters of two sizes. One polygon: a fresh worker.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from deep_learning_toolbox.backend.chips.export import count_processors, export_chips
from deep_learning_toolbox.backend.chips.index import ChipIndex
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

BANDS, BLOCK, TILE = 6, 512, 256
CRS = "EPSG:32632"
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_200_000)
ROUNDS = 3
CHIPS_ACROSS, CHIPS_DOWN, POLYGONS = 50, 40, 20_000
MEMORY_SIDES, MEMORY_POLYGONS = (20_000, 40_000), 2000
ONE_POLYGON_SIDE = 20_000


class Times(NamedTuple):
    """Seconds by the clock, and of all processor cores together."""

    wall: float
    processor: float


def write_scene(path: Path, width: int, height: int, noise: float = 20) -> None:
    """A compressed raster of uint16 values that vary smoothly, with noise like imagery, written block by block."""
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "ZSTD", "zstd_level": 1}
    profile |= {"width": width, "height": height, "count": BANDS, "dtype": "uint16", "crs": CRS, "BIGTIFF": "IF_SAFER"}
    random = np.random.default_rng(1)
    waves = 400 * np.sin(np.arange(BLOCK) / 40)[:, None] + 400 * np.cos(np.arange(BLOCK) / 25)[None, :]
    values = (2000 + waves + random.normal(0, noise, (BANDS, BLOCK, BLOCK))).astype(np.uint16)
    with rasterio.open(path, "w", transform=TRANSFORM, num_threads="all_cpus", **profile) as raster:
        for _, window in raster.block_windows(1):
            raster.write(values[:, : window.height, : window.width], window=window)


def write_polygons(path: Path, width: int, height: int, count: int) -> None:
    """Circles of 3 to 25 pixels radius at random places, in five classes."""
    random = np.random.default_rng(2)
    x, y = TRANSFORM * (random.uniform(0, width, count), random.uniform(0, height, count))
    circles = shapely.buffer(shapely.points(x, y), random.uniform(30, 250, count), quad_segs=4)
    values = random.integers(1, 6, count)
    fields = [values, np.array([f"class {value}" for value in values], object)]
    options: dict[str, Any] = {"geometry_type": "Polygon", "crs": CRS, "layer": "labels", "driver": "GPKG"}
    pyogrio.raw.write(path, shapely.to_wkb(circles), fields, ["value", "name"], **options)


def make_settings(folder: Path, **more: Any) -> ExportSettings:
    """An export of chips without overlap."""
    classes = [{"value": value, "name": f"class {value}"} for value in range(1, 6)]
    sizes = {"tile_size_x": TILE, "tile_size_y": TILE, "stride_x": TILE, "stride_y": TILE}
    source, labels = str(folder / "scene.tif"), str(folder / "labels.gpkg")
    return ExportSettings(source, str(folder / "chips"), labels=labels, classes=classes, **sizes, **more)


def time_stage(folder: Path) -> Times:
    """The whole stage."""
    shutil.rmtree(folder / "chips", ignore_errors=True)
    start = time.perf_counter(), time.process_time()
    for _ in export_chips(make_settings(folder), "bench"):
        pass
    return Times(time.perf_counter() - start[0], time.process_time() - start[1])


def time_bare(folder: Path, windows: list[tuple[int, ...]], with_labels: bool) -> Times:
    """Reading the windows and writing the same image files (and label files of zeros), threads taking window after window."""
    target = folder / "bare"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    local = threading.local()
    empty = np.zeros((TILE, TILE), np.uint8), np.zeros((TILE, TILE), np.uint32)
    crs = rasterio.CRS.from_user_input(CRS)

    def work(number: int) -> None:
        if not hasattr(local, "raster"):
            local.raster = rasterio.open(folder / "scene.tif")
        window = Window(*windows[number])
        transform = TRANSFORM * Affine.translation(window.col_off, window.row_off)
        placed = {"crs": crs, "transform": transform, "TFW": "YES"}
        images: list[tuple[str, np.ndarray, dict[str, Any]]] = [("image", local.raster.read(window=window), placed)]
        if with_labels:
            images += [("label", empty[0][None], placed), ("blocks", empty[1][None], {"blockysize": TILE})]
        for kind, values, options in images:
            profile = {"driver": "GTiff", "compress": "lzw", "count": len(values), "dtype": values.dtype, **options}
            profile |= {"height": TILE, "width": TILE}
            with rasterio.open(target / f"{kind}{number:012d}.tif", "w", **profile) as chip:
                chip.write(values)

    start = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(), ThreadPoolExecutor(count_processors()) as pool:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        list(pool.map(work, range(len(windows))))
    return Times(time.perf_counter() - start[0], time.process_time() - start[1])


def measure_speed(folder: Path, across: int, down: int, polygons: int) -> None:
    """Prints times and ratios, each stage beside the mean of the loops right before and after it."""
    write_scene(folder / "scene.tif", across * TILE, down * TILE)
    write_polygons(folder / "labels.gpkg", across * TILE, down * TILE, polygons)
    time_stage(folder)
    windows = [chip.window for chip in ChipIndex.read(folder / "chips").chips]
    say(f"{len(windows)} chips of {TILE} × {TILE} pixels, {BANDS} bands, uint16, {polygons} polygons, {count_processors()} threads")
    for title, with_labels in (("images only", False), ("images and empty labels", True)):
        loops, stages = [time_bare(folder, windows, with_labels)], []
        for _ in range(ROUNDS):
            stages.append(time_stage(folder))
            loops.append(time_bare(folder, windows, with_labels))
        for what, name in (("time", "wall"), ("processor time", "processor")):
            seconds = [getattr(entry, name) for entry in loops]
            means = [(before + after) / 2 for before, after in pairwise(seconds)]
            ratios = [getattr(stage, name) / mean for stage, mean in zip(stages, means, strict=True)]
            stage, loop = (statistics.median(getattr(entry, name) for entry in entries) for entries in (stages, loops))
            say(f"{what} of the export / bare loop ({title}): {summarise(ratios)}; {stage:.1f} s / {loop:.1f} s")


def summarise(values: list[float]) -> str:
    """Median and extremes of some rounds."""
    return f"median {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def measure_memory(folder: Path, side: int) -> None:
    """Prints the peak of this process in MB, before and after an export from a raster of this side (Linux)."""
    write_polygons(folder / "labels.gpkg", side, side, MEMORY_POLYGONS)
    before = peak_mb()
    for _ in export_chips(make_settings(folder), "bench"):
        pass
    say(f"{before:.0f} {peak_mb():.0f}")


def measure_one_polygon(folder: Path) -> None:
    """Prints the seconds of a fresh worker that exports around one polygon of a large raster."""
    write_scene(folder / "scene.tif", ONE_POLYGON_SIDE, ONE_POLYGON_SIDE, noise=0)
    write_polygons(folder / "labels.gpkg", ONE_POLYGON_SIDE, ONE_POLYGON_SIDE, 1)
    settings = {key: value for key, value in make_settings(folder).__dict__.items() if value is not None}
    request = {"stage": "export", "settings": settings, "job_id": "bench", "version": _version(), "schema": 1}
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-m", "deep_learning_toolbox.backend", str(folder / "request.json")]
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    side = f"{ONE_POLYGON_SIDE} × {ONE_POLYGON_SIDE} pixels"
    say(f"one polygon on {side}, whole worker with its start: {summarise(seconds)} s")


def _version() -> str:
    from deep_learning_toolbox.backend import __version__

    return __version__


def peak_mb() -> float:
    """Largest resident memory so far; getrusage would count in the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_again(folder: Path, side: int) -> str:
    """The memory of a fresh process of this script."""
    command = [sys.executable, __file__, "--memory", str(side), "--folder", str(folder)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.rstrip()


def main() -> None:
    """Everything; ``--small`` with a tenth of the chips and of the memory's rasters."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a tenth of the work")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        measure_memory(options.folder, options.memory)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure_speed(Path(folder), *((20, 10, 2000) if options.small else (CHIPS_ACROSS, CHIPS_DOWN, POLYGONS)))
    with tempfile.TemporaryDirectory() as folder:
        measure_one_polygon(Path(folder))
    for side in MEMORY_SIDES:
        side = side // 4 if options.small else side
        with tempfile.TemporaryDirectory() as folder:
            write_scene(Path(folder) / "scene.tif", side, side, noise=0)
            before, after = run_again(Path(folder), side).split()
        say(f"peak memory, {side} × {side} pixels, {BANDS} bands: {after} MB ({before} MB before: libraries, writing the labels)")


if __name__ == "__main__":
    main()
