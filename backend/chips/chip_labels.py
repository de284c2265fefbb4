# SPDX-License-Identifier: GPL-2.0-or-later
"""The labels of one chip in any of ArcGIS's metadata formats: what is counted, and what is drawn.

Unlike `ChipFolder.load`, which refuses what cannot be trained on, this reads whatever is there and tells the values that the class
list lacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from ..errors import ToolboxError
from ..imagery.raster import open_raster
from ..labels.schema import LARGEST_VALUE, UNLABELLED
from .arcgis_folder import (
    CLASSIFIED_TILES,
    CYCLEGAN,
    EXPORT_TILES,
    IMAGENET,
    KITTI,
    LABELED_TILES,
    MULTILABELED_TILES,
    PANOPTIC,
    PASCAL_VOC,
    RCNN_MASKS,
    ArcgisMetadata,
)
from .folder import clear_nodata, is_object
from .label_files import NamedBox, read_objects
from .map_file import ChipFiles

UNLISTED = LARGEST_VALUE + 1  # in `ChipLabels.classes`, where a label holds a value that the class list lacks
PIXEL_FORMATS = (CLASSIFIED_TILES, PANOPTIC, RCNN_MASKS)
OBJECT_FORMATS = (PASCAL_VOC, KITTI, RCNN_MASKS, PANOPTIC)
CHIP_CLASS_FORMATS = (LABELED_TILES, MULTILABELED_TILES, IMAGENET)
NAMING_FORMATS = (RCNN_MASKS, PANOPTIC, MULTILABELED_TILES, IMAGENET)
UNLABELLED_FORMATS = (EXPORT_TILES, CYCLEGAN)


@dataclass
class ChipLabels:
    """The labels of a chip.

    Attributes:
        classes: (rows, columns) uint16 class values, 0 = unlabelled or nodata, `UNLISTED`; None in formats without label pixels.
        boxes: Boxes of objects; those of a class that is not listed, too.
        pixels: Class value → labelled pixels on valid image pixels.
        objects: Class value → objects, or 1 for a class that the whole chip has.
        unlisted: Value or name that the class list lacks → pixels or objects.
    """

    classes: NDArray[np.uint16] | None = None
    boxes: list[tuple[int | None, tuple[float, float, float, float]]] = field(default_factory=list)
    pixels: Counter[int] = field(default_factory=Counter)
    objects: Counter[int] = field(default_factory=Counter)
    unlisted: Counter[str] = field(default_factory=Counter)


class LabelReader:
    """Reads the labels of the chips of one folder; may be used by several threads.

    Args:
        folder: The folder.
        metadata: What its metadata say.
    """

    def __init__(self, folder: Path, metadata: ArcgisMetadata) -> None:
        self._folder = folder
        self._mode = metadata.mode
        self._classes = classes = metadata.all_classes
        self._codes = np.full(UNLISTED + 1, UNLISTED, np.uint16)  # class value → itself, or UNLISTED
        self._codes[[UNLABELLED, *classes.values]] = [UNLABELLED, *classes.values]
        by_value = {str(entry.value): entry.value for entry in classes.classes}
        by_name = {entry.name.casefold(): entry.value for entry in (*metadata.instance_classes.classes, *classes.classes)}
        # A class may be named "2" and have the value 1: boxes are written with values, folders and lists with names.
        self._values: Mapping[str, int] = {**by_value, **by_name} if self._mode in NAMING_FORMATS else {**by_name, **by_value}
        self._uncounted = {entry.name.casefold() for entry in metadata.misfits}

    def read(self, files: ChipFiles, valid: NDArray[np.bool_]) -> ChipLabels:
        """The labels of a chip.

        Args:
            files: The chip.
            valid: (rows, columns) of the image; labels elsewhere do not count.

        Raises:
            ToolboxError: A label file is missing, damaged, or of another size than the image.
        """
        labels = ChipLabels()
        if self._mode in PIXEL_FORMATS:
            self._read_pixels(files, valid, labels)
        elif self._mode == IMAGENET:
            self._add_name(files.image.split("/")[-2], labels)
        elif self._mode not in UNLABELLED_FORMATS:
            for path in files.labels:
                for found in read_objects(self._folder / path):
                    self._add_object(found, labels)
        return labels

    def _read_pixels(self, files: ChipFiles, valid: NDArray[np.bool_], labels: ChipLabels) -> None:
        labels.classes = np.full(valid.shape, UNLABELLED, np.uint16)
        for path in files.labels:
            stored, nodata = _read_one(self._folder / path, valid.shape)
            if self._mode == RCNN_MASKS or path.startswith("labels2/"):
                self._add_mask(path.split("/")[-2], np.where(is_object(stored, nodata) & valid, stored, 0), labels)
            else:
                self._add_class_chip(np.where(valid, clear_nodata(stored, nodata, self._classes), UNLABELLED), labels)
        counts = np.bincount(labels.classes.ravel(), minlength=UNLISTED + 1)
        for value in np.flatnonzero(counts).tolist():
            if value not in (UNLABELLED, UNLISTED):
                labels.pixels[value] += int(counts[value])

    def _add_class_chip(self, stored: NDArray[Any], labels: ChipLabels) -> None:
        """Takes over the class values of a chip; `stored` is cleared of nodata."""
        if labels.classes is None:
            return
        regular = (stored >= UNLABELLED) & (stored <= LARGEST_VALUE) & (stored % 1 == 0)
        labels.classes[:] = np.where(regular, self._codes[np.where(regular, stored, UNLABELLED).astype(np.uint16)], UNLISTED)
        strange = labels.classes == UNLISTED
        if strange.any():
            values, counts = np.unique(stored[strange], return_counts=True)
            labels.unlisted.update({f"{value:.12g}": count for value, count in zip(values.tolist(), counts.tolist(), strict=True)})

    def _add_mask(self, name: str, numbers: NDArray[Any], labels: ChipLabels) -> None:
        """Takes over a mask of object numbers of one class; RCNN masks also paint the pixels."""
        if name.casefold() in self._uncounted:
            return
        value = self._find(name)
        found = np.unique(numbers[numbers > 0])
        if value is None:
            labels.unlisted[name] += found.size
        else:
            labels.objects[value] += found.size
        if self._mode == RCNN_MASKS and labels.classes is not None:
            labels.classes[numbers > 0] = UNLISTED if value is None else value

    def _add_object(self, found: NamedBox, labels: ChipLabels) -> None:
        names = found.name.split(",") if self._mode == MULTILABELED_TILES else [found.name]
        for name in names:
            self._add_name(name.strip(), labels)
        if found.box is not None and self._mode in OBJECT_FORMATS:
            labels.boxes.append((self._find(found.name), found.box))

    def _add_name(self, name: str, labels: ChipLabels) -> None:
        value = self._find(name)
        if value is None:
            labels.unlisted[name] += 1
        else:
            labels.objects[value] += 1

    def _find(self, text: str) -> int | None:
        """The class value of a value or name as written; ArcGIS writes either."""
        return self._values.get(text.casefold())


def _read_one(path: Path, shape: tuple[int, ...]) -> tuple[NDArray[Any], float | None]:
    """The first band of a label chip and its nodata value; raises ToolboxError."""
    with open_raster(str(path)) as dataset:
        if (dataset.height, dataset.width) != shape:
            raise ToolboxError(f"The label has {dataset.width} × {dataset.height} pixels, its image {shape[1]} × {shape[0]}.")
        try:
            return dataset.read(1), dataset.nodata
        except RasterioIOError as failure:
            raise ToolboxError(f"The label {path} cannot be read ({failure}); the file seems to be damaged.") from failure
