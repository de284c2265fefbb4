# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a chip folder, ``toolbox_index.json``: all that training and inspection want to know without opening a chip.

It is written last, so a folder that has one is complete. ArcGIS ignores it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..labels.schema import ClassSchema
from . import names

INDEX_NAME = "toolbox_index.json"
INDEX_SCHEMA = 2
READABLE_SCHEMAS = (1, 2)
MOST_INDEX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ChipRecord:
    """One chip.

    Attributes:
        name: Stem of its files.
        image: Path of the image in the folder, with forward slashes, as are all paths here.
        label: Path of the label; empty in formats without one. The class raster where there are several.
        blocks: Path of the raster of block numbers; None in a folder of another program and where the numbers do not hold.
        window: Column and row offset, width, height in the source raster (with CELL_SIZE: in its resampled grid), before the chip is
            turned; None when unknown.
        bounds: (xmin, ymin, xmax, ymax) in map units of the folder's CRS (pixels without CRS), of a turned chip around it.
        class_pixels: Labelled pixels by class value; empty when unknown.
        valid_pixels: Pixels that are not nodata; −1 when unknown.
        source: Number of the raster in `ChipIndex.sources`.
        angle: Degrees by which the chip is turned around its centre, from columns towards rows.
        features: (block, class value, area in square map units) of each labelled feature or region in the chip.
        image2: Path of the second image.
        mask: Path of the mask of valid pixels, which GDAL finds by itself; None where nodata says it or all is valid.
        labels: Paths of further label files, such as one per class.
    """

    name: str
    image: str
    label: str
    blocks: str | None
    window: tuple[int, int, int, int] | None
    bounds: tuple[float, float, float, float]
    class_pixels: dict[int, int]
    valid_pixels: int
    source: int = 0
    angle: float = 0.0
    features: tuple[tuple[int, int, float], ...] = ()
    image2: str | None = None
    mask: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceRecord:
    """A raster that chips were cut from.

    Attributes:
        source: GDAL source.
        crs_wkt: CRS of its chips; None without.
        cell_size: (x, y) of its chips in units of that CRS.
        folder: Sub-folder of its chips, ``A`` or ``B``, where a format keeps kinds apart.
    """

    source: str
    crs_wkt: str | None
    cell_size: tuple[float, float]
    folder: str = ""


