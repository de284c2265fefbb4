# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes chips as georeferenced GeoTIFF: the image in the source's type, the label, the block numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from ..imagery.raster import RasterInfo

NAME_DIGITS = 12
FOLDERS = ("images", "labels", "blocks")


def choose_nodata(info: RasterInfo, bands: list[int], dtype: str) -> float | None:
    """The nodata value of the image chips, None where only a mask can say what is invalid.

    GeoTIFF has one nodata value for all bands. Where the used bands agree on one, it stays; else floats take NaN, and integers, whose
    values are all taken, a mask.
    """
    values = {info.nodata[band - 1] for band in bands}
    is_float = np.dtype(dtype).kind == "f"
    if len(values) == 1 and None not in values:
        value = next(iter(values))
        if is_float or (np.iinfo(dtype).min <= value <= np.iinfo(dtype).max and float(value).is_integer()):
            return value
    return float("nan") if is_float else None


class ChipWriter:
    """Writes the files of one export.

    Args:
        folder: Folder to write into; the sub-folders are made.
        info: The source raster.
        bands: One-based bands of the chips.
        label_dtype: ``uint8`` or ``uint16``.
    """

    def __init__(self, folder: Path, info: RasterInfo, bands: list[int], label_dtype: str) -> None:
        self._folder = folder
        self._info = info
        self._bands = bands
        self._label_dtype = label_dtype
        self.nodata = choose_nodata(info, bands, info.dtype)
        for name in FOLDERS:
            (folder / name).mkdir()

    def write(
        self, name: str, window: Window, image: NDArray, valid: NDArray[np.bool_], label: NDArray, blocks: NDArray
    ) -> tuple[str, str, str]:
        """Writes one chip and returns the paths of image, label and blocks in the folder.

        Args:
            name: Stem of the files.
            window: Where the chip lies in the raster.
            image: (bands, rows, columns) stored values.
            valid: (rows, columns); invalid pixels become nodata in every band.
            label: (rows, columns) class values, 0 = unlabelled.
            blocks: (rows, columns) block numbers, 0 = none.
        """
        transform = self._info.transform * Affine.translation(window.col_off, window.row_off)
        paths = tuple(f"{folder}/{name}.tif" for folder in FOLDERS)
        self._write_image(self._folder / paths[0], transform, image, valid)
        self._write_one(self._folder / paths[1], transform, label.astype(self._label_dtype))
        self._write_one(self._folder / paths[2], transform, blocks.astype(np.uint32))
        return paths

    def _profile(self, transform: Affine, shape: tuple[int, int], dtype: str, count: int) -> dict[str, object]:
        return {
            "driver": "GTiff",
            "height": shape[0],
            "width": shape[1],
            "count": count,
            "dtype": dtype,
            "crs": self._info.crs_wkt,
            "transform": transform,
            "compress": "lzw",
            "TFW": "YES",
        }

    def _write_image(self, path: Path, transform: Affine, image: NDArray, valid: NDArray[np.bool_]) -> None:
        profile = self._profile(transform, valid.shape, self._info.dtype, len(image))
        stored = image
        if self.nodata is not None:
            stored = image.copy()
            stored[:, ~valid] = self.nodata
            profile["nodata"] = self.nodata
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(path, "w", **profile) as chip:
            chip.write(stored)
            if self.nodata is None and not valid.all():
                chip.write_mask(valid)
            chip.scales = [self._info.scales[band - 1] for band in self._bands]
            chip.offsets = [self._info.offsets[band - 1] for band in self._bands]
            for number, band in enumerate(self._bands, start=1):
                chip.set_band_description(number, self._info.band_names[band - 1])

    def _write_one(self, path: Path, transform: Affine, values: NDArray) -> None:
        with rasterio.open(path, "w", **self._profile(transform, values.shape, str(values.dtype), 1)) as chip:
            chip.write(values, 1)
