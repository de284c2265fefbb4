# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory and speed of the inspection of training data, for two numbers of chips.

Runs in the worker's Python, called by ``make bench``. Memory: the peaks of fresh processes that inspect folders of some chips and of
four times as many, which must not differ. Speed: the time of the larger one beside a bare loop that only reads the same files with
rasterio, in one process each.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio

SIDE, BANDS = 256, 6
COUNTS = (250, 1000)
CLASSES = [{"Value": value, "Name": f"class {value}", "Color": [40 * value, 90, 120]} for value in range(1, 6)]


def write_folder(path: Path, count: int) -> None:
    """Classified Tiles of 256² pixels, 6 bands of uint16."""
    random = np.random.default_rng(1)
    lines = []
    for name in ("images", "labels"):
        (path / name).mkdir(parents=True)
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "crs": "EPSG:32632", "compress": "lzw"}
    for number in range(count):
        stem = f"{number:012d}.tif"
        transform = rasterio.Affine(10, 0, 500_000 + 10 * SIDE * number, 0, -10, 5_200_000)
        with rasterio.open(path / "images" / stem, "w", **profile, count=BANDS, dtype="uint16", transform=transform) as image:
            image.write(random.integers(1, 3000, (BANDS, SIDE, SIDE)).astype(np.uint16))
        with rasterio.open(path / "labels" / stem, "w", **profile, count=1, dtype="uint8", transform=transform) as label:
            label.write(random.integers(0, 6, (SIDE // 32, SIDE // 32)).astype(np.uint8).repeat(32, 0).repeat(32, 1), 1)
        lines.append(f"images\\{stem}  labels\\{stem} \n")
    (path / "map.txt").write_text("".join(lines), encoding="utf-8")
    (path / "esri_model_definition.emd").write_text(json.dumps({"Classes": CLASSES}), encoding="utf-8")
    (path / "esri_accumulated_stats.json").write_text(json.dumps({"MetaDataMode": "Classified_Tiles"}), encoding="utf-8")


def inspect(path: Path) -> None:
    """Inspects with footprints and report."""
    from deep_learning_toolbox.backend.chips.inspection.folder import inspect_chips
    from deep_learning_toolbox.backend.chips.inspection.settings import InspectSettings

    for _ in inspect_chips(InspectSettings(str(path), report=str(path / "report.html")), "bench"):
        pass


def read_bare(path: Path) -> None:
    """Reads every file and does nothing with it."""
    for file in sorted(path.glob("*/*.tif")):
        with rasterio.open(file) as raster:
            raster.read()


def measure(task: str, path: Path) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a task in a fresh process."""
    done = subprocess.run([sys.executable, __file__, task, str(path)], capture_output=True, text=True, check=True)
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


def main() -> None:
    """Prints both peaks and the ratio of the times."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(count) for count in COUNTS]
        for path, count in zip(paths, COUNTS):
            write_folder(path, count)
        measure("bare", paths[-1])  # both find the files in the cache
        peaks = [measure("inspect", path) for path in paths]
        bare, _ = measure("bare", paths[-1])
    sys.stdout.write(
        f"inspection, peak memory: {peaks[0][1]:.0f} MB for {COUNTS[0]} chips, {peaks[1][1]:.0f} MB for {COUNTS[1]}; "
        f"time: {peaks[1][0]:.1f} s, {peaks[1][0] / bare:.1f} times a bare loop that reads the same files\n"
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        start = time.perf_counter()
        {"inspect": inspect, "bare": read_bare}[sys.argv[1]](Path(sys.argv[2]))
        sys.stdout.write(f"{time.perf_counter() - start} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}\n")
    else:
        main()
