# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the metadata by which ArcGIS knows an export: map.txt, stats.txt, the .emd and the statistics JSON.

Keys, their order and types are those of the newest exports of ArcGIS Pro. Class lists are ascending and every class has a colour:
``arcgis.learn`` swaps names otherwise or fails. ArcGIS reads chips without scale and offset, so its statistics are of stored values.
Everything is made from the index, so an export that was added to an older one has the figures of both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rasterio.crs import CRS

from ..imagery.band_statistics import BandStatistics
from ..imagery.sensors import load_sensors
from ..labels.schema import ClassSchema
from . import names
from .formats.base import MetadataFormat
from .index import ChipIndex
from .names import EMD, MAP, STATS_JSON, STATS_TXT
from .tally import Tally, to_number

CROP_WORDS = {names.FIXED_SIZE: "Fixed_Size", names.BOUNDING_BOX: "Variable_Size"}
SPACE_WORDS = {names.MAP_SPACE: "MAP_SPACE", names.PIXEL_SPACE: "PIXEL_SPACE"}
PLACEHOLDERS_ABOVE = {
    "Framework": "e.g. TensorFlow or PyTorch",
    "ModelConfiguration": "e.g. UNet or FasterRCNN",
    "ModelType": "e.g. ObjectDetection or ImageClassification",
    "ModelFile": "e.g. ./trained.model",
    "Description": "e.g. which data model was trained on, when, by whom, mAP, etc",
}
PLACEHOLDERS_BELOW = {
    "ExtractBands": "e.g. [0, 1, 2]",
    "DataRange": "e.g. [0.1, 1.0] (optional)",
    "ModelPadding": "e.g. 64 (optional)",
    "BatchSize": "e.g. 8 (optional)",
    "PerProcessGPUMemoryFraction": "e.g. 0.8 (optional)",
}
WELL_KNOWN_KEY = "WellKnownBandNames (FYI, these band names can be used in ExtractBands)"
WELL_KNOWN_BANDS = [
    "Red",
    "Green",
    "Blue",
    "Infrared",
    "CoastalBlue",
    "Yellow",
    "RedEdge",
    "ShortWaveInfrared",
    "NearInfrared",
    "NearInfrared_1",
    "NearInfrared_2",
    "MidInfrared",
    "MidInfrared_1",
    "MidInfrared_2",
    "Thermal",
    "Thermal_1",
    "Thermal_2",
    "Panchromatic",
    "PseudoRed",
    "PseudoGreen",
    "PseudoBlue",
    "QA",
]


def write_metadata(folder: Path, index: ChipIndex, form: MetadataFormat) -> None:
    """Writes the four files into the folder of chips."""
    tally = Tally(index.classes.values, index.chips)
    (folder / MAP).write_text("".join(f"{form.map_line(chip)}\n" for chip in index.chips), encoding="utf-8", newline="\n")
    (folder / STATS_TXT).write_text(_stats_text(index, tally, form.class_names), encoding="utf-8", newline="\n")
    for name, content in ((STATS_JSON, _accumulated(index, tally, form)), (EMD, _definition(index, form))):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _counts_pixels(index: ChipIndex) -> bool:
    """Whether ArcGIS's statistics are of pixels: for class rasters as labels in formats with rasters of classes."""
    return index.label_kind == "raster" and index.metadata_format in (names.CLASSIFIED_TILES, names.PANOPTIC)


def _stats_text(index: ChipIndex, tally: Tally, class_names: dict[int, str]) -> str:
    """The table for people, with features or pixels per class."""
    width, height = index.tile_size
    lines = [f"images = {len(index.chips)} *{len(index.bands)}*{height}*{width}"]
    if index.label_kind == "none":
        return lines[0] + "\n"
    if _counts_pixels(index):
        spread, what, name_width = tally.classes_per_image, "classes", 20
        lines += [f"classes = {len(tally.values)}", _spread_line("classes", spread)]
    else:
        spread, what, name_width = tally.features_per_image, "features", 40
        total = sum(tally.features.values())
        lines += [
            "",
            "Class feature statistics:",
            f"features = {total}",
            _spread_line("features", spread),
            f"classes = {len(tally.values)}",
        ]
    counted = "   pixels  " if what == "classes" else f"{'features':>11}"
    sizes = f"{'min size':>12}{'mean size':>12}{'max size':>12}"
    lines.append(f"{'cls name':<{name_width}}{'cls value':>11}{'images':>11}{counted}{sizes}")
    for value in tally.values:
        size = tally.pixels[value] if what == "classes" else tally.areas[value]
        count = int(size.total) if what == "classes" else tally.features[value]
        lines.append(
            f"{class_names[value]:<{name_width}}{value:>11}{tally.images[value]:>11}{count:>11}"
            f"{size.minimum:>12.2f}{size.mean:>12.2f}{size.maximum:>12.2f}"
        )
    return "\n".join(lines) + "\n"


def _spread_line(what: str, spread: Any) -> str:
    return f"{what} per image = [min = {spread.minimum:.0f}, mean = {spread.mean:.2f}, max = {spread.maximum:.0f}]"


def _cell_sizes(index: ChipIndex) -> dict[str, Any]:
    """The smallest and the largest cell size of the rasters."""
    sizes = sorted(((source.cell_size, source.crs_wkt) for source in index.sources), key=lambda size: size[0])
    sizes = sizes or [(index.cell_size, index.crs_wkt)]
    return {"MinCellSize": _cell_size(*sizes[0]), "MaxCellSize": _cell_size(*sizes[-1])}


