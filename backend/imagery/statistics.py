# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics of the bands over valid pixels, gathered window by window.

Mean and variance are merged exactly (Chan, Golub and LeVeque 1983, doi:10.2307/2683386). Percentiles come from a sample of fixed
size: every pixel gets a pseudo-random key, the smallest keys stay (bottom-k sampling). The keys depend on the window's number only,
so a run repeats, also when several threads summarise windows and one merges them in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .band_statistics import BandStatistics
from .raster import RasterInfo

SAMPLE_SIZE = 200_000
SPARE_SAMPLE = 50_000  # pixels gathered beyond that before the largest keys are thrown out, which takes some time
PERCENTILES = (0.5, 99.5)
SEED = 20_261_124  # any fixed number that data made from a common seed does not share


@dataclass(frozen=True)
class WindowSummary:
    """Figures of the valid pixels of one window; arrays hold one entry per band.

    Attributes:
        count: Valid pixels.
        mean: Their mean.
        squares: Sum of their squared deviations from the mean.
        minimum: Smallest value.
        maximum: Largest value.
        keys: (pixels,) keys of the pixels that may enter the sample.
        sample: (bands, pixels) float32 values of these.
    """

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    keys: NDArray[np.float32]
    sample: NDArray[np.float32]

    def rescaled(self, scale: NDArray[np.float64], offset: NDArray[np.float64]) -> WindowSummary:
        """The figures of the values times scale plus offset, one of each per band."""
        ends = np.stack([self.minimum * scale + offset, self.maximum * scale + offset])
        sample = (self.sample * scale[:, None] + offset[:, None]).astype(np.float32)
        return WindowSummary(
            self.count, self.mean * scale + offset, self.squares * scale**2, ends.min(axis=0), ends.max(axis=0), self.keys, sample
        )


def summarise(image: NDArray, valid: NDArray[np.bool_], number: int, key_limit: float = np.inf) -> WindowSummary | None:
    """Figures of a window; None without a valid pixel. Holds no state, so threads may call it.

    Args:
        image: (bands, rows, columns), any real type.
        valid: (rows, columns) bool.
        number: Number of the window in the run.
        key_limit: Pixels with larger keys are left out of the sample; `StatisticsAccumulator.key_limit`, now or earlier.
    """
    pixels = image.reshape(len(image), -1) if valid.all() else image[:, valid]  # (bands, pixels)
    count = pixels.shape[1]
    if count == 0:
        return None
    mean, squares = np.empty(len(pixels)), np.empty(len(pixels))
    for band, channel in enumerate(pixels):
        deviations = channel.astype(np.float64)
        mean[band] = deviations.mean()
        deviations -= mean[band]
        # Not the @ of NumPy, whose linear algebra starts threads of its own: many windows are summarised at once.
        squares[band] = np.einsum("i,i", deviations, deviations)
    keys = np.random.default_rng([SEED, number]).random(count, dtype=np.float32)
    chosen = np.flatnonzero(keys < key_limit)
    sample = pixels[:, chosen].astype(np.float32)
    return WindowSummary(
        count, mean, squares, pixels.min(axis=1).astype(float), pixels.max(axis=1).astype(float), keys[chosen], sample
    )


class StatisticsAccumulator:
    """Gathers the statistics of a fixed number of bands. Memory: ``SAMPLE_SIZE`` pixels and a few, whatever the raster's size."""

    def __init__(self, bands: int) -> None:
        self.count = 0
        self.mean = np.zeros(bands)
        self.squares = np.zeros(bands)  # sum of squared deviations from the mean
        self.minimum = np.full(bands, np.inf)
        self.maximum = np.full(bands, -np.inf)
        self.key_limit = np.inf  # pixels with this key or a larger one cannot enter the sample any more; it only sinks
        self._windows = 0
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []  # keys (pixels,) and values (bands, pixels)
        self._gathered = 0

    def add(self, image: np.ndarray, valid: np.ndarray) -> None:
        """Adds a window: image (bands, rows, columns) float, valid (rows, columns) bool."""
        self.merge(summarise(image, valid, self._windows, self.key_limit))

    def merge(self, window: WindowSummary | None) -> None:
        """Adds a window that was summarised; the order of the calls decides the last digits only."""
        self._windows += 1
        if window is None:
            return
        total = self.count + window.count
        difference = window.mean - self.mean
        self.squares += window.squares + difference**2 * (self.count * window.count / total)
        self.mean += difference * (window.count / total)
        self.count = total
        self.minimum = np.minimum(self.minimum, window.minimum)
        self.maximum = np.maximum(self.maximum, window.maximum)
        self._add_to_sample(window.keys, window.sample)

    def restore(self, bands: Sequence[BandStatistics], sample: np.ndarray) -> None:
        """Starts from the figures of earlier windows, before any other is added.

        Args:
            bands: What `finish` said of them.
            sample: (bands, pixels) some of their pixels, chosen evenly, for the percentiles.
        """
        self.count = bands[0].count
        self.mean = np.array([band.mean for band in bands])
        self.squares = np.array([band.std**2 * band.count for band in bands])
        self.minimum = np.array([band.minimum for band in bands])
        self.maximum = np.array([band.maximum for band in bands])
        # The smallest n of `count` uniform keys are themselves uniform up to about n / count.
        share = min(1.0, sample.shape[1] / max(self.count, 1))
        keys = np.random.default_rng([SEED, self.count, 1]).random(sample.shape[1], dtype=np.float32) * np.float32(share)
        self._add_to_sample(keys, sample.astype(np.float32))

    def _add_to_sample(self, keys: np.ndarray, pixels: np.ndarray) -> None:
        lower = keys < self.key_limit  # fewer and fewer as the raster goes on
        self._parts.append((keys[lower], pixels[:, lower]))
        self._gathered += int(np.count_nonzero(lower))
        if self._gathered > SAMPLE_SIZE + SPARE_SAMPLE:
            self._trim()

    def _trim(self) -> None:
        """Keeps the pixels with the smallest keys."""
        keys, sample = (np.concatenate(parts, axis=-1) for parts in zip(*self._parts, strict=True))
        if keys.size > SAMPLE_SIZE:
            kept = np.argpartition(keys, SAMPLE_SIZE)[:SAMPLE_SIZE]
            keys, sample = keys[kept], sample[:, kept]
            self.key_limit = float(keys.max())
        self._parts, self._gathered = [(keys, sample)], keys.size

    def finish(self, info: RasterInfo, bands: list[int]) -> list[BandStatistics]:
        """Statistics per band; ``bands`` are the one-based numbers in ``info`` that the channels were read from.

        Raises:
            ValueError: No valid pixel was added.
        """
        if self.count == 0:
            raise ValueError("no valid pixel was added")
        self._trim()
        low, high = np.percentile(self._parts[0][1].astype(np.float64), PERCENTILES, axis=1)
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
