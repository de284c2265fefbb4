# SPDX-License-Identifier: GPL-2.0-or-later
"""How the pixels of a prepared scene are stored: as float32, as scaled int16, or, unscaled, in the type they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scene import OTHER, TEMPERATURE, SceneBand
from .settings import SceneSettings
from .sources import open_source

INT16_NODATA, INT16_LOWEST, INT16_HIGHEST = -32_768, -32_767, 32_767
INT16_REFLECTANCE = (0.0001, 0.0)  # −3.2767 to 3.2767
INT16_TEMPERATURE = (0.01, 273.15)  # −54 to 600 K
LARGER = {"uint8": "int16", "int8": "int16", "uint16": "int32", "int16": "int32"}


@dataclass(frozen=True)
class PixelFormat:
    """Type and nodata value of the output, and how values get there.

    Attributes:
        dtype: NumPy's name of the type.
        nodata: Nodata value.
        is_scaled: Whether values are physical ones, not the stored numbers of the source.
    """

    dtype: str
    nodata: float
    is_scaled: bool

    def scaling(self, band: SceneBand) -> tuple[float, float]:
        """Scale and offset by which a reader of the output gets physical values."""
        if self.is_scaled and self.dtype == "int16":
            return INT16_TEMPERATURE if band.kind == TEMPERATURE else INT16_REFLECTANCE
        if not self.is_scaled and band.kind == OTHER:  # numbers of a product are wanted as they are
            return band.scaling.scale, band.scaling.offset
        return 1.0, 0.0

    def encode(self, band: SceneBand, stored: NDArray[np.generic], valid: NDArray[np.bool_]) -> NDArray[np.generic]:
        """The values to write (rows, columns) from stored values and their mask; nodata where invalid or not finite.

        Values that int16 cannot hold become the nearest that it can.
        """
        values = band.scaling.apply(stored) if self.is_scaled else stored
        if self.dtype == "int16" and self.is_scaled:
            scale, offset = self.scaling(band)
            valid = valid & np.isfinite(values)
            values = np.clip(np.rint((np.where(valid, values, offset) - offset) / scale), INT16_LOWEST, INT16_HIGHEST)
        elif np.dtype(self.dtype).kind in "iu" and values.dtype.kind == "f":  # interpolated numbers
            limits = np.iinfo(self.dtype)
            values = np.clip(np.rint(np.where(valid, values, 0)), limits.min, limits.max)
        # cast before nodata is put in: NumPy would wrap a nodata value that the stored type cannot hold
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and nodata below
            encoded = values.astype(self.dtype)
        if encoded.dtype.kind == "f":
            valid = valid & np.isfinite(encoded)
        if not valid.all():
            encoded[~valid] = self.nodata
        return encoded

    def count_valid(self, encoded: NDArray[np.generic]) -> int:
        """How many of the values to write are not nodata, as who reads the output will see it."""
        is_float = encoded.dtype.kind == "f"
        return int(np.count_nonzero(np.isfinite(encoded) if is_float else encoded != self.nodata))


def choose_format(bands: Sequence[SceneBand], settings: SceneSettings) -> PixelFormat:
    """The output's format.

    Raises:
        ToolboxError: A source cannot be read.
    """
    if settings.scale != "none":
        if settings.output_type == "int16":
            return PixelFormat("int16", INT16_NODATA, True)
        return PixelFormat("float32", float("nan"), True)
    types, declared = zip(*(_look_into(band) for band in bands), strict=True)
    common = str(np.result_type(*types))
    if np.dtype(common).kind in "iu" and len(set(declared)) == 1 and declared[0] is not None:
        return PixelFormat(common, declared[0], False)
    if common in LARGER and set(declared) == {None}:
        # all their numbers may be in use: one size larger has room for a nodata value
        return PixelFormat(LARGER[common], np.iinfo(LARGER[common]).min, False)
    is_long = np.dtype(common).itemsize > (2 if np.dtype(common).kind in "iu" else 4)  # float32 holds integers up to 2^24
    return PixelFormat("float64" if is_long else "float32", float("nan"), False)


def _look_into(band: SceneBand) -> tuple[str, float | None]:
    """Type and nodata value of a band's source."""
    with open_source(band.source, band.driver) as dataset:
        return dataset.dtypes[band.number - 1], dataset.nodatavals[band.number - 1] if band.nodata is None else band.nodata
