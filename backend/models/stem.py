# SPDX-License-Identifier: GPL-2.0-or-later
"""Fits the first convolution of a network pretrained on red-green-blue photographs to the bands at hand, by name.

Libraries repeat the three kernels cyclically, so that a scene stored blue, green, red gets its kernels on the wrong bands. Here
the red, green and blue kernels go to the bands that are red, green and blue; every other band gets their mean; all are scaled by
3 / number of bands, so that the sum over the bands keeps its size (with 6 bands each kernel is halved).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from ..imagery.band_statistics import BandStatistics

COLOURS = ("red", "green", "blue")  # the order of the kernels' channels
WORDS = {
    "red": {"red", "rot", "rouge", "rojo"},
    "green": {"green", "grün", "gruen", "vert", "verde"},
    "blue": {"blue", "blau", "bleu", "azul"},
}
LETTERS = {"r": "red", "g": "green", "b": "blue"}  # as the whole name only: B5 is not blue
# Two-digit band codes are those of Sentinel-2 and of the harmonised Landsat products, where they mean the same. Landsat's
# one-digit codes do not: B4 is red on Landsat 8 and near infrared on Landsat 7.
CODES = {"b02": "blue", "b03": "green", "b04": "red"}
MICROMETRES = {"blue": (0.45, 0.52), "green": (0.52, 0.60), "red": (0.63, 0.69)}


def name_colours(bands: Sequence[BandStatistics]) -> list[str | None]:
    """Colour of each band, `red`, `green`, `blue` or None for any other.

    A wavelength, where known, decides before the name. Exactly three bands of which none is recognised are taken as red, green,
    blue, the order of photographs and drone mosaics.
    """
    colours = [_name_colour(band) for band in bands]
    if len(bands) == len(COLOURS) and not any(colours) and all(band.wavelength is None for band in bands):
        return list(COLOURS)
    return colours


def _name_colour(band: BandStatistics) -> str | None:
    """Colour of one band by wavelength or name; None when it is another or unknown."""
    if band.wavelength is not None:
        return next((colour for colour, (low, high) in MICROMETRES.items() if low <= band.wavelength < high), None)
    lowered = band.name.lower()
    if lowered.strip() in LETTERS:
        return LETTERS[lowered.strip()]
    words = set(re.findall(r"[^\W\d_]+", lowered))
    if "edge" in words or "rededge" in words:
        return None
    by_word = [colour for colour, names in WORDS.items() if words & names]
    if len(by_word) == 1:
        return by_word[0]
    by_code = {CODES[code] for code in re.findall(r"b\d\d(?!\d)", lowered) if code in CODES}
    return by_code.pop() if len(by_code) == 1 else None


def adapt_stem(kernel: Tensor, bands: Sequence[BandStatistics]) -> Tensor:
    """Kernel (filters, bands, rows, columns) for these bands from one (filters, 3, rows, columns) for red, green, blue."""
    mean = kernel.mean(dim=1)  # (filters, rows, columns)
    channels = [mean if colour is None else kernel[:, COLOURS.index(colour)] for colour in name_colours(bands)]
    return torch.stack(channels, dim=1) * (len(COLOURS) / len(bands))


def describe_stem(bands: Sequence[BandStatistics]) -> str:
    """One sentence on which band got which kernel."""
    colours = name_colours(bands)
    named = [f"{colour} from '{band.name}'" for band, colour in zip(bands, colours, strict=True) if colour]
    others = colours.count(None)
    parts = [", ".join(named)] if named else ["no band is known as red, green or blue"]
    if others:
        parts.append(f"{others} other band(s) start from the mean of the three")
    return "; ".join(parts)
