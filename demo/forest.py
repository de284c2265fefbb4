# SPDX-License-Identifier: GPL-2.0-or-later
"""Classifies the sample scene with a random forest on the raw bands: the yardstick of the demo.

Runs in the bench environment (scikit-learn, rasterio, pyogrio): ``forest.py SCENE LABELS OUTPUT``, where LABELS is the GeoPackage of
training polygons or a class raster on the scene's grid.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.features import rasterize
from sklearn.ensemble import RandomForestClassifier

TREES = 300
# More pixels do not change the forest's accuracy, only its time.
MOST_PIXELS = 30_000


def read_labels(path: Path, scene: rasterio.DatasetReader) -> np.ndarray:
    """Class values (rows, columns), 0 = unlabelled."""
    if path.suffix == ".tif":
        with rasterio.open(path) as raster:
            return raster.read(1)
    _, _, geometries, (values,) = pyogrio.raw.read(path, columns=["id"])
    pairs = zip(shapely.from_wkb(geometries), values.tolist(), strict=True)
    return rasterize(pairs, scene.shape, transform=scene.transform, dtype="uint8")


def classify(scene_path: Path, labels_path: Path, output: Path) -> None:
    """Trains on the labelled valid pixels and writes the class raster, nodata 255."""
    with rasterio.open(scene_path) as scene:
        # The bands have two types, which one call does not read.
        bands = np.ma.stack([scene.read(band, masked=True).astype(np.float32) for band in scene.indexes])
        labels = read_labels(labels_path, scene)
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nodata": 255, "crs": scene.crs, "transform": scene.transform}
    valid = ~np.ma.getmaskarray(bands).any(axis=0)
    pixels = bands.data.reshape(len(bands), -1).T
    known = np.flatnonzero((labels > 0) & valid)
    if known.size > MOST_PIXELS:
        known = np.random.default_rng(0).choice(known, MOST_PIXELS, replace=False)
    forest = RandomForestClassifier(TREES, n_jobs=-1, random_state=0).fit(pixels[known], labels.flat[known])
    classes = np.full(labels.shape, 255, np.uint8)
    classes[valid] = forest.predict(pixels[valid.ravel()])
    with rasterio.open(output, "w", height=labels.shape[0], width=labels.shape[1], **profile) as raster:
        raster.write(classes, 1)


if __name__ == "__main__":
    classify(*(Path(argument) for argument in sys.argv[1:4]))
