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
        valid: Pixels with data in all bands of one index at least.
        nodata: Pixels without.
        measured: By index, pixels with data in all its bands.
        undefined: By index, those of them at which its formula has no finite value, such as a division by zero.
        finite: Values of indices that are numbers, over all indices.
        reflectance: By one-based number of a reflectance band, pixels with data in it.
        outside: By band, those of them that are below 0 or above 1.
        above: Those that are above 1, over all bands.
    """

    valid: int = 0
    nodata: int = 0
    measured: dict[str, int] = field(default_factory=dict)
    undefined: dict[str, int] = field(default_factory=dict)
    reflectance: dict[int, int] = field(default_factory=dict)
    outside: dict[int, int] = field(default_factory=dict)
    finite: int = 0
    above: int = 0

    def add(self, other: Tally) -> None:
        """Adds the counts of another part of the image."""
        self.valid += other.valid
        self.nodata += other.nodata
        self.finite += other.finite
        self.above += other.above
        for name in ("measured", "undefined", "reflectance", "outside"):
            mine = getattr(self, name)
            for key, count in getattr(other, name).items():
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
            valid: (bands, rows, columns) bool. An index needs its own bands only; a copied band is nodata where it is so itself.
            tally: The block's counts are added to it.

        Returns:
            (copied bands + indices, rows, columns) float32, NaN where invalid or undefined.
        """
        count, rows, columns = valid.shape
        result = np.empty((self._copied + len(self._indices), rows * columns), np.float32)
        flat, flat_valid = stored.reshape(count, -1), valid.reshape(count, -1)
        pieces = [slice(start, start + PIECE) for start in range(0, rows * columns, PIECE)]
        work = self._threads.map(lambda piece: self._fill_piece(flat[:, piece], flat_valid[:, piece], result[:, piece]), pieces)
        for counts in work:
            tally.add(counts)
        return result.reshape(-1, rows, columns)

    def _fill_piece(self, stored: NDArray[np.generic], valid: NDArray[np.bool_], result: NDArray[np.float32]) -> Tally:
        """Like `_evaluate_piece`, without NumPy's warnings: whatever comes out infinite or NaN is found, counted and made nodata."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self._evaluate_piece(stored, valid, result)

    def _evaluate_piece(self, stored: NDArray[np.generic], valid: NDArray[np.bool_], result: NDArray[np.float32]) -> Tally:
        """Fills (outputs, pixels) from (bands, pixels) and returns the counts."""
        tally = Tally()
        if not valid.any():
            result.fill(np.nan)
            tally.nodata = valid.shape[1]
            return tally
        values, known, usable = {}, {}, {}
        for position, (number, scale) in enumerate(zip(self._bands, self._scales, strict=True)):
            has_data = None if valid[position].all() else valid[position]
            band = stored[position].astype(np.float64)
            if has_data is not None:
                band[~has_data] = 0
            if scale.scale != 1 or scale.offset != 0:
                band *= scale.scale
                band += scale.offset
            if position < self._copied:
                result[position] = band
                if has_data is not None:
                    result[position, ~has_data] = np.nan
            known[number] = usable[number] = has_data
            if scale.is_reflectance:
                usable[number] = self._handle_range(number, band, has_data, tally)
            values[number] = band
        covered: NDArray[np.bool_] | None = np.zeros(valid.shape[1], bool)
        for row, index in enumerate(self._indices, start=self._copied):
            measured = _both(known, index)
            covered = None if covered is None or measured is None else covered | measured
            tally.measured[index.definition.name] = valid.shape[1] if measured is None else int(np.count_nonzero(measured))
            self._evaluate_index(index, values, result[row], _both(usable, index), tally)
        tally.valid = valid.shape[1] if covered is None else int(np.count_nonzero(covered))
        tally.nodata = valid.shape[1] - tally.valid
        return tally

    def _handle_range(
        self, number: int, band: NDArray[np.float64], has_data: NDArray[np.bool_] | None, tally: Tally
    ) -> NDArray[np.bool_] | None:
        """Counts reflectance outside 0…1 and does with it what is asked; returns the pixels that remain usable, None for all."""
        tally.reflectance[number] = band.size if has_data is None else int(np.count_nonzero(has_data))
        if band.min() >= 0 and band.max() <= 1:
            return has_data
        outside = (band < 0) | (band > 1)
        if has_data is not None:
            outside &= has_data
        count = int(np.count_nonzero(outside))
        if count:
            tally.outside[number] = count
            tally.above += int(np.count_nonzero(outside & (band > 1)))
        if self._out_of_range == "clip":
            np.clip(band, 0, 1, out=band)
        if self._out_of_range != "nodata":
            return has_data
        return ~outside if has_data is None else has_data & ~outside

    def _evaluate_index(
        self,
        index: IndexInputs,
        bands: dict[int, NDArray[np.float64]],
        result: NDArray[np.float32],
        usable: NDArray[np.bool_] | None,
        tally: Tally,
    ) -> None:
        inputs = {**index.numbers, **{name: bands[number] for name, number in index.bands.items()}}
        inputs |= {name: self._kernel(pair, bands) for name, pair in index.kernels.items()}
        result[:] = index.formula.evaluate(inputs)  # what float32 cannot hold becomes infinite and is undefined below
        finite = np.isfinite(result)
        if usable is None:
            if not finite.all():
                tally.undefined[index.definition.name] = int(np.count_nonzero(~finite))
                result[~finite] = np.nan
            tally.finite += int(np.count_nonzero(finite))
            return
        tally.finite += int(np.count_nonzero(finite & usable))
        tally.undefined[index.definition.name] = int(np.count_nonzero(~finite & usable))
        result[~(finite & usable)] = np.nan

    def _kernel(self, pair: tuple[float, float], bands: dict[int, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The radial basis function kernel exp(−(a − b)² / 2σ²) of two bands (Camps-Valls et al. 2021, doi:10.1126/sciadv.abc7447)."""
        left, right = (bands[part] if isinstance(part, int) else part for part in pair)
        return np.exp(-np.square(np.subtract(left, right)) / (2 * self._sigma**2))


def _both(masks: dict[int, NDArray[np.bool_] | None], index: IndexInputs) -> NDArray[np.bool_] | None:
    """Where all bands that an index uses are so; None for everywhere."""
    together: NDArray[np.bool_] | None = None
    for number in index.used_bands:
        mask = masks[number]
        if mask is not None:
            together = mask if together is None else together & mask
    return together
