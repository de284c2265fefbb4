# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the rasters of a classification: by rows into a plain file, then once into a cloud-optimised GeoTIFF, then to its name.

Nothing appears under a final name before everything is whole: the work is done in ``.partial-<job id>`` beside the output, and the
sidecars are moved in before the raster they belong to. After a `checkpoint` the plain file can be opened again by a later process
that uses the same job id, should this one die.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from ..errors import ToolboxError
from ..runtime.disk import checked_writing
from ..runtime.output_folder import partial_name
from .layers import Layer
from .sidecars import build_percent_style, build_sidecar, build_style

POLL_SECONDS = 0.2
ROWS_AT_ONCE = 512
MARKER = "checkpoint"  # its presence tells that the plain file is whole up to some row
STALE = (".ovr", ".msk")  # GDAL would show the previous raster's overviews and mask with the new one
PLAIN = {"driver": "GTiff", "interleave": "band", "tiled": True, "blockxsize": 512, "blockysize": 512}
PLAIN |= {"bigtiff": "IF_SAFER", "sparse_ok": True}
COG = {"driver": "COG", "compress": "DEFLATE", "predictor": "NO", "blocksize": 512, "bigtiff": "IF_SAFER", "num_threads": "ALL_CPUS"}


@dataclass(frozen=True)
class Grid:
    """Where the rasters of a run lie.

    Attributes:
        shape: (rows, columns).
        transform: Pixel-to-map matrix.
        crs_wkt: CRS; None without.
    """

    shape: tuple[int, int]
    transform: Affine
    crs_wkt: str | None


