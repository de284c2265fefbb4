# SPDX-License-Identifier: GPL-2.0-or-later
"""What a folder exported by ArcGIS Pro (or by us in its form) says about itself: format, classes, bands, and which chips it holds.

Old and new exports: 9- or 12-digit names, either slash, with or without band statistics; everything is read as data. Chips are listed
one by one, so memory does not grow with their number. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ToolboxError
from ..labels.schema import ClassDefinition, ClassSchema
from . import names
from .map_file import MAP, SECOND_FOLDERS, ChipFiles, read_map
from .names import EMD, STATS_JSON

MOST_METADATA_BYTES = 64 * 2**20
# ArcGIS's names of the metadata formats.
CLASSIFIED_TILES, RCNN_MASKS, PANOPTIC, PASCAL_VOC, KITTI, LABELED_TILES, MULTILABELED_TILES, IMAGENET, EXPORT_TILES, CYCLEGAN = (
    names.ESRI_MODES[key]
    for key in (
        names.CLASSIFIED_TILES, names.RCNN_MASKS, names.PANOPTIC, names.PASCAL_VOC, names.KITTI, names.LABELED_TILES,
        names.MULTILABELED_TILES, names.IMAGENET, names.EXPORT_TILES, names.CYCLEGAN,
    )
)  # fmt: skip
FORMATS = (
    CLASSIFIED_TILES, RCNN_MASKS, PANOPTIC, PASCAL_VOC, KITTI, LABELED_TILES, MULTILABELED_TILES, IMAGENET, EXPORT_TILES, CYCLEGAN,
)  # fmt: skip
DOMAINS = ("A", "B")  # the two sets of images of a CycleGAN export, each with metadata of its own
IMAGE_FOLDERS = ("images", "images_before")
IMAGE_ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".mrf")
LABEL_ENDINGS = (".xml", ".txt", *IMAGE_ENDINGS)


@dataclass(frozen=True)
class ArcgisMetadata:
    """What the metadata files say.

    Attributes:
        mode: The metadata format, one of `FORMATS`.
        classes: The classes by ascending value, without 0; may be empty where a format has none.
        instance_classes: Classes of the objects of a panoptic export; empty elsewhere.
        band_names: Names of the bands; empty where unknown.
        tiles: Number of chips that the export counted; None where it does not say.
        has_variable_size: The chips were cropped to the objects, so each has a size of its own.
    """

    mode: str
    classes: ClassSchema
    instance_classes: ClassSchema
    band_names: tuple[str, ...]
    tiles: int | None
    has_variable_size: bool

    @property
    def all_classes(self) -> ClassSchema:
        """The classes and, where their values are not taken, those of the objects."""
        joined = {entry.value: entry for entry in (*self.instance_classes.classes, *self.classes.classes)}
        return ClassSchema(tuple(joined[value] for value in sorted(joined)))

    @property
    def misfits(self) -> tuple[ClassDefinition, ...]:
        """Classes of objects whose value is another class in `classes`; signs that folders cannot have do not make another name."""
        names = {entry.value: _plain(entry.name) for entry in self.classes.classes}
        return tuple(entry for entry in self.instance_classes.classes if names.get(entry.value) not in (None, _plain(entry.name)))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name).casefold()


def is_arcgis_folder(path: Path) -> bool:
    """Whether the folder, or each of its two domains, has the three files by which ArcGIS's own reader knows an export."""
    return bool(list_domains(path))


def list_domains(path: Path) -> list[str]:
    """Folders with metadata of their own, relative to the path: itself as an empty text, or ``A`` and ``B``; none elsewhere."""
    if _has_metadata(path) and not any((path / name).is_dir() for name in DOMAINS):
        return [""]
    if all(_has_metadata(path / name) for name in DOMAINS):
        return list(DOMAINS)
    return [""] if _has_metadata(path) else []


def _has_metadata(path: Path) -> bool:
    return all((path / name).is_file() for name in (MAP, EMD, STATS_JSON))


