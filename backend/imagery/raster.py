# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a raster by windows, with one valid mask for all used bands.

A pixel is valid when none of the used bands is nodata, NaN, infinite or masked there. Windows are rasterio's: column and row
offset, width, height; they may reach beyond the raster, where everything is invalid.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window

from ..errors import ToolboxError

METRES_PER_DEGREE = 111_320.0
CACHE_BYTES = 256 * 2**20
LONG_DTYPES = ("int64", "uint64")
SENSOR_TAG = "SENSOR"


class ReadFailedError(ToolboxError):
    """Pixels could not be read, although the raster could be opened: it is damaged, or its drive has gone."""


@dataclass(frozen=True)
class RasterInfo:
    """What a raster is, without its pixels. Tuples hold one entry per band, band 1 first."""

    source: str
    width: int
    height: int
    count: int
    dtype: str
    crs_wkt: str | None
    transform: Affine
    nodata: tuple[float | None, ...]
    band_names: tuple[str, ...]
    wavelengths: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    block_shape: tuple[int, int]
    is_geographic: bool
    metres_per_unit: float
    sensor: str = ""  # that the image names in its metadata, see `sensors`; empty when it names none

    @property
    def cell_size(self) -> tuple[float, float]:
        """(x, y) cell size in units of the CRS, positive."""
        return abs(self.transform.a), abs(self.transform.e)

    @property
    def gsd_m(self) -> float | None:
        """Ground sample distance in metres, the mean of both directions (degrees: at the centre); None without CRS."""
        if self.crs_wkt is None:
            return None
        x, y = self.cell_size
        if not self.is_geographic:
            return math.sqrt(x * y) * self.metres_per_unit
        latitude = self.transform.f + self.transform.e * self.height / 2
        return math.sqrt(x * y * max(math.cos(math.radians(latitude)), 1e-6)) * METRES_PER_DEGREE

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(xmin, ymin, xmax, ymax) in map units."""
        x0, y0 = self.transform * (0, 0)
        x1, y1 = self.transform * (self.width, self.height)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def open_raster(source: str) -> rasterio.DatasetReader:
    """An open dataset; raises ToolboxError when GDAL cannot read the source."""
    # GDAL's own bound, 5 % of the memory, would look like a leak on a large machine. It holds for the whole process.
    if get_gdal_config("GDAL_CACHEMAX") > CACHE_BYTES:
        set_gdal_config("GDAL_CACHEMAX", CACHE_BYTES)
    try:
        with warnings.catch_warnings():
            # A raster without georeference is allowed; the algorithm has told the user.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(source)
    except RasterioIOError as error:
        raise ToolboxError(f"The raster {source} cannot be read ({error}); check that the file is there and whole.") from error


def describe(source: str, allow_rotation: bool = False) -> RasterInfo:
    """Properties of a raster.

    Raises:
        ToolboxError: Unreadable, without bands, with complex numbers, or rotated (unless `allow_rotation`).
    """
    with open_raster(source) as dataset:
        return _describe(dataset, source, allow_rotation)


def _describe(dataset: rasterio.DatasetReader, source: str, allow_rotation: bool) -> RasterInfo:
    transform = dataset.transform
    if dataset.count == 0:
        raise ToolboxError(f"{source} has no bands; it may be a container, so choose one of its sub-datasets.")
    if (transform.b != 0 or transform.d != 0) and not allow_rotation:
        raise ToolboxError(f"{source} is rotated against its coordinate system; warp it first (Raster > Projections > Warp).")
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise ToolboxError(f"{source} holds complex numbers; compute an amplitude or intensity raster first.")
    crs = dataset.crs
    return RasterInfo(
        source=source,
        width=dataset.width,
        height=dataset.height,
        count=dataset.count,
        dtype=str(np.result_type(*dataset.dtypes)),
        crs_wkt=crs.to_wkt() if crs else None,
        transform=transform,
        nodata=tuple(dataset.nodatavals),
        band_names=tuple(name or f"Band {band}" for band, name in enumerate(dataset.descriptions, start=1)),
        wavelengths=tuple(_wavelength(dataset.tags(band)) for band in dataset.indexes),
        scales=tuple(dataset.scales),
        offsets=tuple(dataset.offsets),
        block_shape=dataset.block_shapes[0],
        is_geographic=bool(crs and crs.is_geographic),
        metres_per_unit=crs.linear_units_factor[1] if crs and crs.is_projected else 1.0,
        sensor=dataset.tags().get(SENSOR_TAG, ""),
    )


def _wavelength(tags: dict[str, str]) -> float | None:
    """Centre wavelength in micrometres from a band's metadata, in micrometres or nanometres; None when there is none."""
    text = tags.get("wavelength") or tags.get("WAVELENGTH") or tags.get("CENTRAL_WAVELENGTH_UM")
    try:
        value = float(text) if text else 0.0
    except ValueError:
        return None
    if value <= 0:
        return None
    return value / 1000 if value > 100 else value


