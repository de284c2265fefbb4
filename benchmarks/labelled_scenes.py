# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled scenes of other projects that the recipe is measured on, as folds of chip folders and test images.

They do not belong to the toolbox (licences differ) and are looked for in a folder that the caller names. Runs in the worker's
Python.

- `ukis`: three sensors, six bands, dense masks of shadow, water, land and cloud; a fold leaves one sensor out.
- `kampala_buildings`: drone chips with building masks at two places; the fold trains on one place and tests on the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rasterio
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.settings import ExportSettings

SENSORS = ("landsat5", "landsat7", "sentinel2")
TILE, STRIDE = 128, 64
DRONE_CHIP = 256  # as the chips of Kampala come
FOREST = {"ukis without landsat5": 0.41, "ukis without landsat7": 0.61, "ukis without sentinel2": 0.62, "kampala": 0.38}


@dataclass(frozen=True)
class Fold:
    """What is trained on, and what is tested.

    Attributes:
        name: Of the fold.
        scenes: Pairs of image and mask that are trained on.
        chips: Chip folders of them.
        tests: Pairs of image and mask that no training sees.
        classes: Values of the mask that count; the score is the mean of their IoU.
        forest: Score of a random forest on the bands' values that came with the scenes; `forest_scenes.py` measures another.
        epochs: Of each training, so that both together take at most 20 minutes of processor time.
        augmentation: What the tool's help advises for such classes.
        crop: Side in pixels of our training's crops; 0 = whole chips. More and smaller ones cost the same.
    """

    name: str
    scenes: tuple[tuple[Path, Path], ...]
    chips: tuple[Path, ...]
    tests: tuple[tuple[Path, Path], ...]
    classes: tuple[int, ...]
    forest: float
    epochs: int
    augmentation: str
    crop: int = 0


def find_folds(data: Path, output: Path) -> Iterator[Fold]:
    """The folds whose scenes lie in `data`; chips are exported below `output` unless they are there already."""
    if (data / "ukis").is_dir():
        yield from _ukis(data / "ukis", output)
    if (data / "kampala_buildings").is_dir():
        yield _kampala(data / "kampala_buildings", output)


def _ukis(folder: Path, output: Path) -> Iterator[Fold]:
    scenes = {name: (folder / f"{name}.tif", folder / f"{name}_mask.tif") for name in SENSORS}
    chips = {name: _export([scene], output / "chips" / name, TILE, STRIDE) for name, scene in scenes.items()}
    for left_out in SENSORS:
        name = f"ukis without {left_out}"
        kept = [sensor for sensor in SENSORS if sensor != left_out]
        trained = tuple(scenes[sensor] for sensor in kept), tuple(chips[sensor] for sensor in kept)
        yield Fold(name, *trained, (scenes[left_out],), (1, 2, 4, 5), FOREST[name], 16, "north_up")


def _kampala(folder: Path, output: Path) -> Fold:
    places = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    pairs = {place: [(folder / "images" / name, folder / "masks" / name) for name in names] for place, names in places.items()}
    (trained,) = (place for place in pairs if place.endswith("_train"))
    (tested,) = (place for place in pairs if place != trained)
    chips = _export(pairs[trained], output / "chips" / "kampala", DRONE_CHIP, DRONE_CHIP)
    return Fold(
        "kampala", tuple(pairs[trained]), (chips,), tuple(pairs[tested]), (1,), FOREST["kampala"], 14, "default", DRONE_CHIP // 2
    )


def _export(scenes: list[tuple[Path, Path]], folder: Path, tile: int, stride: int) -> Path:
    """One folder of chips of all scenes, by the toolbox's own tool."""
    if (folder / "toolbox_index.json").is_file():
        return folder
    values = sorted(set().union(*(_values(mask) for _, mask in scenes)))
    classes = [{"value": value, "name": f"class {value}", "color": (0, 0, 0)} for value in values]
    for number, (image, mask) in enumerate(scenes):
        settings = ExportSettings(
            str(image), str(folder), label_raster=str(mask), classes=classes, tile_size_x=tile, tile_size_y=tile,
            stride_x=stride, stride_y=stride, empty_tiles=True, append=number > 0,
        )  # fmt: skip
        for _ in export_chips(settings, "bench"):
            pass
    return folder


def _values(mask: Path) -> set[int]:
    with rasterio.open(mask) as dataset:
        return set(dataset.read(1).ravel().tolist()) - {0}
