# SPDX-License-Identifier: GPL-2.0-or-later
"""The metadata formats, a file each. A format says which label files a chip gets and how map.txt lists them."""

from __future__ import annotations

from ...labels.schema import ClassSchema
from .. import names
from .base import MetadataFormat
from .classified_tiles import ClassifiedTiles
from .cyclegan import CycleGan
from .export_tiles import ExportTiles
from .imagenet import Imagenet
from .kitti import Kitti
from .labeled_tiles import LabeledTiles
from .multilabeled_tiles import MultilabeledTiles
from .panoptic import Panoptic
from .pascal_voc import PascalVoc
from .rcnn_masks import RcnnMasks

FORMATS: dict[str, type[MetadataFormat]] = {
    names.CLASSIFIED_TILES: ClassifiedTiles,
    names.PASCAL_VOC: PascalVoc,
    names.KITTI: Kitti,
    names.RCNN_MASKS: RcnnMasks,
    names.LABELED_TILES: LabeledTiles,
    names.MULTILABELED_TILES: MultilabeledTiles,
    names.EXPORT_TILES: ExportTiles,
    names.CYCLEGAN: CycleGan,
    names.IMAGENET: Imagenet,
    names.PANOPTIC: Panoptic,
}


def make_format(key: str, schema: ClassSchema, instance_schema: ClassSchema | None) -> MetadataFormat:
    """The format of this key for these classes."""
    return FORMATS[key](schema, instance_schema)