def _cell_size(cell_size: tuple[float, float], crs_wkt: str | None) -> dict[str, Any]:
    authority = CRS.from_wkt(crs_wkt).to_authority() if crs_wkt else None
    # ArcGIS numbers coordinate systems by the codes of both.
    code = int(authority[1]) if authority and authority[0] in ("EPSG", "ESRI") else None
    reference = {"wkid": code, "latestWkid": code} if code else {"wkt": crs_wkt or ""}
    return {"x": cell_size[0], "y": cell_size[1], "spatialReference": reference}


def _raster_props(index: ChipIndex, bands: Sequence[BandStatistics]) -> dict[str, Any]:
    sensor = load_sensors().sensors.get(index.sensor)
    name = sensor.title if sensor is not None else "Undefined"
    return {"RasterCount": max(len(index.sources), 1), "SensorName": name, "BandNames": [band.name for band in bands]}


def _stored(band: BandStatistics) -> dict[str, float]:
    """Minimum, maximum, mean and standard deviation of the stored values."""
    low, high, mean = ((value - band.offset) / band.scale for value in (band.minimum, band.maximum, band.mean))
    return {"Min": to_number(min(low, high)), "Max": to_number(max(low, high)), "Mean": mean, "StdDev": band.std / abs(band.scale)}


def _all_tiles_stats(bands: Sequence[BandStatistics]) -> list[dict[str, Any]]:
    return [{"BandName": band.name, **_stored(band)} for band in bands]


def _classes(schema: ClassSchema, class_names: dict[int, str]) -> list[dict[str, Any]]:
    return [{"Value": entry.value, "Name": class_names[entry.value], "Color": list(entry.color)} for entry in schema.classes]


def _definition(index: ChipIndex, form: MetadataFormat) -> dict[str, Any]:
    width, height = index.tile_size
    second, instances = index.bands2, index.instance_classes
    return {
        **PLACEHOLDERS_ABOVE,
        "ImageHeight": height,
        "ImageWidth": width,
        **PLACEHOLDERS_BELOW,
        "MetaDataMode": names.ESRI_MODES[index.metadata_format],
        "BlackenAroundFeature": index.blacken,
        "IsMultidimensional": False,
        "CropTileMode": CROP_WORDS[index.crop_mode],
        "ImageSpaceUsed": SPACE_WORDS[index.reference_system],
        **_cell_sizes(index),
        "Classes": _classes(index.classes, form.class_names),
        **({"Panoptic_Segmentation_Instance_Classes": _classes(instances, form.instance_names)} if instances else {}),
        "InputRastersProps": _raster_props(index, index.bands),
        **({"InputRastersProps2": _raster_props(index, second)} if second else {}),
        "AllTilesStats": _all_tiles_stats(index.bands),
        **({"AllTilesStats2": _all_tiles_stats(second)} if second else {}),
        WELL_KNOWN_KEY: WELL_KNOWN_BANDS,
    }


def _accumulated(index: ChipIndex, tally: Tally, form: MetadataFormat) -> dict[str, Any]:
    width, height = index.tile_size
    pixels, second = _counts_pixels(index), index.bands2
    return {
        "Version": 1,
        "NumBands": len(index.bands),
        "TileSizeX": width,
        "TileSizeY": height,
        "NumClasses": len(index.classes.classes),
        "NumTiles": len(index.chips),
        "NumTilesAsDouble": len(index.chips),
        "NextTileIndex": index.next_number,
        "OutputFeatures": not pixels and index.label_kind != "none",
        "MetaDataMode": names.ESRI_MODES[index.metadata_format],
        **_cell_sizes(index),
        "Classes": [
            {"ClassValue": entry["Value"], "ClassName": entry["Name"], "Color": entry["Color"]}
            for entry in _classes(index.classes, form.class_names)
        ],
        **({"ClassPixelStats": _pixel_stats(tally)} if pixels else {"FeatureStats": _feature_stats(tally)}),
        "InputRastersProps": _raster_props(index, index.bands),
        **({"InputRastersProps2": _raster_props(index, second)} if second else {}),
        "BandStatsState": _band_states(index.bands),
        **({"BandStatsState2": _band_states(second)} if second else {}),
    }


def _feature_stats(tally: Tally) -> dict[str, Any]:
    return {
        "NumClasses": len(tally.values),
        "NumImagesTotal": tally.classes_per_image.count,
        "NumFeaturesTotal": sum(tally.features.values()),
        "NumImagesPerClass": [tally.images[value] for value in tally.values],
        "NumFeaturesPerClass": [tally.features[value] for value in tally.values],
        "NumFeaturesPerImage": tally.features_per_image.to_esri(),
        "FeatureAreaPerClass": [tally.areas[value].to_esri() for value in tally.values],
    }


def _pixel_stats(tally: Tally) -> dict[str, Any]:
    return {
        "NumClasses": len(tally.values),
        "NumImagesTotal": tally.classes_per_image.count,
        "NumImagesPerClass": [tally.images[value] for value in tally.values],
        "NumPixelsPerClass": [int(tally.pixels[value].total) for value in tally.values],
        "NumClassesPerImage": tally.classes_per_image.to_esri(),
        "PixelsPerClass": [tally.pixels[value].to_esri() for value in tally.values],
    }


def _band_states(bands: Sequence[BandStatistics]) -> list[dict[str, float]]:
    states = []
    for band in bands:
        stored = _stored(band)
        extremes = {"Min": stored["Min"], "Max": stored["Max"], "Mean": 0, "StdDev": 0}
        states.append({**extremes, "M1": stored["Mean"], "M2": stored["StdDev"] ** 2 * band.count, "Num": band.count})
    return states