@dataclass(frozen=True)
class ChipIndex:
    """A folder of chips.

    Attributes:
        source: GDAL source of the image, the first one of several.
        label_kind: ``polygons``, ``raster`` or ``none``.
        tile_size: (width, height) of a chip in pixels.
        stride: (x, y) distance between chips in pixels.
        bands: Statistics over the valid pixels of all chips.
        classes: Classes of the whole label layer, also those without a pixel in any chip.
        crs_wkt: CRS; None without.
        cell_size: (x, y) in units of the CRS.
        gsd_m: Ground sample distance in metres; None without CRS.
        chips: The chips in the order of their names.
        metadata_format: A key of `names.ESRI_MODES`.
        chip_format: Of `names.CHIP_FORMATS`.
        reference_system: Of `names.REFERENCE_SYSTEMS`.
        crop_mode: Of `names.CROP_MODES`.
        blacken: Pixels outside the feature are 0.
        dtype: Type of the images' values.
        sources: The rasters; empty in a folder of schema 1 or of another program.
        bands2: Statistics of the second image's bands.
        instance_classes: Classes of the instances.
        next_number: Number of the next chip that is added.
        sensor: Id of the sensor (see `imagery.sensors`) that the first image names; empty when it names none.
    """

    source: str
    label_kind: str
    tile_size: tuple[int, int]
    stride: tuple[int, int]
    bands: tuple[BandStatistics, ...]
    classes: ClassSchema
    crs_wkt: str | None
    cell_size: tuple[float, float]
    gsd_m: float | None
    chips: tuple[ChipRecord, ...]
    metadata_format: str = names.CLASSIFIED_TILES
    chip_format: str = names.TIFF
    reference_system: str = names.MAP_SPACE
    crop_mode: str = names.FIXED_SIZE
    blacken: bool = False
    dtype: str = ""
    sources: tuple[SourceRecord, ...] = ()
    bands2: tuple[BandStatistics, ...] = ()
    instance_classes: ClassSchema | None = None
    next_number: int = 0
    sensor: str = ""

    def write(self, folder: Path) -> None:
        """Writes the index into a folder."""
        content = {"schema": INDEX_SCHEMA, "version": __version__, **{name: getattr(self, name) for name in self.__dataclass_fields__}}
        content["classes"] = self.classes.to_dicts()
        content["instance_classes"] = None if self.instance_classes is None else self.instance_classes.to_dicts()
        for name in ("bands", "bands2", "sources", "chips"):
            content[name] = [asdict(entry) for entry in content[name]]
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace('{"name":', '\n{"name":')
        (folder / INDEX_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> ChipIndex:
        """Reads the index of a folder.

        Raises:
            ToolboxError: Damaged, too large, or of a version of the format that is not known here.
        """
        path = folder / INDEX_NAME
        try:
            if path.stat().st_size > MOST_INDEX_BYTES:
                raise ValueError(f"larger than {MOST_INDEX_BYTES >> 20} MB")
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema"] not in READABLE_SCHEMAS:
                raise ValueError(f"schema {content['schema']}, known are {', '.join(map(str, READABLE_SCHEMAS))}")
            return cls._parse(content)
        except (OSError, ValueError, KeyError, TypeError) as failure:
            raise ToolboxError(f"The index {path} cannot be read ({failure}); export the training data again.") from failure

    @classmethod
    def _parse(cls, content: dict[str, Any]) -> ChipIndex:
        instance_classes = content.get("instance_classes")
        return cls(
            source=str(content["source"]),
            label_kind=str(content["label_kind"]),
            tile_size=tuple(content["tile_size"]),
            stride=tuple(content["stride"]),
            bands=tuple(BandStatistics(**band) for band in content["bands"]),
            classes=ClassSchema.from_dicts(content["classes"]),
            crs_wkt=content["crs_wkt"],
            cell_size=tuple(content["cell_size"]),
            gsd_m=content["gsd_m"],
            chips=tuple(_parse_chip(chip) for chip in content["chips"]),
            metadata_format=str(content.get("metadata_format", names.CLASSIFIED_TILES)),
            chip_format=str(content.get("chip_format", names.TIFF)),
            reference_system=str(content.get("reference_system", names.MAP_SPACE)),
            crop_mode=str(content.get("crop_mode", names.FIXED_SIZE)),
            blacken=bool(content.get("blacken", False)),
            dtype=str(content.get("dtype", "")),
            sources=tuple(
                SourceRecord(str(entry["source"]), entry["crs_wkt"], tuple(entry["cell_size"]), str(entry.get("folder", "")))
                for entry in content.get("sources", ())
            ),
            bands2=tuple(BandStatistics(**band) for band in content.get("bands2", ())),
            instance_classes=None if instance_classes is None else ClassSchema.from_dicts(instance_classes),
            next_number=int(content.get("next_number", 0)),
            sensor=str(content.get("sensor", "")),
        )


def _parse_chip(chip: dict[str, Any]) -> ChipRecord:
    window = chip["window"]
    return ChipRecord(
        name=str(chip["name"]),
        image=str(chip["image"]),
        label=str(chip["label"]),
        blocks=chip["blocks"],
        window=None if window is None else tuple(window),
        bounds=tuple(chip["bounds"]),
        class_pixels={int(value): int(count) for value, count in chip["class_pixels"].items()},
        valid_pixels=int(chip["valid_pixels"]),
        source=int(chip.get("source", 0)),
        angle=float(chip.get("angle", 0)),
        features=tuple((int(block), int(value), float(area)) for block, value, area in chip.get("features", ())),
        image2=chip.get("image2"),
        mask=chip.get("mask"),
        labels=tuple(map(str, chip.get("labels", ()))),
    )
