# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics of the bands over valid pixels, gathered window by window.

Mean and variance are merged exactly (Chan, Golub and LeVeque 1983, doi:10.2307/2683386). Percentiles come from a sample of fixed
size: every pixel gets a pseudo-random key, the smallest keys stay (bottom-k sampling); the seed is fixed, so a run repeats.
"""

from __future__ import annotations

import numpy as np

from .normalise import BandStatistics
from .raster import RasterInfo

SAMPLE_SIZE = 200_000
PERCENTILES = (0.5, 99.5)
SEED = 20_261_124  # any fixed number that data made from a common seed does not share


class StatisticsAccumulator:
    """Gathers the statistics of a fixed number of bands. Memory: ``SAMPLE_SIZE`` pixels, whatever the raster's size."""

    def __init__(self, bands: int) -> None:
        self.count = 0
        self.mean = np.zeros(bands)
        self.squares = np.zeros(bands)  # sum of squared deviations from the mean
        self.minimum = np.full(bands, np.inf)
        self.maximum = np.full(bands, -np.inf)
        self._random = np.random.default_rng(SEED)
        self._keys = np.empty(0)
        self._sample = np.empty((bands, 0), np.float32)

    def add(self, image: np.ndarray, valid: np.ndarray) -> None:
        """Adds a window: image (bands, rows, columns) float, valid (rows, columns) bool."""
        pixels = image[:, valid].astype(np.float64)  # (bands, pixels)
        added = pixels.shape[1]
        if added == 0:
            return
        mean = pixels.mean(axis=1)
        squares = ((pixels - mean[:, None]) ** 2).sum(axis=1)
        total = self.count + added
        difference = mean - self.mean
        self.squares += squares + difference**2 * (self.count * added / total)
        self.mean += difference * (added / total)
        self.count = total
        self.minimum = np.minimum(self.minimum, pixels.min(axis=1))
        self.maximum = np.maximum(self.maximum, pixels.max(axis=1))
        self._add_to_sample(pixels.astype(np.float32))

    def _add_to_sample(self, pixels: np.ndarray) -> None:
        keys = self._random.random(pixels.shape[1])
        if self._keys.size == SAMPLE_SIZE:
            lower = keys < self._keys.max()  # only these can enter: fewer and fewer as the raster goes on
            keys, pixels = keys[lower], pixels[:, lower]
        keys = np.concatenate([self._keys, keys])
        sample = np.concatenate([self._sample, pixels], axis=1)
        if keys.size > SAMPLE_SIZE:
            kept = np.argpartition(keys, SAMPLE_SIZE)[:SAMPLE_SIZE]
            keys, sample = keys[kept], sample[:, kept]
        self._keys, self._sample = keys, sample

    def finish(self, info: RasterInfo, bands: list[int]) -> list[BandStatistics]:
        """Statistics per band; ``bands`` are the one-based numbers in ``info`` that the channels were read from.

        Raises:
            ValueError: No valid pixel was added.
        """
        if self.count == 0:
            raise ValueError("no valid pixel was added")
        low, high = np.percentile(self._sample.astype(np.float64), PERCENTILES, axis=1)
        std = np.sqrt(self.squares / self.count)
        return [
            BandStatistics(
                name=info.band_names[band - 1],
                minimum=float(self.minimum[i]),
                maximum=float(self.maximum[i]),
                mean=float(self.mean[i]),
                std=float(std[i]),
                low=float(low[i]),
                high=float(high[i]),
                count=self.count,
                wavelength=info.wavelengths[band - 1],
                scale=info.scales[band - 1],
                offset=info.offsets[band - 1],
            )
            for i, band in enumerate(bands)
        ]
