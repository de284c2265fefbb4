# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of files, formats and layers that several modules agree on. Standard library only; the QGIS side reads it too."""

from __future__ import annotations

MAP, EMD, STATS_JSON, STATS_TXT = "map.txt", "esri_model_definition.emd", "esri_accumulated_stats.json", "stats.txt"

# Our word for a metadata format → ArcGIS's.
CLASSIFIED_TILES = "classified_tiles"
PASCAL_VOC = "pascal_voc"
KITTI = "kitti"
RCNN_MASKS = "rcnn_masks"
LABELED_TILES = "labeled_tiles"
MULTILABELED_TILES = "multilabeled_tiles"
EXPORT_TILES = "export_tiles"
CYCLEGAN = "cyclegan"
IMAGENET = "imagenet"
PANOPTIC = "panoptic"
ESRI_MODES = {
    CLASSIFIED_TILES: "Classified_Tiles",
    PASCAL_VOC: "PASCAL_VOC_rectangles",
    KITTI: "KITTI_rectangles",
    RCNN_MASKS: "RCNN_Masks",
    LABELED_TILES: "Labeled_Tiles",
    MULTILABELED_TILES: "MultiLabeled_Tiles",
    EXPORT_TILES: "Export_Tiles",
    CYCLEGAN: "CycleGAN",
    IMAGENET: "Imagenet",
    PANOPTIC: "Panoptic_Segmentation",
}
METADATA_FORMATS = tuple(ESRI_MODES)
WITHOUT_LABELS = (EXPORT_TILES, CYCLEGAN)
PER_FEATURE = (LABELED_TILES, IMAGENET)
WITH_SECOND_RASTER = (CLASSIFIED_TILES, EXPORT_TILES, CYCLEGAN)

TIFF, PNG, JPEG, MRF = "tiff", "png", "jpeg", "mrf"
CHIP_FORMATS = (TIFF, PNG, JPEG, MRF)
PICTURES = (PNG, JPEG)  # what can hold bytes in one or three bands only
PICTURE_BANDS = (1, 3)

MAP_SPACE, PIXEL_SPACE = "map_space", "pixel_space"
REFERENCE_SYSTEMS = (MAP_SPACE, PIXEL_SPACE)
FIXED_SIZE, BOUNDING_BOX = "fixed_size", "bounding_box"
CROP_MODES = (FIXED_SIZE, BOUNDING_BOX)

# Layers of the GeoPackage with an export's vectors; those of the second and further rasters end with _2, _3 …
LABELS_LAYER, MASK_LAYER, INSTANCES_LAYER = "labels", "mask", "instances"


def layer_name(layer: str, source: int) -> str:
    """The layer with the features of a raster, counted from 0, in that raster's coordinates."""
    return layer if source == 0 else f"{layer}_{source + 1}"


def picture_fault(chip_format: str, bands: int, dtypes: list[str]) -> str:
    """Why a chip format cannot hold such bands, in one sentence; empty when it can."""
    if chip_format not in PICTURES:
        return ""
    advice = "choose CHIP_FORMAT=tiff, which keeps any bands"
    if bands not in PICTURE_BANDS:
        return f"CHIP_FORMAT={chip_format} holds one or three bands and {bands} are to be written; {advice}, or choose three BANDS."
    wrong = [dtype for dtype in dtypes if dtype != "uint8"]
    if wrong:
        return f"CHIP_FORMAT={chip_format} holds 8-bit values (uint8) and the raster has {wrong[0]}; {advice}."
    return ""
