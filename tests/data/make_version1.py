# SPDX-License-Identifier: GPL-2.0-or-later
"""Made `version1.dlpk.xz` and `version1.npz`, once, with version 0.1.0 and model packages of schema 1.

Never to be run again over them: they stand for the packages that people have. A later schema gets files of its own. The network is
the smallest there is; its weights repeat, so that its megabytes pack into kilobytes. Usage: python make_version1.py FOLDER
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

import numpy as np
import rasterio
import torch
from deep_learning_toolbox.backend.imagery.band_statistics import BandStatistics
from deep_learning_toolbox.backend.imagery.normalise import normalise
from deep_learning_toolbox.backend.inference.classify import classify
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.labels.schema import ClassDefinition, ClassSchema
from deep_learning_toolbox.backend.models.definition import ModelDescription
from deep_learning_toolbox.backend.models.package import load_model, write_package
from deep_learning_toolbox.backend.models.registry import build_network
from rasterio.transform import from_origin

PERIOD = 2048  # weights after which they repeat
ROWS, COLUMNS = 53, 70  # of the image; no multiples of anything


def make_image() -> np.ndarray:
    """Image (2, 53, 70) float32 of waves and stripes."""
    row, column = np.mgrid[:ROWS, :COLUMNS]
    waves = 90 + 60 * np.sin(row / 5) * np.cos(column / 7)
    return np.stack([waves, (row * 7 + column * 13) % 200]).round().astype(np.float32)


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes the image as a raster with band names."""
    profile = {"driver": "GTiff", "dtype": "float32", "count": 2, "height": ROWS, "width": COLUMNS}
    with rasterio.open(path, "w", **profile, crs="EPSG:32632", transform=from_origin(500_000, 5_200_000, 10, 10)) as raster:
        raster.write(image)
        raster.descriptions = ("red", "nir")


def fill(network: torch.nn.Module, image: torch.Tensor) -> None:
    """Repeating weights, statistics of the image, and a bias that halves it between the classes."""
    pattern = torch.randn(PERIOD, generator=torch.Generator().manual_seed(1)).bfloat16().float()
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            values = pattern.repeat(-(-parameter.numel() // PERIOD))[: parameter.numel()].view_as(parameter)
            parameter.data = values * 2.0 ** round(-np.log2(parameter[0].numel()) / 2)
        elif name.endswith("bias"):
            parameter.data.zero_()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # the mean over the batches, here one
    with torch.no_grad():
        network.train()(image)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean = layer.running_mean.bfloat16().float()
                layer.running_var = layer.running_var.bfloat16().float().clamp_min(1e-2)
        logits = network.eval()(image)
        head = network.network.segmentation_head[0]
        head.weight.data /= (logits[:, 1] - logits[:, 0]).std()
        logits = network(image)
        head.bias.data[0] = (logits[:, 1] - logits[:, 0]).median()


def main(folder: Path) -> None:
    """Writes both files."""
    image = make_image()
    bands = tuple(
        BandStatistics(name, float(band.min()), float(band.max()), float(band.mean()), float(band.std()),
                       *np.percentile(band, (1, 99)), band.size, wavelength)
        for name, band, wavelength in zip(("red", "nir"), image, (0.66, 0.83), strict=True)
    )  # fmt: skip
    classes = ClassSchema((ClassDefinition(2, "Wald & Wiese", (0, 120, 0)), ClassDefinition(7, "Wässer", (0, 0, 255))))
    training = {"miou": 0.5, "accuracy": 0.7, "monitor": "miou", "epochs": 3, "best_epoch": 2, "learning_rate": 0.002,
                "per_class": {"Wässer": {"f1": 0.5}}, "not_validated": []}  # fmt: skip
    description = ModelDescription("Modell ä", "linknet", "mobilenetv3_small_100", bands, classes, False, 64, 10.0, (10.0, 10.0),
                                   'LOCAL_CS["local",UNIT["metre",1]]', training)  # fmt: skip
    torch.manual_seed(0)
    network = build_network(description.architecture, description.backbone, 2, 2)
    tensor = torch.from_numpy(image)[None]
    normalised = normalise(tensor, torch.ones(1, ROWS, COLUMNS, dtype=torch.bool), bands)
    fill(network, normalised)
    report, curves, package = folder / "r.html", folder / "c.json", folder / "Modell ä.dlpk"
    report.write_text("<!DOCTYPE html><title>Modell ä</title>", encoding="utf-8")
    curves.write_text(json.dumps({"epoch": [1, 2, 3], "miou": [0.4, 0.5, 0.45]}), encoding="utf-8")
    extra = {"model_metrics.html": report, "ModelCharacteristics/training_validation_loss.json": curves}
    write_package(package, description, network.state_dict(), extra)
    (folder / "version1.dlpk.xz").write_bytes(lzma.compress(package.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    with torch.inference_mode():
        logits = load_model(package)[1](normalised)[0].numpy()
    raster, class_raster = folder / "image.tif", folder / "classes.tif"
    write_image(raster, image)
    for _ in classify(ClassifySettings(str(raster), str(package), str(class_raster), device="cpu"), "version1"):
        pass
    with rasterio.open(class_raster) as opened:
        class_map = opened.read(1)
    np.savez_compressed(folder / "version1.npz", image=image.astype(np.uint8), logits=logits, class_map=class_map)
    for path in (report, curves, package, raster, *folder.glob("classes.*")):
        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
