# SPDX-License-Identifier: GPL-2.0-or-later
"""Bands, classes and a tiny trained model for the tests of this folder."""

from __future__ import annotations

import pytest
import torch
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.labels.schema import ClassDefinition, ClassSchema
from deep_learning_toolbox.backend.models.package import ModelDescription
from deep_learning_toolbox.backend.models.registry import build_network


def make_band(name, wavelength=None):
    return BandStatistics(name, 0.0, 200.0, 90.0, 20.0, 5.0, 190.0, 1000, wavelength)


@pytest.fixture
def bands():
    return make_bands


def make_bands(*names):
    return tuple(make_band(name) for name in names)


@pytest.fixture
def band():
    return make_band


@pytest.fixture
def schema():
    return ClassSchema((ClassDefinition(2, "Wald & Wiese", (0, 120, 0)), ClassDefinition(7, "Wässer", (0, 0, 255))))


@pytest.fixture
def description(schema):
    return ModelDescription(
        name="mein modell ä",
        architecture="linknet",
        backbone="mobilenetv3_small_100",
        bands=(make_band("red", 0.66), make_band("nir")),
        classes=schema,
        has_background=False,
        chip_size=64,
        gsd_m=28.5,
        cell_size=(28.5, 28.5),
        crs_wkt='LOCAL_CS["x"]',
        training={"accuracy": 0.9, "per_class": {"Wässer": {"f1": 0.5}}},
    )


@pytest.fixture
def state_dict(description):
    torch.manual_seed(0)
    return build_network(description.architecture, description.backbone, 2, 2).state_dict()
