# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the footprints of inspected chips: a GeoPackage with one polygon a chip, and its style beside.

A chip that is to be left out of training gets ``use`` = false there; see `strikeouts`. Chips are written in batches, so memory does
not grow with their number.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
import shapely
from rasterio.warp import transform

from ...labels.schema import ClassSchema
from ..chip_labels import PIXEL_FORMATS
from ..strikeouts import CHIP_FIELD, LAYER, USE_FIELD
from .chip import ChipFacts
from .faults import KINDS
from .store import InspectionStore, StoredChip

BATCH = 500
GEOPACKAGE = "1.2"  # the GDAL of QGIS 3.22 warns of newer versions each time it opens the file
MOST_CLASS_FIELDS = 200  # a GeoPackage table holds some 2,000 columns at most, an attribute table shows far fewer
MOST_NAMED_CLASSES = 5
SUSPICIOUS_FIELD, CLASSES_FIELD, MAIN_CLASS_FIELD = "suspicious", "classes", "main_class"


class ClassField(NamedTuple):
    """A column with the share (0 to 1, of the valid pixels) or the number of objects of one class."""

    column: str
    value: int
    name: str


def class_fields(classes: ClassSchema, mode: str) -> list[ClassField]:
    """The columns of the first classes by value."""
    prefix = "share" if mode in PIXEL_FORMATS else "count"
    return [ClassField(f"{prefix}_{entry.value}", entry.value, entry.name) for entry in classes.classes[:MOST_CLASS_FIELDS]]


class FootprintWriter:
    """Writes the footprints of one folder.

    Args:
        store: The chips.
        classes: The classes.
        mode: The metadata format.
        struck_out: Images that were struck out before and stay so.
    """

    def __init__(self, store: InspectionStore, classes: ClassSchema, mode: str, struck_out: frozenset[str]) -> None:
        self._store = store
        self._names = {entry.value: entry.name for entry in classes.classes}
        self._fields = class_fields(classes, mode)
        self._has_pixels = mode in PIXEL_FORMATS
        self._struck_out = struck_out
        self.crs_wkt = self._choose_crs()

    def _choose_crs(self) -> str | None:
        """The CRS that most chips have."""
        row = self._store.database.execute(
            "SELECT crs FROM chips WHERE crs IS NOT NULL GROUP BY crs ORDER BY COUNT(*) DESC, MIN(id) LIMIT 1"
        ).fetchone()
        return row[0] if row else None

    def write(self, path: Path) -> Iterator[int]:
        """Writes the GeoPackage; yields the number of chips written so far.

        Raises:
            OSError: The disk is full or the place cannot be written; GDAL's own failures come as pyogrio's.
        """
        written = 0
        batch: list[StoredChip] = []
        for chip in self._store.iterate_chips():
            batch.append(chip)
            if len(batch) == BATCH:
                self._write_batch(path, batch, written > 0)
                written += len(batch)
                batch = []
                yield written
        if batch or not written:
            self._write_batch(path, batch, written > 0)
            yield written + len(batch)

    def _write_batch(self, path: Path, chips: Sequence[StoredChip], append: bool) -> None:
        columns, masks = self._build_columns(chips)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # chips without CRS are allowed
            pyogrio.raw.write(
                path,
                geometry=np.array([self._polygon(chip.facts) for chip in chips], object),
                field_data=list(columns.values()),
                fields=list(columns),
                field_mask=list(masks.values()),
                geometry_type="Polygon",
                crs=self.crs_wkt,
                layer=LAYER,
                driver="GPKG",
                append=append,
                dataset_options={} if append else {"VERSION": GEOPACKAGE},
            )

    def _polygon(self, facts: ChipFacts) -> bytes | None:
        """The footprint in the layer's CRS as WKB; None where the chip does not say where it is."""
        if facts.corners is None:
            return None
        corners = facts.corners
        if facts.crs_wkt != self.crs_wkt and facts.crs_wkt and self.crs_wkt:
            corners = tuple(zip(*transform(facts.crs_wkt, self.crs_wkt, *zip(*corners, strict=True)), strict=True))
        return shapely.to_wkb(shapely.Polygon(corners))

    def _build_columns(self, chips: Sequence[StoredChip]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray | None]]:
        """Values of each field, and where they are empty (None = nowhere)."""
        facts = [chip.facts for chip in chips]
        unread = np.array([fact.shape is None for fact in facts], bool)
        columns: dict[str, Any] = {
            CHIP_FIELD: np.array([fact.files.image for fact in facts], object),
            USE_FIELD: np.array([fact.files.image not in self._struck_out for fact in facts], bool),
            SUSPICIOUS_FIELD: np.array([_describe(chip) for chip in chips], object),
            CLASSES_FIELD: np.array([self._list_classes(fact) for fact in facts], object),
            MAIN_CLASS_FIELD: np.array([self._find_main_class(fact) for fact in facts], np.int32),
            "labelled": np.array([fact.labelled for fact in facts], float),
            "nodata": np.array([fact.nodata for fact in facts], float),
            "objects": np.array([sum(fact.objects.values()) for fact in facts], np.int32),
        }
        for field in self._fields:
            if self._has_pixels:
                columns[field.column] = np.array([_share(fact, field.value) for fact in facts], float)
            else:
                columns[field.column] = np.array([fact.objects.get(field.value, 0) for fact in facts], np.int32)
        always = (CHIP_FIELD, USE_FIELD, SUSPICIOUS_FIELD, CLASSES_FIELD, MAIN_CLASS_FIELD)
        return columns, {name: None if name in always or not unread.any() else unread for name in columns}

    def _find_main_class(self, facts: ChipFacts) -> int:
        """The class with the most pixels or objects; 0 without any."""
        amounts = facts.pixels if self._has_pixels else facts.objects
        return max(sorted(amounts), key=lambda value: amounts[value], default=0)

    def _list_classes(self, facts: ChipFacts) -> str:
        """The largest classes with their shares or objects, for people."""
        amounts = facts.pixels if self._has_pixels else facts.objects
        ordered = sorted(amounts, key=lambda value: (-amounts[value], value))
        shown = [
            f"{self._names[value]} {_share(facts, value):.0%}" if self._has_pixels else f"{self._names[value]} × {amounts[value]}"
            for value in ordered[:MOST_NAMED_CLASSES]
        ]
        return ", ".join([*shown, *["…"] * (len(ordered) > MOST_NAMED_CLASSES)])


def _share(facts: ChipFacts, value: int) -> float:
    """Pixels of a class as a share of the valid pixels, 0 to 1."""
    pixels = facts.pixels.get(value, 0)
    total = sum(facts.pixels.values())
    return facts.labelled * pixels / total if total else 0.0


def _describe(chip: StoredChip) -> str:
    """What is suspicious about a chip; empty when nothing is."""
    return " | ".join(f"{KINDS[kind].title}: {detail}" for kind, detail in chip.suspicions)
