# SPDX-License-Identifier: GPL-2.0-or-later
"""The same classification as a plain sliding window, the way it is usually written: time and memory beside the stage's.

Runs in the worker's Python: ``inference_naive.py [SIDE …]``, by default 2048 and 4096. The window reads a tile, runs the network, adds
the probabilities and a count to arrays of the whole raster, divides at the end, and writes the classes at once, compressed but without
overviews. Same tiles, same overlap, same batch, same small network, each in a fresh process. The stage also makes overviews, counts of
the classes and a cloud-optimised file. Other load distorts the clock, so the processor time is told as well. Linux.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from deep_learning_toolbox.backend.imagery.normalise import normalise
from deep_learning_toolbox.backend.inference.plan import tile_starts
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from inference_speed import BANDS, CLASSES, make_model, peak_mb, say, time_stage, write_scene
from rasterio.windows import Window

TILE, OVERLAP = 512, 64
WAYS = ("sliding", "stage")
SIDES = ("2048", "4096")


def make_network() -> torch.nn.Module:
    """A network that needs next to no memory and some time."""
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(BANDS, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, CLASSES, 1)).eval()


def slide(source: Path, target: Path, network: torch.nn.Module) -> None:
    """Classifies a raster tile by tile in one thread."""
    model = make_model()
    with rasterio.open(source) as raster, torch.inference_mode():
        total = np.zeros((CLASSES, raster.height, raster.width), np.float32)
        count = np.zeros((raster.height, raster.width), np.float32)
        for top in tile_starts(raster.height, TILE, OVERLAP):
            for left in tile_starts(raster.width, TILE, OVERLAP):
                image = torch.from_numpy(raster.read(window=Window(left, top, TILE, TILE)).astype(np.float32))[None]
                logits = network(normalise(image, torch.ones(1, TILE, TILE, dtype=torch.bool), model.bands))
                total[:, top : top + TILE, left : left + TILE] += logits.softmax(1)[0].numpy()
                count[top : top + TILE, left : left + TILE] += 1
        classes = (total / count).argmax(0).astype(np.uint8) + 1
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "compress": "DEFLATE", "tiled": True}
        with rasterio.open(target, "w", width=raster.width, height=raster.height, transform=raster.transform, **profile) as result:
            result.write(classes, 1)


def measure(way: str, side: int) -> None:
    """Prints the time and the memory of one way, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "scene.tif", Path(folder) / "classes.tif"
        write_scene(source, side, side)
        network = make_network()
        with torch.inference_mode():
            network(torch.zeros(1, BANDS, TILE, TILE))
        before = peak_mb()
        start, worked = time.perf_counter(), time.process_time()
        if way == "sliding":
            slide(source, target, network)
        else:
            settings = ClassifySettings(str(source), "", str(target), tile_size=TILE, overlap=OVERLAP, batch_size=1, memory_mb=256)
            time_stage(settings, make_model(), network, "cpu")
        seconds, worked = time.perf_counter() - start, time.process_time() - worked
        say(
            f"{way}, {side} × {side} pixels, {BANDS} bands: {seconds:.0f} s, {worked:.1f} s of processor time, "
            f"{peak_mb() - before:,.0f} MB above the libraries; load {os.getloadavg()[0]:.1f}"
        )


def main() -> None:
    """Both ways for each size, each in a process of its own."""
    if sys.argv[1:2] and sys.argv[1] in WAYS:
        measure(sys.argv[1], int(sys.argv[2]))
        return
    for side in sys.argv[1:] or SIDES:
        for way in WAYS:
            subprocess.run([sys.executable, __file__, way, side], check=True)


if __name__ == "__main__":
    main()
