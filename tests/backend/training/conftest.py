# SPDX-License-Identifier: GPL-2.0-or-later
"""Chip folders of a synthetic scene: two classes that differ in brightness, in rectangles that serve as polygons."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from deep_learning_toolbox.backend.chips.index import ChipIndex, ChipRecord
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.labels.schema import ClassSchema
from deep_learning_toolbox.backend.training.settings import TrainSettings
from rasterio.transform import from_origin

SIDE, TILE, STRIDE, CELL = 96, 32, 16, 10.0
NODATA = 0
CLASSES = [{"value": 3, "name": "Wässer <b>"}, {"value": 8, "name": "Wald"}]


def make_scene(seed=0, bands=2):
    """Image (bands, 96, 96) uint8, label and blocks (96, 96): eight rectangles of 16 x 16, alternating classes."""
    random = np.random.default_rng(seed)
    image = random.integers(90, 110, (bands, SIDE, SIDE)).astype(np.uint8)
    label, blocks = np.zeros((SIDE, SIDE), np.uint16), np.zeros((SIDE, SIDE), np.int32)
    for number in range(8):
        row, column = divmod(number, 3)
        place = np.s_[row * 30 + 4 : row * 30 + 20, column * 30 + 4 : column * 30 + 20]
        value = CLASSES[number % 2]["value"]
        label[place], blocks[place] = value, number + 1
        image[(slice(None), *place)] += np.uint8(80 if value == 8 else 0)
    image[:, :4, :4] = NODATA
    return image, label, blocks


def write_folder(path, image, label, blocks, classes=CLASSES, names=("red", "nir"), origin=(0.0, 960.0)):
    """Writes the chips and the index; blocks None as in a folder of another program."""
    records = []
    for kind in ("images", "labels", "blocks"):
        (path / kind).mkdir(parents=True, exist_ok=True)
    for row in range(0, SIDE - TILE + 1, STRIDE):
        for column in range(0, SIDE - TILE + 1, STRIDE):
            place = np.s_[row : row + TILE, column : column + TILE]
            stem = f"{len(records):012d}"
            west, north = origin[0] + column * CELL, origin[1] - row * CELL
            write_tiff(path / "images" / f"{stem}.tif", image[(slice(None), *place)], west, north, NODATA)
            write_tiff(path / "labels" / f"{stem}.tif", label[place][None], west, north)
            if blocks is not None:
                write_tiff(path / "blocks" / f"{stem}.tif", blocks[place][None].astype(np.uint32), west, north)
            records.append(
                ChipRecord(
                    stem, f"images/{stem}.tif", f"labels/{stem}.tif", None if blocks is None else f"blocks/{stem}.tif",
                    (column, row, TILE, TILE), (west, north - TILE * CELL, west + TILE * CELL, north),
                    {int(value): int((label[place] == value).sum()) for value in np.unique(label[place]) if value}, TILE * TILE,
                )
            )  # fmt: skip
    statistics = tuple(
        BandStatistics(name, float(band.min()), float(band.max()), float(band.mean()), float(band.std()), 80.0, 200.0, band.size)
        for name, band in zip(names, image.astype(float), strict=True)
    )
    schema = ClassSchema.from_dicts(classes)
    ChipIndex("scene.tif", "polygons", (TILE, TILE), (STRIDE, STRIDE), statistics, schema, None, (CELL, CELL), None,
              tuple(records)).write(path)  # fmt: skip
    return path


def write_tiff(path, array, west, north, nodata=None):
    profile = {"driver": "GTiff", "count": array.shape[0], "height": TILE, "width": TILE, "dtype": array.dtype}
    with rasterio.open(path, "w", **profile, nodata=nodata, transform=from_origin(west, north, CELL, CELL)) as dataset:
        dataset.write(array)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small run faster on one thread, above all beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def chips(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("chips") / "Chips ä", *make_scene())


@pytest.fixture
def scene():
    return make_scene()


@pytest.fixture
def save_folder():
    return write_folder


@pytest.fixture
def settings(chips, tmp_path):
    """Makes settings of a run of seconds."""

    def make(**changes):
        values = {"folder": str(chips), "output": str(tmp_path / "Modell ü"), "model_type": "linknet", "max_epochs": 1,
                  "backbone": "mobilenetv3_small_100", "weights": "none", "batch_size": 4, "device": "cpu"}  # fmt: skip
        return TrainSettings(**{**values, **changes})

    return make
