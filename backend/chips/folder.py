# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a folder of chips: one of ours through its index, or an export of ArcGIS with a label for each pixel through its metadata.

Chips that the user has struck out (see `strikeouts`) are left out. Everything in such a folder is data from elsewhere: paths are
resolved inside the folder only, sizes are compared, and nothing is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..imagery.raster import RasterReader, open_raster
from ..labels.schema import LARGEST_VALUE, UNLABELLED, ClassSchema, check_value
from .arcgis_chips import read_arcgis_chips
from .arcgis_folder import is_arcgis_folder
from .class_masks import OUTSIDE_OBJECTS, ClassMask, read_masks
from .index import INDEX_NAME, ChipIndex, ChipRecord
from .names import PANOPTIC, RCNN_MASKS
from .strikeouts import read_strikeouts


@dataclass(frozen=True)
class ChipArrays:
    """The pixels of one chip.

    Attributes:
        image: (bands, rows, columns) float32 after scale and offset, 0 where invalid.
        valid: (rows, columns) bool.
        label: (rows, columns) uint16 class values, 0 = unlabelled, also wherever the image is invalid.
        blocks: (rows, columns) int32 block numbers, 0 = none; None in a folder of another program.
        transform: Pixel-to-map matrix; may be turned.
    """

    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    label: NDArray[np.uint16]
    blocks: NDArray[np.int32] | None
    transform: Affine


class ChipFolder:
    """An opened chip folder.

    Attributes:
        path: The folder.
        index: What it holds, without the chips struck out.
        masks: Image of a chip → its masks by class, for a folder that has these instead of label chips.
        struck_out: Number of chips that the user has struck out.
        footprints: Where they were struck out; None where the folder was not inspected.
        notes: Sentences about the folder that the user should know.
    """

    def __init__(
        self,
        path: Path,
        index: ChipIndex,
        masks: Mapping[str, tuple[ClassMask, ...]] | None = None,
        struck_out: int = 0,
        footprints: Path | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self.index = index
        self.masks = masks or {}
        self.struck_out = struck_out
        self.footprints = footprints
        self.notes = notes

    @classmethod
    def open(cls, path: Path) -> ChipFolder:
        """Opens a folder; raises ToolboxError when it holds no complete export, or only chips that are struck out."""
        if not path.is_dir():
            raise ToolboxError(f"The folder of training data {path} does not exist; run Export training data first.")
        if (path / INDEX_NAME).is_file():
            return cls._open_ours(path)
        if is_arcgis_folder(path):
            strikeouts = read_strikeouts(path)
            read = read_arcgis_chips(path, strikeouts.chips)
            return cls(path, read.index, read.masks, read.struck_out, strikeouts.source, read.notes)
        raise ToolboxError(
            f"{path} holds no training data (neither {INDEX_NAME} nor ArcGIS's map.txt and esri_model_definition.emd); "
            "choose the output folder of Export training data."
        )

    @classmethod
    def _open_ours(cls, path: Path) -> ChipFolder:
        masks = read_masks(path) if is_arcgis_folder(path) else {}
        index, strikeouts = ChipIndex.read(path), read_strikeouts(path)
        chips = tuple(chip for chip in index.chips if chip.image not in strikeouts.chips)
        if index.chips and not chips:
            raise ToolboxError(f"All {len(index.chips)} chips of {path} are struck out in {strikeouts.source}; take some in again.")
        notes = (OUTSIDE_OBJECTS,) if index.metadata_format in (RCNN_MASKS, PANOPTIC) else ()
        bare = [chip.image for chip in chips if chip.class_pixels and chip.image not in masks]
        if index.metadata_format == RCNN_MASKS and bare:
            raise ToolboxError(f"{path} names no masks for {bare[0]}: its map.txt was changed or lost; export again.")
        return cls(path, replace(index, chips=chips), masks, len(index.chips) - len(chips), strikeouts.source, notes)

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
        with RasterReader(str(self._inside(chip.image)), allow_rotation=True) as reader:
            shape, transform = (reader.info.height, reader.info.width), reader.info.transform
            image, valid = reader.read(Window(0, 0, shape[1], shape[0]))
        label = self._burn_masks(chip, shape) if chip.image in self.masks else self._read_label(chip, shape)
        label[~valid] = UNLABELLED
        blocks = None if chip.blocks is None else self._read_one(chip.blocks, shape)[0].astype(np.int32)
        return ChipArrays(image, valid, label, blocks, transform)

    def _read_label(self, chip: ChipRecord, shape: tuple[int, int]) -> NDArray[np.uint16]:
        """Class values of a label chip."""
        stored, nodata = self._read_one(chip.label, shape)
        return _class_values(clear_nodata(stored, nodata, self.classes), self._inside(chip.label))

    def _burn_masks(self, chip: ChipRecord, shape: tuple[int, int]) -> NDArray[np.uint16]:
        """Class values of the objects of a chip; where objects of several classes overlap, the class listed last wins."""
        label = np.full(shape, UNLABELLED, np.uint16)
        for mask in self.masks[chip.image]:
            stored, nodata = self._read_one(mask.path, shape)
            label[is_object(stored, nodata)] = mask.value
        return label

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


def clear_nodata(stored: NDArray[Any], nodata: float | None, classes: ClassSchema) -> NDArray[Any]:
    """A label chip with 0 where it is NaN or its declared nodata, unless that is also a class (255 in some exports of ArcGIS)."""
    unlabelled = np.isnan(stored) if stored.dtype.kind == "f" else np.zeros(stored.shape, bool)
    if nodata is not None and nodata not in classes.values:
        unlabelled |= stored == nodata
    return np.where(unlabelled, UNLABELLED, stored)


def is_object(stored: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """Where a mask of objects, which holds their numbers, has one."""
    return (stored > 0) & (stored != nodata)


def _class_values(stored: NDArray[Any], path: Path) -> NDArray[np.uint16]:
    """A label chip as class values; raises ToolboxError naming the file and a value that is none, instead of wrapping it around."""
    allowed = (stored >= UNLABELLED) & (stored <= LARGEST_VALUE) & (stored % 1 == 0)
    if not allowed.all():
        try:
            check_value(float(stored[~allowed][0]))
        except ToolboxError as refusal:
            raise ToolboxError(f"{path}: {refusal}") from refusal
    return stored.astype(np.uint16)
