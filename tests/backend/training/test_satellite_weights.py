# SPDX-License-Identifier: GPL-2.0-or-later
"""A training that starts from satellite weights, through the stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.chips.index import ChipIndex
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.training import loop
from deep_learning_toolbox.backend.training.train import train

from .conftest import make_scene
from .test_train import run, texts

SIX = ("blue", "green", "red", "nir", "swir1", "swir2")


def test_chips_in_reflectance_start_from_the_encoder_of_their_sensor(settings, save_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 2)
    monkeypatch.chdir(tmp_path)
    image, label, blocks = make_scene(bands=6)
    folder = save_folder(tmp_path / "chips", image.astype(np.float32) / 500, label, blocks, names=SIX)
    index = ChipIndex.read(folder)
    replace(index, bands=tuple(replace(band, low=0.1, high=0.5) for band in index.bands)).write(folder)
    cache = tmp_path / "encoders"
    request = settings(folder=str(folder), backbone="resnet18", weights="satellite", cache=str(cache), refit="never")
    with pytest.raises(ToolboxError, match=r"fetch them with .*ENCODERS=resnet18_landsat7"):
        list(train(request, "job"))
    cache.mkdir()
    torch.save(build_network("linknet", "resnet18", 6, 2).encoder.state_dict(), cache / "resnet18_landsat7.pth")
    events, outputs = run(request)
    assert "starts from resnet18_landsat7.pth" in texts(events, "info")
    assert "trained on Landsat 4 to 7" in load_model(outputs["MODEL"])[0].training["weights"]
