# SPDX-License-Identifier: GPL-2.0-or-later
"""The model package that version 1 wrote opens for ever, and gives the map that it gave then; see tests/data/make_version1.py."""

import lzma
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from deep_learning_toolbox.backend.imagery.normalise import normalise
from deep_learning_toolbox.backend.inference.classify import classify
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.models.package import load_model

from ..rasters import drive, write_raster

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "Modell ä.dlpk"
    path.write_bytes(lzma.decompress((DATA / "version1.dlpk.xz").read_bytes()))
    return path


@pytest.fixture(scope="module")
def expected():
    """The image, the logits and the class map of then."""
    return dict(np.load(DATA / "version1.npz"))


def test_its_description_reads_as_it_was_written(package):
    model, _ = load_model(package)
    assert (model.name, model.version, model.architecture, model.backbone) == ("Modell ä", "0.1.0", "linknet", "mobilenetv3_small_100")
    assert [(band.name, band.wavelength, band.scale) for band in model.bands] == [("red", 0.66, 1.0), ("nir", 0.83, 1.0)]
    assert [(entry.value, entry.name, entry.color) for entry in model.classes.classes] == [
        (2, "Wald & Wiese", (0, 120, 0)),
        (7, "Wässer", (0, 0, 255)),
    ]
    assert (model.has_background, model.chip_size, model.gsd_m, model.cell_size) == (False, 64, 10.0, (10.0, 10.0))
    assert (model.training["miou"], model.training["per_class"]) == (0.5, {"Wässer": {"f1": 0.5}})


def test_its_network_gives_the_logits_it_gave(package, expected):
    model, network = load_model(package)
    image = torch.from_numpy(expected["image"].astype(np.float32))[None]
    with torch.inference_mode():
        logits = network(normalise(image, torch.ones(1, *image.shape[2:], dtype=torch.bool), model.bands))
    np.testing.assert_allclose(logits[0].numpy(), expected["logits"], atol=1e-3)


def test_it_classifies_as_it_did(package, expected, tmp_path):
    source = write_raster(tmp_path / "image.tif", expected["image"].astype(np.float32), names=("red", "nir"))
    drive(classify(ClassifySettings(source, str(package), str(tmp_path / "classes.tif"), device="cpu"), "test"))
    with rasterio.open(tmp_path / "classes.tif") as result:
        same = result.read(1) == expected["class_map"]
    assert (~same).sum() <= 2  # of 3,710 pixels: where the classes weigh the same, another processor may round otherwise
