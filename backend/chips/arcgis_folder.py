# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a Classified Tiles folder that ArcGIS Pro exported, as data.

Old and new exports: 9- or 12-digit names, either slash in ``map.txt``, with or without band statistics. Such a folder does not say
which label each pixel came from, so its chips have no block numbers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.normalise import BandStatistics
from ..imagery.raster import RasterInfo, RasterReader, describe
from ..imagery.statistics import StatisticsAccumulator
from ..labels.schema import ClassSchema
from .index import ChipIndex, ChipRecord

MAP, EMD, STATS_JSON = "map.txt", "esri_model_definition.emd", "esri_accumulated_stats.json"
MOST_METADATA_BYTES = 64 * 2**20
CLASSIFIED_TILES = "Classified_Tiles"
# Statistics of bands settle long before this many chips; reading all would take as long as an epoch.
MOST_STATISTICS_CHIPS = 200


def is_arcgis_folder(path: Path) -> bool:
    """Whether the folder has the three files by which ArcGIS's own reader knows an export."""
    return all((path / name).is_file() for name in (MAP, EMD, STATS_JSON))


def read_arcgis_folder(path: Path) -> ChipIndex:
    """The index of the folder.

    Raises:
        ToolboxError: Another metadata format, no chips, a missing file, or damaged metadata.
    """
    definition, stats = _read_json(path / EMD), _read_json(path / STATS_JSON)
    mode = stats.get("MetaDataMode") or definition.get("MetaDataMode")
    if mode != CLASSIFIED_TILES:
        raise ToolboxError(
            f"{path} was exported as {mode}; pixel classification needs Classified Tiles, so export again with that format."
        )
    pairs = _read_map(path)
    info = describe(str(path / pairs[0][0]))
    chips = tuple(_record(path, image, label, info) for image, label in pairs)
    return ChipIndex(
        source=str(path),
        label_kind="raster",
        tile_size=(info.width, info.height),
        stride=(info.width, info.height),
        bands=_statistics(path, chips, info, definition),
        classes=_classes(definition, path),
        crs_wkt=info.crs_wkt,
        cell_size=info.cell_size,
        gsd_m=info.gsd_m,
        chips=chips,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_METADATA_BYTES:
            raise ValueError(f"larger than {MOST_METADATA_BYTES >> 20} MB")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as failure:
        raise ToolboxError(f"{path} cannot be read ({failure}); export the training data again.") from failure
    if not isinstance(content, dict):
        raise ToolboxError(f"{path} is not a JSON object; export the training data again.")
    return content


def _read_map(path: Path) -> list[tuple[str, str]]:
    """Pairs of image and label paths with forward slashes; raises ToolboxError naming the first file that is not there."""
    pairs = []
    try:
        lines = (path / MAP).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as failure:
        raise ToolboxError(f"map.txt of {path} cannot be read ({failure}); export the training data again.") from failure
    for line in lines:
        tokens = [token.replace("\\", "/") for token in line.split()]
        if not tokens:
            continue
        if len(tokens) != 2:
            raise ToolboxError(f"map.txt of {path} has a line with {len(tokens)} paths instead of 2 ({line.strip()[:80]}).")
        for token in tokens:
            if ".." in token.split("/") or token.startswith("/") or not (path / token).is_file():
                raise ToolboxError(f"map.txt of {path} names {token}, which is not in the folder; export the training data again.")
        if Path(tokens[0]).stem != Path(tokens[1]).stem:
            raise ToolboxError(f"map.txt of {path} pairs the image {tokens[0]} with the label {tokens[1]}; export again.")
        pairs.append((tokens[0], tokens[1]))
    if not pairs:
        raise ToolboxError(f"map.txt of {path} lists no chips; export the training data again.")
    return pairs


def _record(path: Path, image: str, label: str, first: RasterInfo) -> ChipRecord:
    """The record of a chip; raises ToolboxError when it has another size or number of bands than the first."""
    chip = describe(str(path / image))
    if (chip.count, chip.width, chip.height) != (first.count, first.width, first.height):
        raise ToolboxError(
            f"{path / image} has {chip.count} bands of {chip.width} × {chip.height} pixels, the first chip {first.count} of "
            f"{first.width} × {first.height}; export again into an empty folder."
        )
    return ChipRecord(
        name=Path(image).stem,
        image=image,
        label=label,
        blocks=None,
        window=None,
        bounds=chip.bounds,
        class_pixels={},
        valid_pixels=-1,
    )


def _classes(definition: dict[str, Any], path: Path) -> ClassSchema:
    entries = [
        {"value": entry.get("Value"), "name": entry.get("Name"), "color": entry.get("Color")}
        for entry in definition.get("Classes", [])
        if isinstance(entry, dict) and isinstance(entry.get("Value"), int) and entry["Value"] != 0
    ]
    if not entries:
        raise ToolboxError(f"{path / EMD} lists no classes; export the training data again.")
    return ClassSchema.from_dicts(entries)


def _statistics(path: Path, chips: tuple[ChipRecord, ...], info: RasterInfo, definition: dict[str, Any]) -> tuple[BandStatistics, ...]:
    """Statistics from an even choice of chips: those in the metadata lack percentiles and count nodata. Names from the metadata."""
    props = definition.get("InputRastersProps")
    names = props.get("BandNames", []) if isinstance(props, dict) else []
    accumulator: StatisticsAccumulator | None = None
    bands: list[int] = []
    for number in np.unique(np.linspace(0, len(chips) - 1, min(len(chips), MOST_STATISTICS_CHIPS)).astype(int)):
        with RasterReader(str(path / chips[number].image)) as reader:
            bands = reader.bands
            accumulator = accumulator or StatisticsAccumulator(len(bands))
            accumulator.add(*reader.read(Window(0, 0, reader.info.width, reader.info.height)))
    if accumulator is None or accumulator.count == 0:
        raise ToolboxError(f"The chips of {path} are nodata everywhere; check the raster and export again.")
    if len(names) >= max(bands) and all(isinstance(name, str) and name for name in names):
        info = replace(info, band_names=tuple(names))
    return tuple(accumulator.finish(info, bands))

