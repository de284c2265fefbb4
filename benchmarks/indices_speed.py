# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten spectral indices over a ten-band scene of Sentinel-2's size: time beside plain GDAL and NumPy, and peak memory.

Runs in the worker's Python, called by ``make bench``; needs some 10 GB of disk. The stage reads ten bands of int16, computes in
float64 and writes ten of float32. It is compared with what cannot be saved: reading the same input, writing the same output with the
same compression by GDAL's own copy, which is what gdal_translate does, and the ten formulas in plain NumPy on blocks that lie ready.
GDAL's copy of the result reads the result where the stage reads the input, so each reading is measured by itself, too. Every step
runs in a fresh process, best of some rounds. Other load distorts the clock, so the processor time is compared as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from deep_learning_toolbox.backend.imagery.image_writer import COMPRESSION, PROFILE
from deep_learning_toolbox.backend.imagery.indices.compute import GDAL_CACHE_BYTES, compute_indices
from deep_learning_toolbox.backend.imagery.indices.settings import IndicesSettings

SIDE, BLOCK, ROUNDS = 10_980, 512, 2
NAMES = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir1", "swir2")
INDICES = "NDVI;NDWI;MNDWI;NDBI;NDMI;NBR;SAVI;EVI;BI;NDREI"


def write_scene(path: Path, side: int) -> None:
    """A scaled int16 stack as Prepare satellite scene writes it: smooth fields with some noise."""
    profile = {**PROFILE, **COMPRESSION, "predictor": 2, "dtype": "int16", "nodata": -32_768, "count": len(NAMES)}
    profile |= {"width": side, "height": side, "crs": "EPSG:32632", "transform": Affine(10, 0, 499_980, 0, -10, 5_300_040)}
    random = np.random.default_rng(1)
    fields = np.kron(random.integers(300, 4000, (len(NAMES), 16, 16)), np.ones((1, 32, 32), np.int64))
    block = (fields + random.integers(-60, 60, (len(NAMES), BLOCK, BLOCK))).astype(np.int16)
    with rasterio.open(path, "w", **profile) as raster:
        raster.descriptions, raster.scales = NAMES, (0.0001,) * len(NAMES)
        for place, (_, window) in enumerate(raster.block_windows(1)):
            raster.write(np.roll(block, place, axis=1)[:, : window.height, : window.width], window=window)


def run_stage(folder: Path) -> None:
    """The whole stage."""
    for _ in compute_indices(IndicesSettings(str(folder / "scene.tif"), str(folder / "indices.tif"), INDICES), "bench"):
        pass


def copy_result(folder: Path) -> None:
    """GDAL's own copy of the result, with the same layout and compression."""
    options = {**{key: value for key, value in PROFILE.items() if key != "driver"}, **COMPRESSION, "predictor": 3}
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES, GDAL_NUM_THREADS="ALL_CPUS"):
        rasterio.shutil.copy(folder / "indices.tif", folder / "copy.tif", driver="GTiff", **options)


def read_blocks(path: Path) -> None:
    """Reads all bands of a raster, a row of blocks at a time."""
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES, GDAL_NUM_THREADS="ALL_CPUS"), rasterio.open(path) as raster:
        for top in range(0, raster.height, BLOCK):
            raster.read(window=rasterio.windows.Window(0, top, raster.width, min(BLOCK, raster.height - top)))


def compute_plainly(folder: Path) -> None:
    """The ten formulas in plain NumPy, float32, once for every block of the scene."""
    with rasterio.open(folder / "scene.tif") as raster:
        blocks = sum(1 for _ in raster.block_windows(1))
        stored = raster.read(window=rasterio.windows.Window(0, 0, BLOCK, BLOCK))
    with np.errstate(all="ignore"):
        for _ in range(blocks):
            b, g, r, re1, _, _, n, _, s1, s2 = stored.astype(np.float32) * np.float32(0.0001)
            results = [
                (n - r) / (n + r), (g - n) / (g + n), (g - s1) / (g + s1), (s1 - n) / (s1 + n), (n - s1) / (n + s1),
                (n - s2) / (n + s2), 2 * (n - r) / (n + r + 1), 2.5 * (n - r) / (n + 6 * r - 7.5 * b + 1),
                ((s1 + r) - (n + b)) / ((s1 + r) + (n + b)), (n - re1) / (n + re1),
            ]  # fmt: skip
            np.stack(results)


STEPS = {
    "stage": run_stage,
    "copy": copy_result,
    "read input": lambda folder: read_blocks(folder / "scene.tif"),
    "read result": lambda folder: read_blocks(folder / "indices.tif"),
    "arithmetic": compute_plainly,
}


def peak_mb() -> float:
    """Largest resident memory so far (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(step: str, folder: Path) -> list[float]:
    """Seconds by the clock, of all processor cores together, and peak memory in MB of a step in a fresh process."""
    done = subprocess.run([sys.executable, __file__, step, str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def compare(title: str, times: dict[str, list[float]]) -> list[str]:
    """Lines with the best of the rounds of each step, and the stage beside the others."""
    best = {step: min(values) for step, values in times.items()}
    copied = best["copy"] + best["arithmetic"]
    exact = copied - best["read result"] + best["read input"]
    return [
        f"{title}: " + ", ".join(f"{step} {seconds:.1f} s" for step, seconds in best.items()),
        f"  stage / (copy of the result + arithmetic): {best['stage'] / copied:.2f}",
        f"  stage / (the same, but reading the input instead of the result): {best['stage'] / exact:.2f}",
    ]


def main() -> None:
    """Without arguments the comparison, at full size; with a number at that size; with a step and a folder that step."""
    if len(sys.argv) == 3:
        start, used = time.perf_counter(), time.process_time()
        STEPS[sys.argv[1]](Path(sys.argv[2]))
        sys.stdout.write(json.dumps([time.perf_counter() - start, time.process_time() - used, peak_mb()]))
        return
    side = int(sys.argv[1]) if len(sys.argv) > 1 else SIDE
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder / "scene.tif", side)
        rounds = [{step: measure(step, folder) for step in STEPS} for _ in range(ROUNDS)]
        sizes = [(folder / file).stat().st_size / 2**20 for file in ("scene.tif", "indices.tif")]
    lines = [f"ten indices, {side} × {side} pixels, 10 bands, {os.cpu_count()} processor cores, best of {ROUNDS} rounds"]
    lines.append(f"files: {sizes[0]:.0f} MB in, {sizes[1]:.0f} MB out")
    for place, title in enumerate(("time", "processor time")):
        lines += compare(title, {step: [entry[step][place] for entry in rounds] for step in STEPS})
    lines.append(f"peak memory of the stage: {max(entry['stage'][2] for entry in rounds):.0f} MB")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
