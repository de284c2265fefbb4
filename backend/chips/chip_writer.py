# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the files of chips: images in the source's type, label rasters, texts; all placed on the map.

GeoTIFF and MRF keep any bands and type. PNG and JPEG hold bytes in one or three bands; their nodata is a mask beside the image
(``x.png.msk``), which GDAL finds by itself. Labels are never lossy: PNG beside PNG and JPEG, else GeoTIFF.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from ..imagery.raster import RasterInfo
from . import names
from .chip import Layer

NAME_DIGITS = 12
JPEG_QUALITY = 90
LONGEST_STRIP = 512  # rows
EXTENSIONS = {names.TIFF: "tif", names.PNG: "png", names.JPEG: "jpg", names.MRF: "mrf"}
LABEL_EXTENSIONS = {names.TIFF: "tif", names.PNG: "png", names.JPEG: "png", names.MRF: "tif"}
WORLD_EXTENSIONS = {"tif": "tfw", "png": "pgw", "jpg": "jgw", "mrf": "mrfw"}
PROFILES = {
    "tif": {"driver": "GTiff", "compress": "lzw"},
    "png": {"driver": "PNG"},
    "jpg": {"driver": "JPEG", "quality": JPEG_QUALITY},
    "mrf": {"driver": "MRF", "compress": "DEFLATE"},
    "msk": {"driver": "GTiff", "compress": "lzw"},
}
# How GDAL's mask files say that they hold one mask for all bands (GMF_PER_DATASET).
MASK_TAG = {"INTERNAL_MASK_FLAGS_1": "2"}


def choose_nodata(info: RasterInfo, bands: list[int], dtype: str) -> float | None:
    """The nodata value of the image chips, None where only a mask can say what is invalid.

    A chip has one nodata value for all bands. Where the used bands agree on one, it stays; else floats take NaN, and integers, whose
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
    """Writes the chips of one raster. Holds no state but where and how, so threads share it.

    Args:
        folder: Folder to write into.
        info: What the chips carry: type, CRS, names, scale and offset of the raster they are cut from.
        bands: One-based bands of the chips in `info`.
        chip_format: Of `names.CHIP_FORMATS`.
    """

    def __init__(self, folder: Path, info: RasterInfo, bands: list[int], chip_format: str) -> None:
        self._folder = folder
        self._info = info
        self._bands = bands
        self._extension = EXTENSIONS[chip_format]
        self._label_extension = LABEL_EXTENSIONS[chip_format]
        self._crs = rasterio.CRS.from_wkt(info.crs_wkt) if info.crs_wkt else None
        self.nodata = None if chip_format in names.PICTURES else choose_nodata(info, bands, info.dtype)

    def image_path(self, folder: str, name: str) -> str:
        """Path of an image in the folder."""
        return f"{folder}/{name}.{self._extension}"

    def label_path(self, folder: str, name: str) -> str:
        """Path of a label raster in the folder."""
        return f"{folder}/{name}.{self._label_extension}"

    def write_image(self, path: str, to_grid: Affine, layer: Layer) -> str | None:
        """Writes an image; invalid pixels become nodata in every band. Returns the path of its mask, if it needs one beside.

        Args:
            path: In the folder.
            to_grid: From pixels of the chip to those of the raster.
            layer: The image.
        """
        stored, masked = layer.image, not layer.valid.all()
        if masked and (self.nodata is not None or self._extension != "tif"):
            stored = np.where(layer.valid, stored, np.asarray(self.nodata or 0, stored.dtype))
        profile = self._profile(path, to_grid, stored)
        if self.nodata is not None:
            profile["nodata"] = self.nodata
        needs_mask, is_tiff = masked and self.nodata is None, self._extension == "tif"
        # Not for every chip: to enter an environment takes as long as to write a small file.
        inside = rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES") if needs_mask and is_tiff else nullcontext()
        with inside, rasterio.open(self._folder / path, "w", **profile) as chip:
            chip.write(stored)
            if needs_mask and is_tiff:
                chip.write_mask(layer.valid)
            self._describe(chip)
        self._write_world(path, to_grid)
        return self._write_mask(f"{path}.msk", to_grid, layer.valid) if needs_mask and not is_tiff else None

    def _describe(self, chip: rasterio.io.DatasetWriter) -> None:
        """Scale and offset, which other formats than TIFF get in a file of GDAL beside the chip, and names."""
        scales, offsets = ([values[band - 1] for band in self._bands] for values in (self._info.scales, self._info.offsets))
        if set(scales) != {1.0} or set(offsets) != {0.0}:
            chip.scales, chip.offsets = scales, offsets
        if self._extension != "tif":
            return  # every chip would have such a file for its names alone, which the index holds
        for number, band in enumerate(self._bands, start=1):
            chip.set_band_description(number, self._info.band_names[band - 1])

    def write_label(self, path: str, to_grid: Affine, values: NDArray) -> None:
        """Writes a raster of whole numbers (rows, columns) without loss."""
        with rasterio.open(self._folder / path, "w", **self._profile(path, to_grid, values[None])) as chip:
            chip.write(values, 1)
        self._write_world(path, to_grid)

    def write_blocks(self, path: str, blocks: NDArray[np.uint32]) -> None:
        """Writes block numbers (rows, columns), which only our own training reads: without a place on the map, half as long."""
        rows, columns = blocks.shape
        shape = {"count": 1, "height": rows, "width": columns, "dtype": blocks.dtype, "blockysize": min(rows, LONGEST_STRIP)}
        with rasterio.open(self._folder / path, "w", **PROFILES["tif"], **shape) as chip:
            chip.write(blocks, 1)

    def write_text(self, path: str, content: str) -> None:
        """Writes a text in UTF-8."""
        (self._folder / path).write_text(content, encoding="utf-8", newline="\n")

    def _profile(self, path: str, to_grid: Affine, stored: NDArray) -> dict[str, object]:
        extension = path.rpartition(".")[2]
        return {
            **PROFILES[extension],
            "count": stored.shape[0],
            "height": stored.shape[1],
            "width": stored.shape[2],
            "dtype": stored.dtype,
            "crs": self._crs,
            "transform": self._info.transform * to_grid,
        }

    def _write_world(self, path: str, to_grid: Affine) -> None:
        """The world file: six lines, the place of the upper left pixel's centre last."""
        stem, _, extension = path.rpartition(".")
        transform = self._info.transform * to_grid * Affine.translation(0.5, 0.5)
        numbers = transform.a, transform.d, transform.b, transform.e, transform.c, transform.f
        lines = "".join(f"{number:.10f}\n" for number in numbers)
        (self._folder / f"{stem}.{WORLD_EXTENSIONS[extension]}").write_text(lines, encoding="ascii", newline="\n")

    def _write_mask(self, path: str, to_grid: Affine, valid: NDArray[np.bool_]) -> str:
        values = np.where(valid, np.uint8(255), np.uint8(0))
        profile = self._profile(path, to_grid, values[None])
        with rasterio.open(self._folder / path, "w", **profile) as mask:
            mask.update_tags(**MASK_TAG)
            mask.write(values, 1)
        return path
