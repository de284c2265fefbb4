# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the metadata by which ArcGIS knows a Classified Tiles export: map.txt, stats.txt, the .emd and the statistics JSON.

Keys, their order and types are those of the newest exports of ArcGIS Pro. Class lists are ascending and every class has a colour:
``arcgis.learn`` swaps names otherwise or fails. ArcGIS reads chips without scale and offset, so its statistics are of stored values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rasterio.crs import CRS

from ..imagery.normalise import BandStatistics
from .arcgis_folder import CLASSIFIED_TILES, EMD, MAP, STATS_JSON
from .index import ChipIndex, ChipRecord
from .tally import Tally

STATS_TXT = "stats.txt"
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
    "Red", "Green", "Blue", "Infrared", "CoastalBlue", "Yellow", "RedEdge", "ShortWaveInfrared", "NearInfrared",
    "NearInfrared_1", "NearInfrared_2", "MidInfrared", "MidInfrared_1", "MidInfrared_2", "Thermal", "Thermal_1", "Thermal_2",
    "Panchromatic", "PseudoRed", "PseudoGreen", "PseudoBlue", "QA",
]


def write_metadata(folder: Path, index: ChipIndex, tally: Tally) -> None:
    """Writes the four files into the folder of chips."""
    (folder / MAP).write_text("".join(_map_line(chip) for chip in index.chips), encoding="utf-8", newline="\n")
    (folder / STATS_TXT).write_text(_stats_text(index, tally), encoding="utf-8", newline="\n")
    for name, content in ((STATS_JSON, _accumulated(index, tally)), (EMD, _definition(index))):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _map_line(chip: ChipRecord) -> str:
    return "{}  {} \n".format(chip.image.replace("/", "\\"), chip.label.replace("/", "\\"))


def _stats_text(index: ChipIndex, tally: Tally) -> str:
    """The table for people, with pixels per class."""
    width, height = index.tile_size
    spread = tally.classes_per_image
    lines = [
        f"images = {len(index.chips)} *{len(index.bands)}*{height}*{width}",
        f"classes = {len(index.classes.classes)}",
        f"classes per image = [min = {spread.minimum:.0f}, mean = {spread.mean:.2f}, max = {spread.maximum:.0f}]",
        f"{'cls name':<20}{'cls value':>11}{'images':>11}{'pixels':>11}{'min size':>12}{'mean size':>12}{'max size':>12}",
    ]
    for entry in index.classes.classes:
        pixels = tally.pixels[entry.value]
        lines.append(
            f"{entry.name:<20}{entry.value:>11}{tally.images[entry.value]:>11}{pixels.total:>11.0f}"
            f"{pixels.minimum:>12.2f}{pixels.mean:>12.2f}{pixels.maximum:>12.2f}"
        )
    return "\n".join(lines) + "\n"


def _cell_size(index: ChipIndex) -> dict[str, Any]:
    x, y = index.cell_size
    crs = CRS.from_wkt(index.crs_wkt) if index.crs_wkt else None
    code = crs.to_epsg() if crs else None
    reference = {"wkid": code, "latestWkid": code} if code else {"wkt": index.crs_wkt or ""}
    return {"x": x, "y": y, "spatialReference": reference}


def _raster_props(index: ChipIndex) -> dict[str, Any]:
    return {"RasterCount": 1, "SensorName": "Undefined", "BandNames": [band.name for band in index.bands]}


def _stored(band: BandStatistics) -> dict[str, float]:
    """Minimum, maximum, mean and standard deviation of the stored values."""
    low, high, mean = ((value - band.offset) / band.scale for value in (band.minimum, band.maximum, band.mean))
    return {"Min": min(low, high), "Max": max(low, high), "Mean": mean, "StdDev": band.std / abs(band.scale)}


def _definition(index: ChipIndex) -> dict[str, Any]:
    width, height = index.tile_size
    return {
        **PLACEHOLDERS_ABOVE,
        "ImageHeight": height,
        "ImageWidth": width,
        **PLACEHOLDERS_BELOW,
        "MetaDataMode": CLASSIFIED_TILES,
        "BlackenAroundFeature": False,
        "IsMultidimensional": False,
        "CropTileMode": "Fixed_Size",
        "ImageSpaceUsed": "MAP_SPACE",
        "MinCellSize": _cell_size(index),
        "MaxCellSize": _cell_size(index),
        "Classes": [{"Value": entry.value, "Name": entry.name, "Color": list(entry.color)} for entry in index.classes.classes],
        "InputRastersProps": _raster_props(index),
        "AllTilesStats": [{"BandName": band.name, **_stored(band)} for band in index.bands],
        WELL_KNOWN_KEY: WELL_KNOWN_BANDS,
    }


def _accumulated(index: ChipIndex, tally: Tally) -> dict[str, Any]:
    width, height = index.tile_size
    is_vector = index.label_kind == "polygons"
    return {
        "Version": 1,
        "NumBands": len(index.bands),
        "TileSizeX": width,
        "TileSizeY": height,
        "NumClasses": len(index.classes.classes),
        "NumTiles": len(index.chips),
        "NumTilesAsDouble": float(len(index.chips)),
        "NextTileIndex": len(index.chips),
        "OutputFeatures": is_vector,
        "MetaDataMode": CLASSIFIED_TILES,
        "MinCellSize": _cell_size(index),
        "MaxCellSize": _cell_size(index),
        "Classes": [
            {"ClassValue": entry.value, "ClassName": entry.name, "Color": list(entry.color)} for entry in index.classes.classes
        ],
        **({"FeatureStats": _feature_stats(tally)} if is_vector else {"ClassPixelStats": _pixel_stats(tally)}),
        "InputRastersProps": _raster_props(index),
        "BandStatsState": _band_states(index.bands),
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
