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
from ..imagery.normalise import BandStatistics
from ..labels.schema import ClassSchema

INDEX_NAME = "toolbox_index.json"
INDEX_SCHEMA = 1
MOST_INDEX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ChipRecord:
    """One chip.

    Attributes:
        name: Stem of its files.
        image: Path of the image in the folder, with forward slashes, as are the next two.
        label: Path of the label.
        blocks: Path of the raster of block numbers; None in a folder of another program.
        window: Column and row offset, width, height in the source raster; None when unknown.
        bounds: (xmin, ymin, xmax, ymax) in map units (pixels without CRS).
        class_pixels: Labelled pixels by class value; empty when unknown.
        valid_pixels: Pixels that are not nodata; −1 when unknown.
    """

    name: str
    image: str
    label: str
    blocks: str | None
    window: tuple[int, int, int, int] | None
    bounds: tuple[float, float, float, float]
    class_pixels: dict[int, int]
    valid_pixels: int


@dataclass(frozen=True)
class ChipIndex:
    """A folder of chips.

    Attributes:
        source: GDAL source of the image.
        label_kind: ``polygons`` or ``raster``.
        tile_size: (width, height) of a chip in pixels.
        stride: (x, y) distance between chips in pixels.
        bands: Statistics over the valid pixels of all chips.
        classes: Classes of the whole label layer, also those without a pixel in any chip.
        crs_wkt: CRS; None without.
        cell_size: (x, y) in units of the CRS.
        gsd_m: Ground sample distance in metres; None without CRS.
        chips: The chips in the order of their names.
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

    def write(self, folder: Path) -> None:
        """Writes the index into a folder."""
        content = {
            "schema": INDEX_SCHEMA,
            "version": __version__,
            "source": self.source,
            "label_kind": self.label_kind,
            "tile_size": self.tile_size,
            "stride": self.stride,
            "bands": [asdict(band) for band in self.bands],
            "classes": self.classes.to_dicts(),
            "crs_wkt": self.crs_wkt,
            "cell_size": self.cell_size,
            "gsd_m": self.gsd_m,
            "chips": [asdict(chip) for chip in self.chips],
        }
        (folder / INDEX_NAME).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> ChipIndex:
        """Reads the index of a folder.

        Raises:
            ToolboxError: Damaged, too large, or of another version of the format.
        """
        path = folder / INDEX_NAME
        try:
            if path.stat().st_size > MOST_INDEX_BYTES:
                raise ValueError(f"larger than {MOST_INDEX_BYTES >> 20} MB")
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema"] != INDEX_SCHEMA:
                raise ValueError(f"schema {content['schema']} instead of {INDEX_SCHEMA}")
            return cls._parse(content)
        except (OSError, ValueError, KeyError, TypeError) as failure:
            raise ToolboxError(f"The index {path} cannot be read ({failure}); export the training data again.") from failure

    @classmethod
    def _parse(cls, content: dict[str, Any]) -> ChipIndex:
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
    )
