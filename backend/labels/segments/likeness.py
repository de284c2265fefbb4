# SPDX-License-Identifier: GPL-2.0-or-later
"""Which numbers of a pixel are compared: the bands, brought to one scale and reduced to what differs between pixels.

The bands of an image say much the same, so their first principal components hold nearly all that distinguishes pixels, and a
segmentation is as fast for twelve bands as for four.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ...errors import ToolboxError
from ...imagery.raster import RasterReader

MOST_COMPONENTS = 4
UNITS_PER_STD = 25.0  # four standard deviations span 100, as the lightness of CIELAB does
# The middle four fifths of a normal distribution span so many standard deviations. Clouds would blow up the standard deviation itself,
# and fields below them would all look alike.
PERCENTILES, STDS_BETWEEN = (10, 90), 2.563
SAMPLE_SIDE, SAMPLE_PLACES = 128, 5  # pixels of a place; places in each direction
SMALLEST_STD = 1e-6


@dataclass(frozen=True)
class Likeness:
    """The linear map from bands to what is compared.

    Attributes:
        mean: (bands,) of the sample.
        matrix: (bands, components); Euclidean distance after it is the distance between pixels, averaged over the bands.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    @classmethod
    def learn(cls, pixels: NDArray[np.float32]) -> Likeness:
        """Learns it from some valid pixels (bands, pixels)."""
        mean, std = pixels.mean(axis=1), pixels.std(axis=1)
        low, high = np.percentile(pixels, PERCENTILES, axis=1)
        std = np.where(high > low, (high - low) / STDS_BETWEEN, std)
        scale = UNITS_PER_STD / np.maximum(std, SMALLEST_STD) * (std > SMALLEST_STD) / np.sqrt(len(pixels))
        scaled = (pixels - mean[:, None]) * scale[:, None]
        _, axes = np.linalg.eigh(scaled @ scaled.T / scaled.shape[1])  # ascending
        return cls(mean.astype(np.float32), (scale[:, None] * axes[:, ::-1][:, :MOST_COMPONENTS]).astype(np.float32))

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Components (components, rows, columns) of an image (bands, rows, columns)."""
        return np.einsum("brc,bk->krc", image - self.mean[:, None, None], self.matrix, optimize=True)


def learn_likeness(reader: RasterReader, window: Window) -> Likeness:
    """Learns the map from places spread over a window; raises ToolboxError when none holds a valid pixel."""
    pixels = []
    for row in range(SAMPLE_PLACES):
        for column in range(SAMPLE_PLACES):
            pixels.append(_read_place(reader, window, (row + 0.5) / SAMPLE_PLACES, (column + 0.5) / SAMPLE_PLACES))
    found = np.concatenate(pixels, axis=1)
    if not found.size:
        raise ToolboxError("The raster is nodata wherever it was looked at; choose an EXTENT with data.")
    return Likeness.learn(found)


def _read_place(reader: RasterReader, window: Window, down: float, across: float) -> NDArray[np.float32]:
    """Valid pixels (bands, pixels) around a point of the window, given as shares of its height and width."""
    width, height = min(SAMPLE_SIDE, int(window.width)), min(SAMPLE_SIDE, int(window.height))
    left = int(window.col_off + across * (window.width - width))
    top = int(window.row_off + down * (window.height - height))
    image, valid = reader.read(Window(left, top, width, height))
    return image[:, valid]
