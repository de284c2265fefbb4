# SPDX-License-Identifier: GPL-2.0-or-later
"""What the log of a classification says of the imagery that a model was trained on, and how the raster's sensor compares to it."""

from __future__ import annotations

from ..imagery.sensors import load_sensors
from ..models.catalogue import ARCHITECTURES
from ..models.definition import ModelDescription

# Relative difference of a band's centre: Sentinel-2A and 2B stay below 0.01, Sentinel-2 and Landsat 8 reach 0.04 in the near infrared.
ALIKE = 0.02


def describe_model(model: ModelDescription) -> str:
    """Network, bands, classes, and the imagery that the model knows: sensor and ground sample distance, as far as it tells them."""
    network = f"{ARCHITECTURES[model.architecture].title} with {model.backbone}"
    classes = ", ".join(f"{entry.value} {entry.name}" for entry in model.classes.classes)
    sensor = title_of(str(model.training.get("sensor") or "")) or "images that name no sensor"
    cells = f" at {model.gsd_m:.3g} m" if model.gsd_m is not None else ""
    return (
        f"Model {model.name}: {network}, trained on {sensor}{cells}, chips of {model.chip_size} pixels, bands "
        f"{', '.join(band.name for band in model.bands)}, classes {classes}."
    )


def title_of(sensor: str) -> str:
    """Name of a sensor as people know it; what an image says of it where it is not in our table."""
    known = load_sensors().sensors.get(sensor.strip().casefold())
    return known.title if known else sensor.strip()


def compare_sensor(sensor: str, model: ModelDescription) -> str:
    """A warning when a raster names another sensor than the model's images did; empty when it is one of the kind, or unknown."""
    trained = str(model.training.get("sensor") or "")
    if not trained or not sensor or _are_alike(trained, sensor):
        return ""
    return (
        f"The raster is of {title_of(sensor)}, the model was trained on {title_of(trained)}: bands of two sensors differ a little, so "
        "check the result, or add labels of this sensor to the training."
    )


def _are_alike(first: str, second: str) -> bool:
    """Whether two sensors are one, or look at the same wavelengths, as Sentinel-2A and 2B do, or Landsat 8 and 9."""
    if first.strip().casefold() == second.strip().casefold():
        return True
    found = [load_sensors().sensors.get(name.strip().casefold()) for name in (first, second)]
    one, other = ({band.name: band.wavelength_nm for band in sensor.bands} if sensor else {} for sensor in found)
    # Sentinel-2C's wavelengths are not in the table.
    known = [(one[name], other[name]) for name in one.keys() & other.keys() if one[name] and other[name]]
    return bool(one) and one.keys() == other.keys() and all(abs(a / b - 1) <= ALIKE for a, b in known)
