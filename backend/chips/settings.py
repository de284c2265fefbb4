# SPDX-License-Identifier: GPL-2.0-or-later
"""What an export of chips is asked to do. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import ToolboxError
from . import names

SMALLEST_TILE, LARGEST_TILE = 16, 8192
SMALLEST_ANGLE = 1.0  # degrees; 360 copies of each chip
LARGEST_ANGLE = 180.0


@dataclass(frozen=True)
class ExportSettings:
    """Settings of one export; the defaults are the tool's.

    Vectors come in one GeoPackage with a layer per raster (see `names.layer_name`), each in the coordinates of its raster.

    Attributes:
        raster: GDAL source of the image.
        output: Folder to write; created, or a previous result of ours that is replaced (or added to, see `append`).
        more_rasters: GDAL sources of further images, cut into the same folder one after the other.
        labels: GeoPackage of labelled features (see `labels.vector`); at most one of this and `label_raster` is given.
        label_raster: GDAL source of a class raster.
        classes: Class list of the whole label layer (``value``, ``name``, ``color``); empty = read from `label_raster`.
        legend: Names and colours that QGIS knows for a label raster, in the form of `classes`; values without pixels are left out.
        bands: One-based band numbers in the order wanted; empty = all.
        chip_format: ``tiff``, ``png``, ``jpeg`` or ``mrf``.
        metadata_format: A key of `names.ESRI_MODES`.
        tile_size_x: Width of a chip in pixels.
        tile_size_y: Height of a chip in pixels.
        stride_x: Distance between the left edges of neighbouring chips in pixels.
        stride_y: Distance between the upper edges in pixels.
        empty_tiles: Also write chips without any label.
        mask: GeoPackage of mask polygons; only chips completely inside them are written. None = no mask.
        rotation_angle: Degrees; each chip is repeated, turned by every multiple until a full turn. 0 = not.
        reference_system: ``map_space``, or ``pixel_space``: chips in columns and rows of the image, which may be rotated.
        raster2: GDAL source of a second image, brought onto the grid of the first.
        instances: GeoPackage of the features whose instances are told apart (panoptic).
        instance_classes: Class list of these.
        blacken: Pixels outside the feature become 0 (labeled_tiles, imagenet).
        crop_mode: ``fixed_size`` = a chip of the tile size around the feature, ``bounding_box`` = its bounding box.
        min_overlap_ratio: A feature of which a smaller share, 0 to 1, lies inside a chip does not count there.
        min_labeled_ratio: Leave out chips of which a smaller share, 0 to 1, is labelled.
        cell_size: Cell size of the chips in units of the raster's CRS; 0 = the raster's.
        extent: (xmin, ymin, xmax, ymax) in map units of the first raster; None = all of each raster.
        append: Add to the export that `output` holds.
        threads: Threads that read and write; 0 = one per processor core.
    """

    raster: str
    output: str
    more_rasters: list[str] = field(default_factory=list)
    labels: str | None = None
    label_raster: str | None = None
    classes: list[dict[str, Any]] = field(default_factory=list)
    legend: list[dict[str, Any]] = field(default_factory=list)
    bands: list[int] = field(default_factory=list)
    chip_format: str = names.TIFF
    metadata_format: str = names.CLASSIFIED_TILES
    tile_size_x: int = 256
    tile_size_y: int = 256
    stride_x: int = 128
    stride_y: int = 128
    empty_tiles: bool = False
    mask: str | None = None
    rotation_angle: float = 0.0
    reference_system: str = names.MAP_SPACE
    raster2: str | None = None
    instances: str | None = None
    instance_classes: list[dict[str, Any]] = field(default_factory=list)
    blacken: bool = False
    crop_mode: str = names.FIXED_SIZE
    min_overlap_ratio: float = 0.0
    min_labeled_ratio: float = 0.0
    cell_size: float = 0.0
    extent: tuple[float, float, float, float] | None = None
    append: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = [*self._range_faults(), *self._input_faults(), *find_contradictions(self.__dict__)]
        if faults:
            raise ToolboxError(f"The export cannot start: {'; '.join(faults)}.")

    def _range_faults(self) -> Iterator[str]:
        for name in ("tile_size_x", "tile_size_y"):
            if not SMALLEST_TILE <= getattr(self, name) <= LARGEST_TILE:
                yield f"{name.upper()} is {getattr(self, name)}, allowed are {SMALLEST_TILE} to {LARGEST_TILE} pixels"
        for name in ("stride_x", "stride_y"):
            if not 1 <= getattr(self, name) <= LARGEST_TILE:
                yield f"{name.upper()} is {getattr(self, name)}, allowed are 1 to {LARGEST_TILE} pixels"
        for name in ("min_labeled_ratio", "min_overlap_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name.upper()} is {getattr(self, name)}, allowed are 0 to 1"
        if not (math.isfinite(self.cell_size) and self.cell_size >= 0):
            yield f"CELL_SIZE is {self.cell_size}, allowed are 0 (the raster's) and positive numbers"
        if not 0 <= self.threads <= 256:
            yield f"THREADS is {self.threads}, allowed are 0 to 256"
        if self.extent is not None and not all(map(math.isfinite, self.extent)):
            yield "EXTENT is not made of four numbers"
        elif self.extent is not None and (self.extent[0] >= self.extent[2] or self.extent[1] >= self.extent[3]):
            yield f"EXTENT is empty ({', '.join(f'{edge:g}' for edge in self.extent)})"
        for name, allowed in (
            ("chip_format", names.CHIP_FORMATS),
            ("metadata_format", names.METADATA_FORMATS),
            ("reference_system", names.REFERENCE_SYSTEMS),
            ("crop_mode", names.CROP_MODES),
        ):
            if getattr(self, name) not in allowed:
                yield f"{name.upper()} is {getattr(self, name)!r}, allowed are {', '.join(allowed)}"

    def _input_faults(self) -> Iterator[str]:
        if self.labels is not None and not self.classes:
            yield "the labels come without a class list"
        if self.instances is not None and not self.instance_classes:
            yield "the instances come without a class list"

    @property
    def angles(self) -> tuple[float, ...]:
        """Degrees by which each chip is turned, 0 first."""
        if self.rotation_angle == 0:
            return (0.0,)
        count = math.ceil(360 / self.rotation_angle - 1e-9)
        return tuple(number * self.rotation_angle for number in range(count))

    @property
    def sources(self) -> tuple[str, ...]:
        """The images, the first one first."""
        return (self.raster, *self.more_rasters)


def find_contradictions(given: dict[str, Any]) -> list[str]:
    """What is wrong with a combination of settings, as parts of a sentence; also asked by the algorithm, before anything runs.

    Args:
        given: Settings by name, with their defaults; paths may be any text, since only whether they are given counts.
    """
    form = given["metadata_format"]
    vector, raster = given["labels"] is not None, given["label_raster"] is not None
    angle = given["rotation_angle"]
    rules = (
        (
            angle != 0 and not SMALLEST_ANGLE <= angle <= LARGEST_ANGLE,
            f"ROTATION_ANGLE is {angle:g}, allowed are 0 (no rotation) and {SMALLEST_ANGLE:g} to {LARGEST_ANGLE:g} degrees",
        ),
        (vector and raster, "give either LABELS or LABEL_RASTER, not both"),
        (not vector and not raster and form not in names.WITHOUT_LABELS, f"{form} needs labels: give either LABELS or LABEL_RASTER"),
        (form == names.CYCLEGAN and (vector or raster), "cyclegan takes no labels; leave LABELS and LABEL_RASTER empty"),
        (form == names.CYCLEGAN and given["raster2"] is None, "cyclegan needs INPUT2, the raster of the other kind"),
        (form == names.CYCLEGAN and given["append"], "APPEND cannot be combined with cyclegan; export into a new folder"),
        (
            given["raster2"] is not None and form not in names.WITH_SECOND_RASTER,
            f"{form} knows no second raster; leave INPUT2 empty or choose {', '.join(names.WITH_SECOND_RASTER)}",
        ),
        (form == names.PANOPTIC and given["instances"] is None, "panoptic needs INSTANCES, the features to be told apart"),
        (form != names.PANOPTIC and given["instances"] is not None, f"{form} knows no instances; leave INSTANCES empty"),
        (
            given["blacken"] and form not in names.PER_FEATURE,
            f"BLACKEN works with {' and '.join(names.PER_FEATURE)} only, not with {form}",
        ),
        (
            given["crop_mode"] != names.FIXED_SIZE and (form not in names.PER_FEATURE or not vector),
            f"CROP_MODE={given['crop_mode']} works with {' and '.join(names.PER_FEATURE)} and features as LABELS only",
        ),
        (
            given["crop_mode"] == names.BOUNDING_BOX and given["rotation_angle"] != 0,
            "CROP_MODE=bounding_box cannot be combined with ROTATION_ANGLE, since a turned feature has another bounding box",
        ),
        (
            given["empty_tiles"] and form in (*names.PER_FEATURE, names.MULTILABELED_TILES),
            f"EMPTY_TILES cannot be combined with {form}, whose chips each need a class",
        ),
        (given["min_overlap_ratio"] > 0 and not vector, "MIN_OVERLAP_RATIO needs features as LABELS"),
        (given["min_labeled_ratio"] > 0 and not vector and not raster, "MIN_LABELED_RATIO needs labels"),
        (
            given["reference_system"] == names.PIXEL_SPACE and given["cell_size"] > 0,
            "CELL_SIZE cannot be combined with REFERENCE_SYSTEM=pixel_space, which keeps the pixels as they are",
        ),
        (
            given["reference_system"] == names.PIXEL_SPACE and given["raster2"] is not None and form != names.CYCLEGAN,
            "INPUT2 cannot be combined with REFERENCE_SYSTEM=pixel_space, since it is laid over INPUT by the map",
        ),
    )
    return [text for fault, text in rules if fault]