class RasterOutput:
    """One raster under way. A context manager that removes what is not finished.

    Args:
        path: Final name.
        job_id: Names the partial folder.
        layer: What it holds.
        grid: Where it lies.

    Attributes:
        path: Final name, absolute.
        partial: Folder of the work under way.
        layer: What it holds.
        transform: Pixel-to-map matrix.
        is_continued: Whether the plain file is that of an earlier process.

    Raises:
        ToolboxError: The folder cannot be written.
    """

    def __init__(self, path: Path, job_id: str, layer: Layer, grid: Grid) -> None:
        self.path = path.absolute()
        self.layer = layer
        self.transform = grid.transform
        self._legend = layer.legend
        self.partial = self.path.parent / f"{partial_name(job_id)}-{self.path.name}"
        rows, columns = grid.shape
        self._profile = {**PLAIN, "height": rows, "width": columns, "count": len(layer.band_names), "dtype": layer.dtype}
        self._profile |= {"nodata": layer.nodata, "transform": grid.transform, "crs": grid.crs_wkt}
        self.is_continued = False
        self._is_kept = False
        self._made: list[Path] = []
        self._dataset: rasterio.io.DatasetWriter | None = None

    def __enter__(self) -> RasterOutput:
        if self.path.is_dir():
            raise ToolboxError(f"OUTPUT {self.path} is a folder; give the name of a file ending in .tif.")
        self._made = [folder for folder in self.path.parents if not folder.exists()]
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise ToolboxError(f"The output {self.path} cannot be written ({failure.strerror}); choose another folder.") from failure
        try:
            if (self.partial / MARKER).exists():
                self._reopen()
                self.is_continued = True
                return self
            self._dataset = rasterio.open(self.rows, "w", **self._profile)
            for band, name in enumerate(self.layer.band_names, start=1):
                self._dataset.set_band_description(band, name)
            if self._legend and self.layer.dtype == "uint8":  # GeoTIFF wants the table before any pixel
                self._dataset.write_colormap(1, {entry.value: (*entry.color, 255) for entry in self._legend})
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        if self._dataset is not None:
            # On a full disk closing fails too; the first failure is the one that is told.
            with contextlib.suppress(rasterio.errors.RasterioError) if failure else contextlib.nullcontext():
                self._dataset.close()
        if not self._is_kept:
            self._clean_up()

    def _clean_up(self) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)  # what another program holds open is removed by the client later
        for folder in self._made:
            with contextlib.suppress(OSError):  # not empty: it holds the result
                folder.rmdir()

    @property
    def rows(self) -> Path:
        """The plain file that is written by rows."""
        return self.partial / "rows.tif"

    def write(self, row: int, column: int, values: NDArray[np.generic]) -> None:
        """Writes a rectangle (bands, rows, columns) with its upper left corner at row and column."""
        if self._dataset is None:
            raise ValueError("the output is not open")
        with checked_writing(self.partial):
            self._dataset.write(values, window=Window(column, row, values.shape[2], values.shape[1]))

    def close(self) -> None:
        """Ends the writing by rows; `rows` may be read, and replaced, until `finish`."""
        if self._dataset is None:
            raise ValueError("the output is not open")
        with checked_writing(self.partial):
            self._dataset.close()
            self._dataset = None

    def _reopen(self) -> None:
        self._dataset = rasterio.open(self.rows, "r+", SPARSE_OK=True)

    def checkpoint(self) -> None:
        """Brings everything written so far to the disk, so that a later process finds it."""
        self.close()
        (self.partial / MARKER).touch()
        self._reopen()

    def keep(self) -> None:
        """Leaves the work under way on the disk when the context ends."""
        self._is_kept = True

    def take_rows(self, other: Path, rows: range) -> Iterator[None]:
        """Copies rows from the folder of another process's work on the same raster; yields now and then."""
        with rasterio.open(other / self.rows.name) as part:
            for start in range(rows.start, rows.stop, ROWS_AT_ONCE):
                height = min(ROWS_AT_ONCE, rows.stop - start)
                self.write(start, 0, part.read(window=Window(0, start, part.width, height)))
                yield None

    def finish(self, counts: dict[int, int]) -> Iterator[None]:
        """Makes the cloud-optimised file and the sidecars; yields while it works, so that the caller can stop.

        Args:
            counts: Pixels of each class value, for the attribute table.
        """
        if self._dataset is not None:
            self.close()
        yield from self._copy()
        if self._legend:
            (self.partial / "final.tif.aux.xml").write_bytes(build_sidecar(self._legend, counts))
        style = build_style(self._legend) if self._legend else build_percent_style()
        (self.partial / "final.qml").write_bytes(style)

    def _copy(self) -> Iterator[None]:
        """Copies in a thread: GDAL cannot be asked to stop, and a large raster takes minutes."""
        failures: list[BaseException] = []
        method = "MODE" if self._legend else "AVERAGE"

        def copy() -> None:
            try:
                with checked_writing(self.partial):
                    target = self.partial / "final.tif"
                    rasterio.shutil.copy(self.rows, target, **COG, overview_resampling=method)
            except Exception as failure:  # raised again below, in the caller's thread
                failures.append(failure)

        thread = threading.Thread(target=copy, name="cog copy", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            yield None
        if failures:
            raise failures[0]

    def plan_moves(self) -> list[tuple[Path, Path]]:
        """What `publish` moves: files of a previous raster of this name aside, the new ones in, the raster last."""
        names = ((".tif", self.path), (".tif.aux.xml", Path(f"{self.path}.aux.xml")), (".qml", self.path.with_suffix(".qml")))
        aside = self.partial / "previous"
        aside.mkdir()
        previous = [target for _, target in names] + [Path(f"{self.path}{ending}") for ending in STALE]
        made = [(self.partial / f"final{ending}", target) for ending, target in reversed(names)]
        return [
            *((target, aside / target.name) for target in previous if target.exists()),
            *((source, target) for source, target in made if source.exists()),
        ]


class Output(Protocol):
    """Something finished that can be moved to its final name."""

    path: Path

    def plan_moves(self) -> list[tuple[Path, Path]]:
        """Pairs of a file and its new name, in order."""


def publish(outputs: Sequence[Output]) -> None:
    """Moves finished outputs to their final names, all or none of them.

    Raises:
        ToolboxError: A file could not be moved, e.g. because a program has it open; the previous files are back in their places.
    """
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in (move for output in outputs for move in output.plan_moves()):
            source.replace(target)
            done.append((source, target))
    except OSError as failure:
        for source, target in reversed(done):
            target.replace(source)
        fault = f"{failure.strerror}: {Path(failure.filename or '').name}"
        raise ToolboxError(
            f"The result cannot be moved to {outputs[-1].path} ({fault}); the previous files are unchanged. Close programs that use "
            "them, or choose another name, then run again."
        ) from failure
