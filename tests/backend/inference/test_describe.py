# SPDX-License-Identifier: GPL-2.0-or-later
"""What the log says of a model and of the raster's sensor."""

from dataclasses import replace

import pytest
from deep_learning_toolbox.backend.inference.describe import compare_sensor, describe_model

from .known import model


def test_the_line_about_a_model_says_on_what_it_was_trained():
    described = replace(model(gsd_m=30.0), training={"sensor": "landsat8"})
    assert describe_model(described) == (
        "Model m: U-Net with resnet18, trained on Landsat 8 (OLI, TIRS) at 30 m, chips of 32 pixels, bands a, b, classes 1 class 1, "
        "2 class 2, 3 class 3."
    )
    assert "trained on images that name no sensor, chips" in describe_model(model(gsd_m=None))


@pytest.mark.parametrize(
    ("trained", "sensor", "is_told"),
    [
        ("landsat8", "landsat8", False),
        ("landsat8", "LANDSAT8 ", False),
        ("landsat8", "landsat9", False),  # the same wavelengths
        ("sentinel2a", "sentinel2b", False),
        ("sentinel2a", "sentinel2c", False),
        ("sentinel1", "sentinel2c", True),
        ("landsat8", "sentinel2a", True),
        ("landsat5", "landsat8", True),
        ("landsat8", "A drone", True),
        ("", "landsat8", False),  # nothing to compare
        ("landsat8", "", False),
    ],
)
def test_a_sensor_of_another_kind_is_warned_of(trained, sensor, is_told):
    text = compare_sensor(sensor, replace(model(), training={"sensor": trained}))
    assert bool(text) == is_told


def test_the_warning_names_both_sensors():
    text = compare_sensor("sentinel2a", replace(model(), training={"sensor": "landsat8"}))
    assert text.startswith("The raster is of Sentinel-2A (MSI), the model was trained on Landsat 8 (OLI, TIRS): ")
