# SPDX-License-Identifier: GPL-2.0-or-later
"""Which metadata formats have a label for each pixel, and the masks of objects of those that have no label chips.

RCNN Masks have, for each class that occurs in a chip, a raster with the numbers of the objects, in a folder named by the class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import ToolboxError
from .arcgis_folder import (
    CLASSIFIED_TILES,
    CYCLEGAN,
    EXPORT_TILES,
    IMAGENET,
    KITTI,
    LABELED_TILES,
    MULTILABELED_TILES,
    PASCAL_VOC,
    RCNN_MASKS,
    ArcgisMetadata,
    list_chips,
    list_domains,
    read_metadata,
)
from .map_file import ChipFiles

UNUSABLE = {
    PASCAL_VOC: "boxes", KITTI: "boxes", LABELED_TILES: "one class for a whole chip", IMAGENET: "one class for a whole chip",
    MULTILABELED_TILES: "classes for a whole chip", EXPORT_TILES: "none", CYCLEGAN: "none",
}  # fmt: skip
OUTSIDE_OBJECTS = "Pixels outside all objects are unlabelled; choose UNLABELED=background if no object was left out."


@dataclass(frozen=True)
class ClassMask:
    """A chip of one class: value of the class, path of the file in the folder; pixels above 0 belong to objects of it."""

    value: int
    path: str


def read_usable_metadata(path: Path) -> ArcgisMetadata:
    """The metadata of a folder; raises ToolboxError for a format without a label for each pixel."""
    metadata = read_metadata(path / list_domains(path)[0])
    if metadata.mode in UNUSABLE:
        raise ToolboxError(
            f"{path} was exported as {metadata.mode}, whose labels are {UNUSABLE[metadata.mode]}; pixel classification needs a label "
            f"for each pixel, so export again as {CLASSIFIED_TILES} or {RCNN_MASKS}."
        )
    return metadata


def claim(told: set[str], image: str) -> bool:
    """Whether an image is met for the first time."""
    is_new = image not in told
    told.add(image)
    return is_new


def read_masks(path: Path) -> dict[str, tuple[ClassMask, ...]]:
    """The masks of every chip of a folder that has these instead of label chips, also of one of ours; empty for other folders.

    Raises:
        ToolboxError: A format without a label for each pixel, or damaged metadata.
    """
    metadata = read_usable_metadata(path)
    if metadata.mode != RCNN_MASKS:
        return {}
    chips = list_chips(path, partial(claim, set()))
    return {chip.image: class_masks(path, chip, metadata) for chip, _ in chips}


def class_masks(path: Path, chip: ChipFiles, metadata: ArcgisMetadata) -> tuple[ClassMask, ...]:
    """The masks of an RCNN chip; raises ToolboxError for a folder that is no class."""
    values = {entry.name: entry.value for entry in metadata.classes.classes}
    masks = []
    for label in chip.labels:
        name = label.split("/")[-2]
        if name not in values:
            raise ToolboxError(
                f"{path / label} lies in a folder named “{name}”, which is none of the classes {', '.join(values)}; export again."
            )
        masks.append(ClassMask(values[name], label))
    return tuple(sorted(masks, key=lambda mask: mask.value))
