# SPDX-License-Identifier: GPL-2.0-or-later
"""What tiles do to the map, beside one forward pass over the whole raster, for several overlaps.

Runs in the worker's Python: ``inference_seams.py MODEL RASTER [TILE …]``, with a trained, convolutional model. The raster is mirrored
until three tiles of 512 fit into it side by side; at each overlap three by three tiles are classified, so that neighbours share
exactly that many pixels. Two figures:

- *wrong*: pixels with another class than in the whole pass, up to 16 from a line where two tiles meet (the middle of what they
  share), and in the inside of the tiles, where it has nothing to do with seams;
- *jump*: pairs of neighbours across a line that got two classes although the whole pass gives them one, less as many as there are in
  the inside. Of the lines within what the tiles share (16 pixels to either side at least) the worst is told.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from numpy.typing import NDArray

TILES = (256, 512)
PARTS = {"none": 0, "an eighth": 8, "a quarter": 4, "a half": 2}  # of a tile; the default is an eighth, 64 pixels at most
ACROSS = 3  # tiles
REACH = 16


def classify(model: str, image: NDArray[np.generic], like: Path, tile: int, overlap: int) -> NDArray[np.uint8]:
    """Classes (rows, columns) of an image (bands, rows, columns) with the properties of a raster."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "image.tif", Path(folder) / "classes.tif"
        with rasterio.open(like) as raster:
            place = {"crs": raster.crs, "transform": raster.transform, "nodata": raster.nodata}
            size = {"count": len(image), "height": image.shape[1], "width": image.shape[2], "dtype": image.dtype}
            with rasterio.open(source, "w", driver="GTiff", **place, **size) as copy:
                copy.write(image)
                copy.descriptions = raster.descriptions
        request = ClassifySettings(
            str(source), model, str(output), tile_size=tile, overlap=overlap, device="cpu", precision="fp32", memory_mb=8192
        )
        for _ in classify_with(request, *load_model(model), Ranks()):
            pass
        with rasterio.open(output) as result:
            return result.read(1)


class Found(NamedTuple):
    """Shares of pixels, see the module's text; `added` has one entry for each line within reach of a place where tiles meet."""

    wrong_at_lines: float
    wrong_inside: float
    added: NDArray[np.float64]
    added_inside: float


def measure(tiled: NDArray[np.uint8], whole: NDArray[np.uint8], tile: int, overlap: int) -> Found:
    """What happens at the vertical lines where tiles meet.

    Args:
        tiled: Classes (rows, columns).
        whole: Classes of the whole pass, of the same size.
        tile: Side of a tile.
        overlap: Pixels that neighbours share.
    """
    end = len(tiled) - tile // 2  # near the right and the lower edge only the tiled raster feels an edge
    tiled, whole = tiled[:end, :end], whole[:end, :end]
    wrong = tiled != whole
    added = (tiled[:, 1:] != tiled[:, :-1]) & (whole[:, 1:] == whole[:, :-1])  # (rows, columns − 1)
    reach = max(REACH, overlap // 2)
    lines = [number * (tile - overlap) + overlap // 2 for number in range(1, ACROSS)]
    inside = np.ones(end - 1, bool)
    for line in lines:
        inside[line - reach : line + reach] = False
    return Found(
        float(np.mean([wrong[:, line - REACH : line + REACH].mean() for line in lines])),
        float(wrong[:, :-1][:, inside].mean()),
        np.mean([added[:, line - 1 - reach : line - 1 + reach].mean(0) for line in lines], axis=0),
        float(added[:, inside].mean()),
    )


def describe(tiled: NDArray[np.uint8], whole: NDArray[np.uint8], tile: int, overlap: int) -> str:
    """The figures of the lines in both directions."""
    both = [measure(tiled, whole, tile, overlap), measure(tiled.T, whole.T, tile, overlap)]
    lines, inside, added, usual = (np.mean([getattr(found, name) for found in both], axis=0) for name in Found._fields)
    return f"wrong {lines:.2%} at the lines, {inside:.2%} inside; jump {added.max() - usual:.2%}"


def main() -> None:
    """Prints a line for each tile and overlap."""
    model, raster, *tiles = sys.argv[1:]
    largest = ACROSS * max(TILES)
    with rasterio.open(raster) as source:
        image = np.stack([source.read(band) for band in source.indexes])  # whose types may differ
    image = np.pad(image, ((0, 0), *((0, max(largest - length, 0)) for length in image.shape[1:])), mode="symmetric")
    image = image[:, :largest, :largest]
    whole = classify(model, image, Path(raster), largest, 0)
    for tile in [int(text) for text in tiles] or TILES:
        for name, part in PARTS.items():
            overlap = tile // part if part else 0
            side = ACROSS * tile - (ACROSS - 1) * overlap
            tiled = classify(model, image[:, :side, :side], Path(raster), tile, overlap)
            sys.stdout.write(f"tile {tile}, overlap {name} ({overlap}): {describe(tiled, whole[:side, :side], tile, overlap)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