def read_metadata(path: Path) -> ArcgisMetadata:
    """The metadata of a folder.

    Raises:
        ToolboxError: A file is damaged, the format is not known, or a class value is not allowed.
    """
    definition, stats = _read_json(path / EMD), _read_json(path / STATS_JSON)
    mode = stats.get("MetaDataMode") or definition.get("MetaDataMode")
    if mode not in FORMATS:
        raise ToolboxError(f"{path} was exported as “{mode}”, which is not known here; the formats known are {', '.join(FORMATS)}.")
    properties = definition.get("InputRastersProps")
    names = properties.get("BandNames") if isinstance(properties, dict) else None
    is_named = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    tiles = stats.get("NumTiles")
    return ArcgisMetadata(
        mode=mode,
        classes=_read_classes(definition.get("Classes")),
        instance_classes=_read_classes(definition.get("Panoptic_Segmentation_Instance_Classes")),
        band_names=tuple(names) if names and is_named else (),
        tiles=tiles if isinstance(tiles, int) else None,
        has_variable_size=definition.get("CropTileMode") == "Variable_Size",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_METADATA_BYTES:
            raise ValueError(f"larger than {MOST_METADATA_BYTES >> 20} MB")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as failure:
        raise ToolboxError(f"{path} cannot be read ({failure}); export the training data again.") from failure
    if not isinstance(content, dict):
        raise ToolboxError(f"{path} is not a JSON object; export the training data again.")
    return content


def _read_classes(listed: Any) -> ClassSchema:
    entries = [
        {"value": entry["Value"], "name": entry.get("Name"), "color": entry.get("Color")}
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("Value"), (int, float)) and entry["Value"] != 0
    ]
    return ClassSchema.from_dicts(entries)


def list_chips(path: Path, claim: Callable[[str], bool]) -> Iterator[tuple[ChipFiles, bool]]:
    """Each chip once, and whether ``map.txt`` lists it: ArcGIS lists the folder, so a chip missing from the map is one, too.

    Real maps repeat a line now and then. The files need not exist; labels that the map leaves out are looked for by name.

    Args:
        path: The folder.
        claim: Is given the path of an image and answers whether it is given for the first time; who calls decides where the names
            are kept.

    Raises:
        ToolboxError: `map.txt` cannot be read.
    """
    for domain in list_domains(path):
        base = path / domain
        prefix = f"{domain}/" if domain else ""
        finder = LabelFinder(base)
        for chip in read_map(base):
            if claim(prefix + chip.image):
                labels = chip.labels or finder.find(chip.stem)
                yield _prefix(prefix, ChipFiles(chip.image, chip.second, labels)), True
        for image in _scan_images(base):
            if claim(prefix + image):
                chip = ChipFiles(image, _find_second(base, image), ())
                yield _prefix(prefix, ChipFiles(image, chip.second, finder.find(chip.stem))), False


def _scan_images(base: Path) -> Iterator[str]:
    """The images that lie in the folder of images or, as in Imagenet, in one folder for each class; in no order."""
    for name in IMAGE_FOLDERS:
        yield from _scan_one(base / name, name)


def _scan_one(folder: Path, relative: str) -> Iterator[str]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir() and relative in IMAGE_FOLDERS:
                yield from _scan_one(Path(entry.path), f"{relative}/{entry.name}")
            elif entry.name.lower().endswith(IMAGE_ENDINGS):
                yield f"{relative}/{entry.name}"


def _find_second(base: Path, image: str) -> str | None:
    file = image.rpartition("/")[2]
    return next((f"{name}/{file}" for name in SECOND_FOLDERS if (base / name / file).is_file()), None)


class LabelFinder:
    """Finds the label files of a chip by its name, in the folder of labels or, as in RCNN Masks, in the folders of the classes.

    Args:
        base: Folder of the export.
        folder: Name of the folder of labels.
    """

    def __init__(self, base: Path, folder: str = "labels") -> None:
        self._base = base
        self._folder = folder

    @cached_property
    def homes(self) -> list[str]:
        """The folders that may hold labels: the folder of labels and those in it, by name."""
        root = self._base / self._folder
        if not root.is_dir():
            return []
        with os.scandir(root) as entries:
            return [self._folder, *sorted(f"{self._folder}/{entry.name}" for entry in entries if entry.is_dir())]

    def find(self, stem: str) -> tuple[str, ...]:
        """Paths, relative to the export, of the labels that are there."""
        found = (self._find_in(home, stem) for home in self.homes)
        return tuple(path for path in found if path is not None)

    def _find_in(self, home: str, stem: str) -> str | None:
        paths = (f"{home}/{stem}{ending}" for ending in LABEL_ENDINGS)
        return next((path for path in paths if (self._base / path).is_file()), None)


def _prefix(prefix: str, chip: ChipFiles) -> ChipFiles:
    """The chip with paths from the folder that holds the domain."""
    second = None if chip.second is None else prefix + chip.second
    return ChipFiles(prefix + chip.image, second, tuple(prefix + label for label in chip.labels))
