# SPDX-License-Identifier: GPL-2.0-or-later
"""Evaluates several indices on a block of pixels in one pass, and counts what has no value.

Runs in the worker. Values are computed in float64 and stored as float32. A block is worked on in pieces that stay in the processor's
cache; threads share them, since NumPy computes without Python's lock.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .inputs import IndexInputs

PIECE = 32_768  # pixels: a band of float64 then takes 256 KiB


@dataclass(frozen=True)
class BandScale:
    """How the stored values of a band become physical ones: value × scale + offset; and whether the band is reflectance."""

    scale: float
    offset: float
    is_reflectance: bool


@dataclass
class Tally:
    """Pixels counted so far.

    Attributes:
        valid: Pixels with data in all used bands.
        nodata: Pixels without.
        undefined: By index, valid pixels at which its formula has no finite value, such as a division by zero.
        finite: Values of indices that are numbers, over all indices.
        reflectance: Valid values of reflectance bands.
        above: Those of them that are above 1.
        outside: By one-based band number, valid pixels whose reflectance is below 0 or above 1.
    """

    valid: int = 0
    nodata: int = 0
    undefined: dict[str, int] = field(default_factory=dict)
    outside: dict[int, int] = field(default_factory=dict)
    finite: int = 0
    reflectance: int = 0
    above: int = 0

    def add(self, other: Tally) -> None:
        """Adds the counts of another part of the image."""
        self.valid += other.valid
        self.nodata += other.nodata
        self.finite += other.finite
        self.reflectance += other.reflectance
        self.above += other.above
        for mine, its in ((self.undefined, other.undefined), (self.outside, other.outside)):
            for key, count in its.items():
                mine[key] = mine.get(key, 0) + count


class IndexEvaluator:
    """Computes indices from stored band values. A context manager, for its threads.

    Args:
        indices: What to compute, in the order of the output.
        bands: One-based numbers of the bands that blocks hold, in their order.
        scales: For each of them.
        copied: How many of the first bands of a block are copied to the output, before the indices.
        sigma: Length scale of the kernels, in units of reflectance.
        out_of_range: See `IndicesSettings`.
    """

    def __init__(
        self,
        indices: Sequence[IndexInputs],
        bands: Sequence[int],
        scales: Sequence[BandScale],
        copied: int,
        sigma: float,
        out_of_range: str,
    ) -> None:
        self._indices = indices
        self._bands = bands
        self._scales = scales
        self._copied = copied
        self._sigma = sigma
        self._out_of_range = out_of_range
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="indices")

    def __enter__(self) -> IndexEvaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    def evaluate(self, stored: NDArray[np.generic], valid: NDArray[np.bool_], tally: Tally) -> NDArray[np.float32]:
        """The output of a block.

        Args:
            stored: (bands, rows, columns), any type.
            valid: (rows, columns) bool.
            tally: The block's counts are added to it.

        Returns:
            (copied bands + indices, rows, columns) float32, NaN where invalid or undefined.
        """
        count, rows, columns = len(self._bands), *valid.shape
        result = np.empty((self._copied + len(self._indices), rows * columns), np.float32)
        flat, flat_valid = stored.reshape(count, -1), valid.reshape(-1)
        pieces = [slice(start, start + PIECE) for start in range(0, rows * columns, PIECE)]
        work = self._threads.map(lambda piece: self._evaluate_piece(flat[:, piece], flat_valid[piece], result[:, piece]), pieces)
        for counts in work:
            tally.add(counts)
        return result.reshape(-1, rows, columns)

    def _evaluate_piece(self, stored: NDArray[np.generic], valid: NDArray[np.bool_], result: NDArray[np.float32]) -> Tally:
        """Fills (outputs, pixels) from (bands, pixels) and returns the counts."""
        tally = Tally(valid=int(np.count_nonzero(valid)))
        tally.nodata = valid.size - tally.valid
        if not tally.valid:
            result.fill(np.nan)
            return tally
        is_whole = tally.valid == valid.size
        if not is_whole and stored.dtype.kind == "f":
            stored = np.where(valid, stored, 0)
        values = {}
        usable = valid
        for position, (number, scale) in enumerate(zip(self._bands, self._scales, strict=True)):
            band = stored[position].astype(np.float64)
            if scale.scale != 1 or scale.offset != 0:
                band *= scale.scale
                band += scale.offset
            if position < self._copied:
                result[position] = band
            if scale.is_reflectance:
                usable = self._handle_range(number, band, valid, usable, tally)
            values[number] = band
        for row, index in enumerate(self._indices, start=self._copied):
            self._evaluate_index(index, values, result[row], usable, tally)
        if not is_whole:
            result[: self._copied, ~valid] = np.nan
        return tally

    def _handle_range(
        self, number: int, band: NDArray[np.float64], valid: NDArray[np.bool_], usable: NDArray[np.bool_], tally: Tally
    ) -> NDArray[np.bool_]:
        """Counts reflectance outside 0…1 and does with it what is asked; returns the pixels that remain usable."""
        tally.reflectance += tally.valid
        if band.min() >= 0 and band.max() <= 1:
            return usable
        outside = ((band < 0) | (band > 1)) & valid
        count = int(np.count_nonzero(outside))
        if count:
            tally.outside[number] = count
            tally.above += int(np.count_nonzero((band > 1) & valid))
        if self._out_of_range == "clip":
            np.clip(band, 0, 1, out=band)
        return usable & ~outside if self._out_of_range == "nodata" else usable

    def _evaluate_index(
        self,
        index: IndexInputs,
        bands: dict[int, NDArray[np.float64]],
        result: NDArray[np.float32],
        usable: NDArray[np.bool_],
        tally: Tally,
    ) -> None:
        inputs = {**index.numbers, **{name: bands[number] for name, number in index.bands.items()}}
        inputs |= {name: self._kernel(pair, bands) for name, pair in index.kernels.items()}
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold becomes infinite, and is undefined below
            result[:] = index.formula.evaluate(inputs)
        finite = np.isfinite(result)
        if finite.all() and usable.all():
            tally.finite += finite.size
            return
        tally.finite += int(np.count_nonzero(finite & usable))
        tally.undefined[index.definition.name] = int(np.count_nonzero(~finite & usable))
        result[~(finite & usable)] = np.nan

    def _kernel(self, pair: tuple[float, float], bands: dict[int, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The radial basis function kernel exp(−(a − b)² / 2σ²) of two bands (Camps-Valls et al. 2021, doi:10.1126/sciadv.abc7447)."""
        left, right = (bands[part] if isinstance(part, int) else part for part in pair)
        return np.exp(-np.square(np.subtract(left, right)) / (2 * self._sigma**2))
