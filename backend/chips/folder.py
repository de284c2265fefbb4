# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a folder of chips: one of ours through its index, or a Classified Tiles export of ArcGIS through its metadata.

Everything in such a folder is data from elsewhere: paths are resolved inside the folder only, sizes are compared, and nothing is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.normalise import BandStatistics
from ..imagery.raster import RasterReader, open_raster
from ..labels.schema import LARGEST_VALUE, UNLABELLED, ClassSchema, check_value
from .arcgis_folder import is_arcgis_folder, read_arcgis_folder
from .index import INDEX_NAME, ChipIndex, ChipRecord


@dataclass(frozen=True)
class ChipArrays:
    """The pixels of one chip.

    Attributes:
        image: (bands, rows, columns) float32 after scale and offset, 0 where invalid.
        valid: (rows, columns) bool.
        label: (rows, columns) uint16 class values, 0 = unlabelled, also wherever the image is invalid.
        blocks: (rows, columns) int32 block numbers, 0 = none; None in a folder of another program.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    label: NDArray[np.uint16]
    blocks: NDArray[np.int32] | None


class ChipFolder:
    """An opened chip folder.

    Attributes:
        path: The folder.
        index: What it holds.
    """

    def __init__(self, path: Path, index: ChipIndex) -> None:
        self.path = path
        self.index = index

    @classmethod
    def open(cls, path: Path) -> ChipFolder:
        """Opens a folder; raises ToolboxError when it holds no complete export."""
        if not path.is_dir():
            raise ToolboxError(f"The folder of training data {path} does not exist; run Export training data first.")
        if (path / INDEX_NAME).is_file():
            return cls(path, ChipIndex.read(path))
        if is_arcgis_folder(path):
            return cls(path, read_arcgis_folder(path))
        raise ToolboxError(
            f"{path} holds no training data (neither {INDEX_NAME} nor ArcGIS's map.txt and esri_model_definition.emd); "
            "choose the output folder of Export training data."
        )

    @property
    def chips(self) -> tuple[ChipRecord, ...]:
        """The chips."""
        return self.index.chips

    @property
    def bands(self) -> tuple[BandStatistics, ...]:
        """The bands with their statistics."""
        return self.index.bands

    @property
    def classes(self) -> ClassSchema:
        """The classes."""
        return self.index.classes

    def load(self, chip: ChipRecord) -> ChipArrays:
        """Pixels of a chip.

        A label may hold class values that the class list lacks (ArcGIS takes them for unlabelled); they are handed on.

        Raises:
            ToolboxError: A file is missing or damaged, image and label differ in size, or a label is not a class value.
        """
        with RasterReader(str(self._inside(chip.image))) as reader:
            shape = reader.info.height, reader.info.width
            image, valid = reader.read(Window(0, 0, shape[1], shape[0]))
        stored, nodata = self._read_one(chip.label, shape)
        # A declared nodata that is also a class (255 in some exports of ArcGIS) is the class.
        unlabelled = np.isnan(stored) | (stored == nodata if nodata not in self.classes.values else np.False_)
        label = _class_values(np.where(unlabelled, UNLABELLED, stored), self._inside(chip.label))
        label[~valid] = UNLABELLED
        blocks = None if chip.blocks is None else self._read_one(chip.blocks, shape)[0].astype(np.int32)
        return ChipArrays(image, valid, label, blocks)

    def _read_one(self, relative: str, shape: tuple[int, int]) -> tuple[NDArray[Any], float | None]:
        """The first band of a file and its nodata value."""
        path = self._inside(relative)
        with open_raster(str(path)) as dataset:
            if (dataset.height, dataset.width) != shape:
                raise ToolboxError(
                    f"{path} has {dataset.width} × {dataset.height} pixels, its image {shape[1]} × {shape[0]}; export again."
                )
            try:
                return dataset.read(1), dataset.nodata
            except RasterioIOError as failure:
                raise ToolboxError(f"{path} cannot be read ({failure}); the file seems to be damaged, so export again.") from failure

    def _inside(self, relative: str) -> Path:
        """A path in the folder; raises ToolboxError for one that leads out of it."""
        path = (self.path / relative).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise ToolboxError(f"The index of {self.path} names a file outside the folder ({relative}); do not use this folder.")
        return path


def _class_values(stored: NDArray[Any], path: Path) -> NDArray[np.uint16]:
    """A label chip as class values; raises ToolboxError naming the file and a value that is none, instead of wrapping it around."""
    allowed = (stored >= UNLABELLED) & (stored <= LARGEST_VALUE) & (stored % 1 == 0)
    if not allowed.all():
        try:
            check_value(float(stored[~allowed][0]))
        except ToolboxError as refusal:
            raise ToolboxError(f"{path}: {refusal}") from refusal
    return stored.astype(np.uint16)
