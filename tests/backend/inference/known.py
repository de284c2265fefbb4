# SPDX-License-Identifier: GPL-2.0-or-later
"""A network whose right answer is known, its model, a scene for it, and a run of the stage."""

import numpy as np
import rasterio
import torch
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.labels.schema import ClassSchema
from deep_learning_toolbox.backend.models.definition import ModelDescription
from deep_learning_toolbox.backend.runtime.ranks import Ranks

from ..rasters import drive, write_raster


class FirstBandNetwork(torch.nn.Module):
    """Logits that are highest for the class whose number the first band holds (statistics with mean 0 and std 1)."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes
        self.sizes = []

    def forward(self, image):
        self.sizes.append(tuple(image.shape))
        numbers = torch.arange(self.classes).view(1, -1, 1, 1)
        return -20 * (image[:, :1] - numbers).abs()


def model(values=(1, 2, 3), bands=("a", "b"), has_background=False, gsd_m=10.0, chip=32):
    identity = [BandStatistics(name, 0, 9, 0.0, 1.0, -1e6, 1e6, 9) for name in bands]
    classes = ClassSchema.from_dicts([{"value": value, "name": f"class {value}", "color": [value % 256, 9, 8]} for value in values])
    return ModelDescription("m", "unet", "resnet18", tuple(identity), classes, has_background, chip, gsd_m)


def scene(rows=70, columns=90, classes=3, seed=0):
    values = np.random.default_rng(seed).integers(0, classes, (rows, columns))
    return np.stack([values, np.ones_like(values)]).astype(np.float32)


def run(tmp_path, values, description=None, network=None, names=("a", "b"), raster=None, **settings):
    """Classifies and returns the open class raster's values, its path and the events."""
    description = description or model()
    source = write_raster(tmp_path / "image.tif", values, names=names, **(raster or {}))
    network = network or FirstBandNetwork(len(description.class_values))
    options = {"tile_size": 32, **settings}
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "out" / "classes.tif"), **options)
    events = drive(classify_with(request, description, network, Ranks()))
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        return result.read(1), events
