# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the pixels to mask on the grid of the output, from the quality bands of a scene, and counts them by class."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.coords import BoundingBox
from rasterio.enums import Resampling
from rasterio.windows import Window

from ...errors import ToolboxError
from ..image_writer import ImageGrid
from .grid import GridReader
from .quality import QualityBand
from .scene import Scene, SceneBand, misfit
from .sources import open_source


@dataclass
class Masker:
    """The quality bands in use, and what they have masked so far.

    Attributes:
        readers: Each quality band with its reader and the classes it is asked for; empty when nothing is masked.
        codes: Codes of the bands that are written; only their saturation counts.
        counts: Pixels by class.
    """

    readers: list[tuple[QualityBand, GridReader, list[str]]]
    codes: list[str]
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, found: NDArray[np.bool_]) -> None:
        """Adds the pixels of a class."""
        self.counts[name] = self.counts.get(name, 0) + int(np.count_nonzero(found))

    def find_masked(self, window: Window) -> NDArray[np.bool_]:
        """(rows, columns) bool: where any of the classes is."""
        masked = np.zeros((window.height, window.width), bool)
        for quality, reader, classes in self.readers:
            values, _ = reader.read(window)
            for name in classes:
                found = quality.find(values, name, self.codes)
                self.count(name, found)
                masked |= found
        return masked


def open_masker(stack: ExitStack, scene: Scene, bands: Sequence[SceneBand], grid: ImageGrid, classes: Sequence[str]) -> Masker:
    """The masker for some classes, each from the first quality band that tells it, at the cell size that fits best.

    Args:
        stack: Closes the quality bands.
        scene: Whose quality bands to use.
        bands: The bands that are written.
        grid: Of the output; quality bands are taken by nearest.
        classes: Names of the classes; empty = mask nothing.

    Raises:
        ToolboxError: A quality band cannot be read, or does not lie on the bands.
    """
    masker = Masker([], [band.code for band in bands])
    reference = next((band for band in bands if band.code), None)  # of the product; others may be of anywhere
    pending = list(dict.fromkeys(classes))
    for quality in sorted(scene.quality, key=lambda quality: misfit(quality.cell_size, grid.transform.a)):
        told = [name for name in pending if name in quality.classes]
        if told:
            dataset = open_source(quality.source, quality.driver)
            stack.callback(dataset.close)
            if reference is not None:
                _refuse_elsewhere(dataset, reference)
            reader = stack.enter_context(GridReader(dataset, quality.numbers, grid, Resampling.nearest))
            masker.readers.append((quality, reader, told))
            pending = [name for name in pending if name not in told]
    return masker


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
