# SPDX-License-Identifier: GPL-2.0-or-later
"""What tiles do to the map: how many pixels get another class than from one forward pass over the whole raster.

Runs in the worker's Python: ``inference_seams.py MODEL RASTER``, with a trained model and a raster that fits into one tile (4,096
pixels). Counted along the lines where two tiles meet, up to 16 pixels to either side, and in the whole raster.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import rasterio
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.plan import tile_starts
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from numpy.typing import NDArray

TILES = (128, 256)
OVERLAPS = {"none": 0, "an eighth": 8, "a quarter": 4, "a half": 2}  # of a tile; 8 = the default of these tiles
REACH = 16  # pixels from a line where two tiles meet


def classify_raster(raster: str, model: str, **options: int) -> NDArray[np.uint8]:
    """Classes (rows, columns) of a raster."""
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "classes.tif")
        request = ClassifySettings(raster, model, output, device="cpu", precision="fp32", **options)
        for _ in classify_with(request, *load_model(model), Ranks()):
            pass
        with rasterio.open(output) as result:
            return result.read(1)


def near_lines(length: int, tile: int, overlap: int) -> NDArray[np.bool_]:
    """Pixels along an axis that lie near the middle of what two tiles share, or near their common edge."""
    near = np.zeros(length, bool)
    for start, following in pairwise(tile_starts(length, tile, overlap)):
        middle = (start + tile + following) // 2
        near[max(middle - REACH, 0) : middle + REACH] = True
    return near


def main() -> None:
    """Prints a line for each tile and overlap."""
    model, raster = sys.argv[1:]
    with rasterio.open(raster) as image:
        height, width = image.shape
    whole = classify_raster(raster, model, tile_size=-(-max(height, width) // 32) * 32, overlap=0)
    valid = whole != 255
    for tile in TILES:
        for name, part in OVERLAPS.items():
            overlap = tile // part if part else 0
            differs = classify_raster(raster, model, tile_size=tile, overlap=overlap) != whole
            near = near_lines(height, tile, overlap)[:, None] | near_lines(width, tile, overlap)[None, :]
            seams, everywhere = differs[near & valid].mean(), differs[valid].mean()
            sys.stdout.write(
                f"tile {tile}, overlap {name} ({overlap}): {seams:.3%} of the pixels along the lines where tiles meet differ from one "
                f"pass over the whole raster, {everywhere:.3%} of all\n"
            )


if __name__ == "__main__":
    main()