class RasterReader:
    """Reads windows of some bands. Each thread opens its own reader. A context manager.

    Attributes:
        info: Properties of the raster.
        bands: One-based numbers of the bands read, in this order.
    """

    def __init__(self, source: str, bands: Sequence[int] = (), allow_rotation: bool = False) -> None:
        self._dataset = open_raster(source)
        try:
            self.info = _describe(self._dataset, source, allow_rotation)
            self.bands = list(bands) or self._image_bands()
            absent = [band for band in self.bands if not 1 <= band <= self.info.count]
            if absent:
                raise ToolboxError(f"{source} has {self.info.count} bands, so band {absent[0]} cannot be used; choose other bands.")
        except ToolboxError:
            self._dataset.close()
            raise
        self._alpha = self._find_alpha()
        self._scale = np.array([self.info.scales[band - 1] for band in self.bands], np.float32)[:, None, None]
        self._offset = np.array([self.info.offsets[band - 1] for band in self.bands], np.float32)[:, None, None]
        self._is_scaled = bool((self._scale != 1).any() or (self._offset != 0).any())

    def __enter__(self) -> RasterReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._dataset.close()

    @property
    def files(self) -> list[str]:
        """The files that GDAL reads, with those that a VRT is made of."""
        return list(self._dataset.files)

    def _image_bands(self) -> list[int]:
        """All bands but an alpha band, which says what is valid and is not imagery."""
        kinds = zip(self._dataset.indexes, self._dataset.colorinterp, strict=True)
        return [band for band, kind in kinds if kind != ColorInterp.alpha]

    def _find_alpha(self) -> int | None:
        """The alpha band, where GDAL does not heed it by itself: it does in rasters of two or four bands only."""
        kinds = zip(self._dataset.indexes, self._dataset.colorinterp, strict=True)
        return next((band for band, kind in kinds if kind == ColorInterp.alpha), None)

    def read_raw(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Stored values of a window.

        Returns:
            Image (bands, rows, columns) in the raster's dtype, 0 beyond the raster; valid (rows, columns) bool.

        Raises:
            ToolboxError: The file is damaged there.
        """
        image, valid = self.read_by_band(window)
        return image, valid.all(axis=0)

    def read_by_band(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """As `read_raw`, but with the valid pixels of each band: (bands, rows, columns) bool."""
        rows, columns = int(window.height), int(window.width)
        left, top = max(int(window.col_off), 0), max(int(window.row_off), 0)
        right = min(int(window.col_off) + columns, self.info.width)
        bottom = min(int(window.row_off) + rows, self.info.height)
        if right <= left or bottom <= top:
            shape = (len(self.bands), rows, columns)
            return np.zeros(shape, self.info.dtype), np.zeros(shape, bool)
        inside = Window(left, top, right - left, bottom - top)
        try:
            values = self._read_bands(inside)
            valid = self._valid(values, inside)
        except RasterioIOError as error:
            reason = error.__cause__ or error  # rasterio's own words are "See previous exception"
            raise ReadFailedError(
                f"{self.info.source} cannot be read in the rows {top + 1:,} to {bottom:,} ({reason}): a file is damaged, or not to be "
                "reached; copy it again, or mend the connection, and run again."
            ) from error
        above, before = top - int(window.row_off), left - int(window.col_off)
        around = ((0, 0), (above, rows - above - int(inside.height)), (before, columns - before - int(inside.width)))
        if any(sum(sides) for sides in around):
            values, valid = np.pad(values, around), np.pad(valid, around)
        return values, valid

    def read(self, window: Window, into: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Values of a window after scale and offset.

        Args:
            window: What is read.
            into: Where the image is put, float32 of its shape; None = into a new array.

        Returns:
            Image (bands, rows, columns) float32, 0 where invalid; valid (rows, columns) bool.
        """
        stored, valid = self.read_raw(window)
        return self.to_physical(stored, valid, into), valid

    def to_physical(self, stored: np.ndarray, valid: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
        """Stored values (bands, rows, columns) as float32 after scale and offset, 0 where invalid; see `read` for ``into``."""
        image = np.empty(stored.shape, np.float32) if into is None else into
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is invalid, and set to 0 below
            np.copyto(image, stored, casting="unsafe")
            if self._is_scaled:
                image *= self._scale
                image += self._offset
        image[:, ~valid] = 0
        return image

    def _read_bands(self, window: Window) -> np.ndarray:
        """Stored values; one call for all bands decodes an interleaved block once, but rasterio wants one dtype for that."""
        if len(set(self._dataset.dtypes)) == 1:
            return self._dataset.read(self.bands, window=window)
        return np.stack([self._dataset.read(band, window=window).astype(self.info.dtype) for band in self.bands])

    def _largest(self, band: int) -> float:
        """The largest stored value that float32 holds, before and after scale and offset."""
        scale, offset = abs(self.info.scales[band - 1]), abs(self.info.offsets[band - 1])
        return (float(np.finfo(np.float32).max) - offset) / max(scale, 1.0)

    def _valid(self, values: np.ndarray, window: Window) -> np.ndarray:
        """Valid pixels of each band (bands, rows, columns)."""
        valid = np.ones(values.shape, bool)
        dataset_mask: np.ndarray | None = None  # the same for all bands
        for place, (channel, band) in enumerate(zip(values, self.bands, strict=True)):
            flags = self._dataset.mask_flag_enums[band - 1]
            if channel.dtype.kind == "f":
                # NaN compares false; what float32 cannot hold would reach the network as infinity.
                valid[place] &= np.abs(channel) <= self._largest(band)
            if self._dataset.dtypes[band - 1] in LONG_DTYPES:
                # rasterio tells nodata as a double, which cannot hold every 64-bit integer; GDAL's own mask is exact.
                if MaskFlags.nodata in flags:
                    valid[place] &= self._dataset.read_masks(band, window=window) != 0
            else:
                valid[place] &= _differs(channel, self.info.nodata[band - 1])
            is_masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
            if is_masked or self._alpha not in (None, band):
                if dataset_mask is None:
                    read = self._dataset.read_masks if is_masked else self._dataset.read
                    dataset_mask = read(band if is_masked else self._alpha, window=window) != 0
                valid[place] &= dataset_mask
        return valid


def _differs(channel: np.ndarray, nodata: float | None) -> np.ndarray | bool:
    """Where a band is not its nodata value, which may be one that its type cannot hold (a byte band may declare −9999)."""
    if nodata is None or math.isnan(nodata):
        return True
    if channel.dtype.kind != "f":
        limits = np.iinfo(channel.dtype)
        if not float(nodata).is_integer() or not limits.min <= nodata <= limits.max:
            return True
    with np.errstate(over="ignore"):  # too large a number becomes infinity, which is invalid anyway
        return channel != np.asarray(nodata).astype(channel.dtype)
