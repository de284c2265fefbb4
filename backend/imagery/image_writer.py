# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes an image with named bands as a tiled, compressed GeoTIFF, under a temporary name until it is whole.

Names, wavelengths, scales and the sensor are written where `raster.describe` and `sensors.match_letters` find them again. They
all go on into chips and models.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from ..errors import ToolboxError
from ..runtime.disk import checked_writing
from ..runtime.output_folder import partial_name

BLOCK = 512
POLL_SECONDS = 0.2
STALE = (".aux.xml", ".ovr", ".msk")  # of a previous raster of this name; GDAL would show them with the new one
PROFILE = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "interleave": "band", "bigtiff": "IF_SAFER"}
# The lowest level takes half the time of the usual one and gives files some 2 % larger.
COMPRESSION = {"compress": "DEFLATE", "zlevel": 1, "num_threads": "ALL_CPUS"}


@dataclass(frozen=True)
class ImageGrid:
    """Size and place of an image: width and height in pixels, pixel-to-map matrix, CRS as WKT (None without)."""

    width: int
    height: int
    transform: Affine
    crs_wkt: str | None


@dataclass(frozen=True)
class OutputBand:
    """One band to write.

    Attributes:
        name: Shown by QGIS; chips and models know the band by it.
        wavelength_um: Centre in micrometres; None when the band has none.
        scale: Factor from stored to physical value.
        offset: Added after the factor.
        tags: Further metadata of the band.
    """

    name: str
    wavelength_um: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)


class ImageOutput:
    """An image under way. A context manager that removes what is not published.

    Args:
        path: Final name, ending in .tif.
        job_id: Names the partial folder.
        grid: Size and place.
        bands: The bands in their order.
        dtype: NumPy's name of the type.
        nodata: Nodata value of all bands; None without.
        tags: Metadata of the image.

    Raises:
        ToolboxError: The place cannot be written.
    """

    def __init__(
        self,
        path: Path,
        job_id: str,
        grid: ImageGrid,
        bands: Sequence[OutputBand],
        dtype: str,
        nodata: float | None,
        tags: dict[str, str],
    ) -> None:
        self.path = path.absolute()
        self._partial = self.path.parent / f"{partial_name(job_id)}-{self.path.name}"
        self._file = self._partial / "image.tif"
        predictor = 3 if np.dtype(dtype).kind == "f" else 2
        self._profile = {**PROFILE, **COMPRESSION, "predictor": predictor, "dtype": dtype, "nodata": nodata, "count": len(bands)}
        self._profile |= {"width": grid.width, "height": grid.height, "transform": grid.transform, "crs": grid.crs_wkt}
        self._bands = list(bands)
        self._tags = tags
        self._made: list[Path] = []
        self._dataset: rasterio.io.DatasetWriter | None = None

    def __enter__(self) -> ImageOutput:
        if self.path.is_dir():
            raise ToolboxError(f"OUTPUT {self.path} is a folder; give the name of a file ending in .tif.")
        self._made = [folder for folder in self.path.parents if not folder.exists()]
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise ToolboxError(f"The output {self.path} cannot be written ({failure.strerror}); choose another folder.") from failure
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)  # what has no georeference keeps none
                self._dataset = rasterio.open(self._file, "w", **self._profile)
            self._describe(self._dataset)
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        if self._dataset is not None:
            with contextlib.suppress(rasterio.errors.RasterioError):  # on a full disk closing fails, too; the first failure is told
                self._dataset.close()
        self._clean_up()

    def _clean_up(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)  # what another program holds open is removed by the client later
        for folder in self._made:
            with contextlib.suppress(OSError):  # not empty: it holds the result
                folder.rmdir()

    def _describe(self, dataset: rasterio.io.DatasetWriter) -> None:
        """Writes the metadata before any pixel, as a GeoTIFF wants it."""
        dataset.update_tags(**self._tags)
        dataset.descriptions = tuple(band.name for band in self._bands)
        if any(band.scale != 1 or band.offset != 0 for band in self._bands):
            dataset.scales = tuple(band.scale for band in self._bands)
            dataset.offsets = tuple(band.offset for band in self._bands)
        for number, band in enumerate(self._bands, start=1):
            tags = dict(band.tags)
            if band.wavelength_um is not None:
                tags |= {"wavelength": f"{band.wavelength_um:.6g}", "wavelength_units": "Micrometers"}
                dataset.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{band.wavelength_um:.6g}")
            if tags:
                dataset.update_tags(number, **tags)

    def write(self, window: Window, values: NDArray[np.generic], band: int | None = None) -> None:
        """Writes a window: all bands (bands, rows, columns), or one (rows, columns) by its one-based number."""
        if self._dataset is None:
            raise ValueError("the output is not open")
        with checked_writing(self._partial):
            self._dataset.write(values, band, window=window) if band else self._dataset.write(values, window=window)

    def build_overviews(self) -> Iterator[None]:
        """Closes the file and adds averaged overviews down to one block, so that showing it small does not read all of it.

        Yields while it works, so that the caller can stop. Takes about half the time that writing the file took.
        """
        self._close()
        longest = max(self._profile["width"], self._profile["height"])
        factors = [2**power for power in range(1, 20) if longest > BLOCK * 2 ** (power - 1)]
        failures: list[BaseException] = []

        def build() -> None:
            try:
                with (
                    rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"),
                    checked_writing(self._partial),
                    rasterio.open(self._file, "r+") as dataset,
                ):
                    dataset.build_overviews(factors, Resampling.average)
            except Exception as failure:  # raised again below, in the caller's thread
                failures.append(failure)

        thread = threading.Thread(target=build, name="overviews", daemon=True)
        if factors:
            thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            yield None
        if failures:
            raise failures[0]

    def _close(self) -> None:
        if self._dataset is not None:
            with checked_writing(self._partial):
                self._dataset.close()
                self._dataset = None

    def publish(self) -> None:
        """Closes the file and moves it to its final name; a previous one with its sidecars is replaced.

        Raises:
            ToolboxError: The disk is full, or a file is held open; the previous files are back in their places then.
        """
        self._close()
        aside = self._partial / "previous"
        aside.mkdir()
        previous = [path for path in (self.path, *(Path(f"{self.path}{ending}") for ending in STALE)) if path.exists()]
        moves = [*((path, aside / path.name) for path in previous), (self._file, self.path)]
        done: list[tuple[Path, Path]] = []
        try:
            for source, target in moves:
                source.replace(target)
                done.append((source, target))
        except OSError as failure:
            for source, target in reversed(done):
                target.replace(source)
            raise ToolboxError(
                f"The result cannot be moved to {self.path} ({failure.strerror}); the previous file is unchanged. Close programs that "
                "use it, or choose another name, then run again."
            ) from failure
