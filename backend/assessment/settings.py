# SPDX-License-Identifier: GPL-2.0-or-later
"""What an assessment and its points are asked to do. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ToolboxError
from .allocation import SAMPLINGS

UNLABELLED_CHOICES = ("auto", "ignore", "background")


@dataclass(frozen=True)
class PointsSettings:
    """Settings of the drawing of points; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the class raster.
        output: Points to write (.gpkg).
        count: Points wished for; 0 = as many as `expected_accuracy` and `margin` ask for.
        sampling: ``stratified`` (in proportion to the classes' areas), ``equalized`` (the same for all) or ``random``.
        min_per_class: Points that each class gets at least; no effect on random sampling.
        min_distance: Least distance between two points, in units of the raster's CRS; 0 = none.
        expected_accuracy: User's accuracy expected, as ``0.8`` or ``1=0.7; 2=0.95``.
        margin: Half the width wished for of the overall accuracy's 95 % interval (share, not percent).
        seed: The same seed and raster give the same points.
        mask: GeoPackage with polygons (layer ``labels``) within which points are drawn; None = everywhere.
        has_georeference: False when QGIS shows row r of the raster at y = −r.
    """

    raster: str
    output: str
    count: int = 500
    sampling: str = "stratified"
    min_per_class: int = 10
    min_distance: float = 0.0
    expected_accuracy: str = "0.8"
    margin: float = 0.05
    seed: int = 42
    mask: str | None = None
    has_georeference: bool = True

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        if self.sampling not in SAMPLINGS:
            faults.append(f"SAMPLING is {self.sampling}, allowed are {', '.join(SAMPLINGS)}")
        if self.count < 0:
            faults.append(f"COUNT is {self.count}, allowed are 0 (computed) and more")
        if self.min_per_class < 0:
            faults.append(f"MIN_PER_CLASS is {self.min_per_class}, allowed are 0 and more")
        if not (math.isfinite(self.min_distance) and self.min_distance >= 0):
            faults.append(f"MIN_DISTANCE is {self.min_distance}, allowed are 0 and more")
        if not 0 < self.margin < 1:
            faults.append(f"MARGIN is {self.margin}, allowed are shares between 0 and 1, such as 0.05")
        if not self.output.lower().endswith(".gpkg"):
            faults.append(f"{Path(self.output).name} must end in .gpkg, since a GeoPackage is written")
        if faults:
            raise ToolboxError(f"The points cannot be drawn: {'; '.join(faults)}.")


@dataclass(frozen=True)
class AssessSettings:
    """Settings of one assessment; the defaults are the tool's.

    Attributes:
        raster: GDAL source of the class raster.
        output: Table to write (.gpkg).
        reference: GeoPackage with the layer ``labels``: points, or polygons and lines, with the field ``value`` (a code of
            `reference_classes`) and, for points, ``stratum`` and ``stratum_pixels``; in coordinates of the raster.
        reference_classes: ``code``, ``value`` (None where only the name is known) and ``name`` of each class of `reference`.
        reference_raster: GDAL source of a class raster with the truth. Either this or `reference`.
        second_raster: GDAL source of another map, to be compared with the first; None = none.
        report: HTML file to write; None = none.
        errors: Layer of what is wrong to write (.gpkg); None = none.
        area_weighted: Figures from points hold for the whole map (stratified estimator), not for the sample alone.
        unlabelled: What the value 0 of the reference means: ``ignore``, ``background`` (class 0; polygons: also what lies outside of
            them), ``auto`` (class 0 where it is given and the map has a class 0).
        skipped: Features of the reference without a class, counted by whoever wrote it.
        unanswered_strata: Strata of these, as pairs of class value and pixels.
        has_class_field: False when no field of `reference` tells classes; its features then are of the map's only class (code 1).
        has_georeference: False when QGIS shows row r of the raster at y = −r.
    """

    raster: str
    output: str
    reference: str | None = None
    reference_classes: Sequence[dict[str, Any]] = ()
    reference_raster: str | None = None
    second_raster: str | None = None
    report: str | None = None
    errors: str | None = None
    area_weighted: bool = True
    unlabelled: str = "auto"
    skipped: int = 0
    unanswered_strata: list[list[int]] = field(default_factory=list)
    has_class_field: bool = True
    has_georeference: bool = True

    def __post_init__(self) -> None:
        """Gathers all faults and raises one ToolboxError."""
        faults = []
        if (self.reference is None) == (self.reference_raster is None):
            faults.append("give either REFERENCE (a vector layer) or REFERENCE_RASTER (a class raster)")
        if self.unlabelled not in UNLABELLED_CHOICES:
            faults.append(f"UNLABELED is {self.unlabelled}, allowed are {', '.join(UNLABELLED_CHOICES)}")
        for path in filter(None, (self.output, self.errors)):
            if not path.lower().endswith(".gpkg"):
                faults.append(f"{Path(path).name} must end in .gpkg, since a GeoPackage is written")
        if self.report and not self.report.lower().endswith((".html", ".htm")):
            faults.append(f"{Path(self.report).name} must end in .html")
        outputs = [Path(path).absolute() for path in (self.output, self.errors, self.report) if path]
        if len(set(outputs)) < len(outputs):
            faults.append("two outputs are the same file")
        if faults:
            raise ToolboxError(f"The assessment cannot start: {'; '.join(faults)}.")
