# SPDX-License-Identifier: GPL-2.0-or-later
"""Encoders pretrained on satellite imagery: which one suits the bands at hand, and how its first layer takes them.

Such an encoder knows the bands of one sensor as reflectance, scaled as in its own training. Our networks see each band brought to mean
0 and standard deviation 1 instead (`imagery.normalise`), for any encoder and in both stages. Both scalings are straight lines, so the
first convolution and the normalisation after it can be rewritten to do the step between them: the encoder then computes what it
did in its own training, and a model needs no second way of scaling. Only at the image's edge, where zeros are padded, and beyond
the values at which its training clipped does it see other numbers.

With z the value the network sees, reflectance r = s z + m, and the encoder's input x = (r - a) / b:
a kernel W over x is a kernel (s / b) W over z, and its answer lacks the constant (m - a) / b · ΣW, which is taken off the
running mean of the batch normalisation that follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, zeros

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..imagery.normalise import SMALLEST_STD
from ..imagery.sensors import load_sensors

BACKBONES = ("resnet18", "resnet50")
FEWEST_BANDS = 4
BEYOND_COLOUR = {"swir1", "swir2", "rededge1", "rededge2", "rededge3"}  # a sensor is recognised by one of these, not by a photograph
NEAR_MICROMETRES = 0.03  # Landsat 7 and 8, and Sentinel-2, differ by more than this in some band
LARGEST_REFLECTANCE = 2.0  # clouds and snow in slanting light pass 1
STORED_SENTINEL2 = (100.0, 20_000.0)  # range of the largest stored value when a Sentinel-2 image comes as 10,000 × reflectance
STEM, STEM_MEAN = "conv1.weight", "bn1.running_mean"


@dataclass(frozen=True)
class Scene:
    """Imagery that encoders were pretrained on.

    Attributes:
        sensor: Key of the table of sensors.
        title: For people.
        bands: Names of the bands in the order of the channels.
        brightest: Reflectance that was 1 at the encoder's input; reflectance 0 was 0.
    """

    sensor: str
    title: str
    bands: tuple[str, ...]
    brightest: float


_SIX = ("blue", "green", "red", "nir", "swir1", "swir2")
_RED_EDGE = ("rededge1", "rededge2", "rededge3")
# Landsat: reflectance 0 to 0.3 was stored in 8 bits, then divided by 255. Sentinel-2: stored values were divided by 10,000.
SCENES: dict[str, Scene] = {
    "landsat7": Scene("landsat7", "Landsat 4 to 7", _SIX, 0.3),
    "landsat8": Scene("landsat8", "Landsat 8 and 9", ("coastal", *_SIX), 0.3),
    "sentinel2": Scene(
        "sentinel2a",
        "Sentinel-2",
        ("coastal", "blue", "green", "red", *_RED_EDGE, "nir", "nir08", "water_vapour", "cirrus", "swir1", "swir2"),
        1.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """How the bands at hand relate to those of a scene.

    Attributes:
        name: Key of `SCENES`.
        channels: For each band its channel, None when the scene has no such band.
        scale: Factor from the bands' values to reflectance; None when they are no reflectance.
    """

    name: str
    channels: tuple[int | None, ...]
    scale: float | None

    @property
    def scene(self) -> Scene:
        """The scene."""
        return SCENES[self.name]


def find_fit(bands: Sequence[BandStatistics]) -> Fit | None:
    """The scene that has most of these bands, by name, code and wavelength; None when none has enough of them.

    Of two with as many the one with fewer bands besides is taken.
    """
    fits = [Fit(name, _find_channels(scene, bands), None) for name, scene in SCENES.items()]
    best = max(fits, key=lambda fit: (_count(fit), -len(fit.scene.bands)))
    found = {best.scene.bands[channel] for channel in best.channels if channel is not None}
    if len(found) < FEWEST_BANDS or not found & BEYOND_COLOUR:
        return None
    highest = max(band.high for band, channel in zip(bands, best.channels, strict=True) if channel is not None)
    return Fit(best.name, best.channels, _find_scale(best.name, highest))


def _count(fit: Fit) -> int:
    return sum(channel is not None for channel in fit.channels)


def _find_channels(scene: Scene, bands: Sequence[BandStatistics]) -> tuple[int | None, ...]:
    """Channel of each band; a channel is given once, to the first band that is it."""
    sensor = load_sensors().sensors[scene.sensor]
    channels: list[int | None] = []
    for band in bands:
        known = sensor.find(band.name)
        channel = scene.bands.index(known.name) if known is not None and known.name in scene.bands else None
        if known is not None and band.wavelength is not None and known.wavelength_nm is not None:
            channel = channel if abs(band.wavelength - known.wavelength_nm / 1000) <= NEAR_MICROMETRES else None
        channels.append(None if channel in channels else channel)
    return tuple(channels)


def _find_scale(name: str, highest: float) -> float | None:
    """Factor to reflectance, judged by the 99.5 percentile of the brightest band."""
    if 0 < highest <= LARGEST_REFLECTANCE:
        return 1.0
    low, high = STORED_SENTINEL2
    return 1e-4 if name == "sentinel2" and low <= highest <= high else None


def find_file(fit: Fit, backbone: str, cache: str) -> Path:
    """The cached weights of a backbone for the scene.

    Raises:
        ToolboxError: Another backbone, values that are no reflectance, or no such file; says what to do.
    """
    if backbone not in BACKBONES:
        raise ToolboxError(f"There are no satellite weights for {backbone}; choose the BACKBONE {' or '.join(BACKBONES)}.")
    if fit.scale is None:
        raise ToolboxError(
            f"The satellite weights of {fit.scene.title} know reflectance, which the values of these chips are not; run 'Prepare "
            "satellite scene' with SCALE=reflectance and export the chips from its result."
        )
    for suffix in (".safetensors", ".pth", ".pt"):
        if cache and (path := Path(cache) / f"{backbone}_{fit.name}{suffix}").is_file():
            return path
    raise ToolboxError(
        f"The satellite weights of {fit.scene.title} for {backbone} are not on this computer; fetch them with 'Install deep learning "
        f"libraries', ENCODERS={backbone}_{fit.name}."
    )


def adapt_state(state: Mapping[str, Tensor], fit: Fit, bands: Sequence[BandStatistics], source: str) -> dict[str, Tensor]:
    """The encoder's tensors for these bands, see the module's text.

    A band that the scene lacks (an index, a height) starts with kernels of zeros; one that the bands at hand lack counts as
    constant, at the mean brightness of the others.

    Args:
        state: Tensors of the file; the stem is (filters, channels of the scene, rows, columns).
        fit: With a scale.
        bands: The network's input channels.
        source: File name for messages.

    Raises:
        ToolboxError: The file has no such stem.
    """
    kernel, running_mean, scene = state.get(STEM), state.get(STEM_MEAN), fit.scene
    if kernel is None or running_mean is None or kernel.ndim != 4 or kernel.shape[1] != len(scene.bands):
        raise ToolboxError(f"{source} does not hold the weights of {scene.title}; delete it and fetch it again.")
    unit = scene.brightest / (fit.scale or 1.0)  # what is 1 at the encoder's input, in the bands' own values
    adapted = zeros(kernel.shape[0], len(bands), *kernel.shape[2:])
    offsets = dict.fromkeys(range(len(scene.bands)), 0.0)  # the encoder's input where the network sees 0
    known = {channel: band for channel, band in zip(fit.channels, bands, strict=True) if channel is not None}
    typical = sum(band.mean for band in known.values()) / len(known) / unit
    for channel in offsets:
        offsets[channel] = known[channel].mean / unit if channel in known else typical
    for place, (channel, band) in enumerate(zip(fit.channels, bands, strict=True)):
        if channel is not None:
            adapted[:, place] = kernel[:, channel].float() * (max(band.std, SMALLEST_STD) / unit)
    constant = sum(offset * kernel[:, channel].float().sum((1, 2)) for channel, offset in offsets.items())
    return {**state, STEM: adapted, STEM_MEAN: running_mean.float() - constant}


def describe_fit(fit: Fit, bands: Sequence[BandStatistics]) -> str:
    """One sentence on which band got which kernel, and on the scale that was taken for granted."""
    names = fit.scene.bands
    taken = [f"{names[channel]} from '{band.name}'" for channel, band in zip(fit.channels, bands, strict=True) if channel is not None]
    parts = [", ".join(taken)]
    if new := [f"'{band.name}'" for channel, band in zip(fit.channels, bands, strict=True) if channel is None]:
        parts.append(f"{', '.join(new)} start from nothing")
    if lacking := [name for place, name in enumerate(names) if place not in fit.channels]:
        parts.append(f"{', '.join(lacking)} are not in the image")
    if fit.scale != 1.0:
        parts.append("the values are taken as 10,000 x reflectance")
    return "; ".join(parts)
