# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures of chips for the report: the image, and the image with its labels upon it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ...errors import ToolboxError
from ...imagery.band_statistics import BandStatistics
from ...imagery.raster import RasterReader
from ...labels.schema import ClassSchema
from ..chip_labels import UNLISTED, ChipLabels, LabelReader
from ..map_file import ChipFiles

SIDE = 160  # pixels of a picture's longer side
OPACITY = 0.5  # of the labels
STRETCH = 2.5  # standard deviations from the mean to black or white
INVALID, UNLISTED_COLOR = (225, 225, 225), (255, 0, 255)
COLOURS = ("red", "green", "blue")
Picture = NDArray[np.uint8]


class ChipPainter:
    """Paints chips of one folder.

    Args:
        folder: The folder.
        labels: Reads its labels.
        classes: Its classes.
        bands: Statistics of its bands, for names and contrast; a chip with other bands is stretched by itself.
    """

    def __init__(self, folder: Path, labels: LabelReader, classes: ClassSchema, bands: Sequence[BandStatistics]) -> None:
        self._folder = folder
        self._labels = labels
        self._bands = bands
        self._colors = {**{entry.value: entry.color for entry in classes.classes}, UNLISTED: UNLISTED_COLOR}

    def paint(self, files: ChipFiles) -> tuple[Picture, Picture] | None:
        """The image, and the image with labels, each (rows, columns, 3); None when the chip cannot be read."""
        try:
            with RasterReader(str(self._folder / files.image), allow_rotation=True) as reader:
                image, valid = reader.read(Window(0, 0, reader.info.width, reader.info.height))
        except ToolboxError:  # the inspection has told it
            return None
        step = max(1, -(-max(valid.shape) // SIDE))
        picture = self._compose(image[:, ::step, ::step], valid[::step, ::step])
        try:
            labels = self._labels.read(files, valid)
        except ToolboxError:
            labels = ChipLabels()
        grown = max(1, SIDE // max(picture.shape[:2]))
        plain = picture.repeat(grown, axis=0).repeat(grown, axis=1)
        painted = plain.copy()
        if labels.classes is not None:
            self._paint_classes(painted, labels.classes[::step, ::step].repeat(grown, axis=0).repeat(grown, axis=1))
        for value, box in labels.boxes:
            color = UNLISTED_COLOR if value is None else self._colors[value]
            _draw_box(painted, [edge * grown / step for edge in box], color)
        return plain, painted

    def _compose(self, image: NDArray[np.float32], valid: NDArray[np.bool_]) -> Picture:
        """Red, green and blue where the bands' names tell them, else the first three or one; grey where invalid."""
        known = len(self._bands) == len(image)
        names = [band.name for band in self._bands] if known else [""] * len(image)
        picture = np.empty((*valid.shape, 3), np.uint8)
        for place, channel in enumerate(_choose_channels(names)):
            low, high = _choose_range(self._bands[channel]) if known else (image[channel].min(), image[channel].max())
            picture[..., place] = np.clip((image[channel] - low) / max(high - low, 1e-9) * 255, 0, 255)
        picture[~valid] = INVALID
        return picture

    def _paint_classes(self, picture: Picture, classes: NDArray[np.uint16]) -> None:
        for value in np.unique(classes):
            if value:
                where = classes == value
                picture[where] = (1 - OPACITY) * picture[where] + OPACITY * np.array(self._colors[int(value)])


def _choose_range(band: BandStatistics) -> tuple[float, float]:
    """Values to show as black and white: the percentiles, or nearer to the mean where few pixels lie far out."""
    return max(band.low, band.mean - STRETCH * band.std), min(band.high, band.mean + STRETCH * band.std)


def _choose_channels(names: Sequence[str]) -> list[int]:
    lowered = [name.strip().lower() for name in names]
    if set(COLOURS) <= set(lowered):
        return [lowered.index(colour) for colour in COLOURS]
    return [0, 1, 2] if len(lowered) >= len(COLOURS) else [0, 0, 0]


def _draw_box(picture: Picture, box: Sequence[float], color: tuple[int, int, int]) -> None:
    """Draws the outline of a box (left, top, right, bottom), cut to the picture."""
    rows, columns = picture.shape[:2]
    left, right = (int(np.clip(edge, 0, columns - 1)) for edge in (box[0], box[2] - 1))
    top, bottom = (int(np.clip(edge, 0, rows - 1)) for edge in (box[1], box[3] - 1))
    picture[top : bottom + 1, [left, right]] = color
    picture[[top, bottom], left : right + 1] = color
