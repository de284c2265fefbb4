# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the pixels to mask on the grid of the output, from the quality bands of a scene, and counts them by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.coords import BoundingBox
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from ...errors import ToolboxError
from ..image_writer import ImageGrid
from .grid import ALIGNED, GridReader
from .quality import QualityBand
from .scene import Scene, SceneBand, misfit
from .sources import open_source

STRIP_PIXELS = 2**22  # of a quality band that are read at once where it is finer than the output


@dataclass(frozen=True)
class QualityReader:
    """A quality band, read on the grid of the output or finer.

    Attributes:
        quality: What its values mean.
        reader: Reads it on the grid of the output, each cell of which is split into `splits` × `splits`.
        splits: One where image and mask come from the same cell. More where the image is averaged from finer cells: each of them
            counts then, since a cloud that is smaller than a cell of the output would be averaged into it.
        classes: What it is asked for.
    """

    quality: QualityBand
    reader: GridReader
    splits: int
    classes: list[str]

    def find(self, window: Window, codes: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
        """By class, where it is in any part of a cell: (rows, columns) bool."""
        rows, columns, splits = int(window.height), int(window.width), self.splits
        found = {name: np.empty((rows, columns), bool) for name in self.classes}
        step = max(STRIP_PIXELS // (columns * splits**2), 1)
        for top in range(0, rows, step):
            height = min(step, rows - top)
            strip = Window(window.col_off * splits, (window.row_off + top) * splits, columns * splits, height * splits)
            values, _ = self.reader.read(strip)
            for name in self.classes:
                parts = self.quality.find(values, name, codes).reshape(height, splits, columns, splits)
                found[name][top : top + height] = parts.any(axis=(1, 3))
        return found


@dataclass
class Masker:
    """The quality bands in use, and what they have masked so far.

    Attributes:
        readers: The quality bands that are asked; empty when nothing is masked.
        codes: Codes of the product's bands that are written; only their saturation counts.
        counts: Pixels by class.
    """

    readers: list[QualityReader]
    codes: list[str]
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, found: NDArray[np.bool_]) -> None:
        """Adds the pixels of a class."""
        self.counts[name] = self.counts.get(name, 0) + int(np.count_nonzero(found))

    def find_masked(self, window: Window) -> NDArray[np.bool_]:
        """(rows, columns) bool: where any of the classes is."""
        masked = np.zeros((window.height, window.width), bool)
        for reader in self.readers:
            for name, found in reader.find(window, self.codes).items():
                self.count(name, found)
                masked |= found
        return masked


def open_masker(
    stack: ExitStack, scene: Scene, bands: Sequence[SceneBand], grid: ImageGrid, classes: Sequence[str], resampling: Resampling
) -> Masker:
    """The masker for some classes, each from the first quality band that tells it.

    They are tried at the cell size that fits best or, where cells of the image are interpolated or averaged, from the finest on, so
    that no small cloud that is in a mean is missing in the mask.

    Args:
        stack: Closes the quality bands.
        scene: Whose quality bands to use.
        bands: The bands that are written.
        grid: Of the output; quality bands are taken by nearest, from cells of their own size or finer.
        classes: Names of the classes; empty = mask nothing.
        resampling: Of the image.

    Raises:
        ToolboxError: A quality band cannot be read, or does not lie on the bands.
    """
    own = [band for band in bands if band.code]  # of the product; others may be of anywhere
    masker = Masker([], [band.code for band in own])
    pending = list(dict.fromkeys(classes))
    fits = (lambda size: misfit(size, grid.transform.a)) if resampling == Resampling.nearest else (lambda size: (False, size))
    for quality in sorted(scene.quality, key=lambda quality: fits(quality.cell_size)):
        told = [name for name in pending if name in quality.classes]
        if told:
            dataset = open_source(quality.source, quality.driver)
            stack.callback(dataset.close)
            if own:
                _refuse_elsewhere(dataset, own[0])
            splits = 1 if resampling == Resampling.nearest else _count_splits(dataset, grid)
            finer = ImageGrid(grid.width * splits, grid.height * splits, grid.transform * Affine.scale(1 / splits), grid.crs_wkt)
            reader = stack.enter_context(GridReader(dataset, quality.numbers, finer, Resampling.nearest))
            masker.readers.append(QualityReader(quality, reader, splits, told))
            pending = [name for name in pending if name not in told]
    return masker


def _count_splits(quality: rasterio.DatasetReader, grid: ImageGrid) -> int:
    """Into how many parts along each side a cell of the output is split, so that no cell of the quality band is passed over."""
    crs = CRS.from_wkt(grid.crs_wkt) if grid.crs_wkt else None
    if quality.crs != crs:  # the image lies in another system, in which cells have no size to compare
        return 1
    return max(math.ceil(abs(grid.transform.a / quality.transform.a) - ALIGNED), 1)


def _refuse_elsewhere(quality: rasterio.DatasetReader, reference: SceneBand) -> None:
    """Raises ToolboxError when a quality band leaves a part of the bands open, which would pass for a clear sky."""
    name = PurePath(quality.name).name
    with open_source(reference.source, reference.driver) as dataset:
        if quality.crs != dataset.crs:
            raise ToolboxError(
                f"{name} lies in another coordinate system than the bands, so it is not of this scene; download the product again."
            )
        cell = max(abs(size) for size in (*dataset.res, *quality.res))  # rounding up, the last cell may reach beyond
        if max(_uncovered(quality.bounds, dataset.bounds)) > cell:
            raise ToolboxError(
                f"{name} covers a part of the bands only, and clouds beside it would stay; get it for the whole scene, or switch "
                "MASK_CLOUDS off."
            )


def _uncovered(inner: BoundingBox, outer: BoundingBox) -> tuple[float, float, float, float]:
    """How far the outer bounds reach beyond the inner ones to the left, bottom, right and top, in map units."""
    return inner.left - outer.left, inner.bottom - outer.bottom, outer.right - inner.right, outer.top - inner.top
