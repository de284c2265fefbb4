# SPDX-License-Identifier: GPL-2.0-or-later
"""From what was gathered to what is reported: matrices, estimates, comparison, and the sentences that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import __version__
from ..errors import ToolboxError
from ..imagery.raster import RasterInfo
from .area_reference import AreaReference
from .classes import ReferenceClasses, ShownClass, merge_classes
from .compare import Comparison, Disagreement, mcnemar
from .confusion import ConfusionMatrix
from .estimate import MapEstimates, StratifiedSample, estimate_map
from .pairs import NOTHING
from .point_reference import NO_CLASS, PointReference, PointSample
from .regions import RegionCollector
from .result import SQUARE_METRES_PER_HECTARE, Assessment, PointPicture
from .settings import AssessSettings

# In a class of the map, below which the normal distribution behind the interval is a poor guess: in a simulation (see the tests)
# intervals from 50 points a class covered the truth in 89 to 92 % of the samples, those from 300 points in 95 %.
FEW_POINTS = 50


@dataclass(frozen=True)
class Findings:
    """Everything known after the pass over the map.

    Attributes:
        settings: The request.
        raster: The map.
        legend: Classes of the map.
        matched: Classes of the reference.
        second_legend: Classes of the second map where it was compared; empty without one.
        population: Pixels of each class of the map.
        reference: What was gathered.
        regions: Of what is wrong; None when not asked for, and for points.
    """

    settings: AssessSettings
    raster: RasterInfo
    legend: Mapping[int, ShownClass]
    matched: ReferenceClasses
    second_legend: Mapping[int, ShownClass]
    population: Mapping[int, int]
    reference: PointReference | AreaReference
    regions: RegionCollector | None


def conclude(findings: Findings) -> Assessment:
    """All figures of an assessment.

    Raises:
        ToolboxError: Map and reference have no place in common.
    """
    names = {value: findings.matched.names.get(value, "") for value in findings.reference.values()}
    classes = merge_classes({**findings.second_legend, **findings.legend}, names)
    notes = [*findings.matched.warnings, *_note_classes(findings, classes, names)]
    if isinstance(findings.reference, PointReference):
        return _conclude_points(findings, classes, notes)
    return _conclude_areas(findings, findings.reference, classes, notes)


def _conclude_points(findings: Findings, classes: tuple[ShownClass, ...], notes: list[str]) -> Assessment:
    sample = findings.reference.finish(needs_design=findings.settings.area_weighted)
    values = [entry.value for entry in classes]
    counts = _count(values, sample.reference, sample.mapped)
    notes += _note_points(findings, sample)
    if sample.second is not None and (missing := int((sample.second == NO_CLASS).sum())):
        notes.append(
            f"At {missing:,} points the second map has no data. The maps are compared at the other points, unweighted; the figures of "
            "the first map rest on all its points."
        )
    estimates = stratified = None
    if findings.settings.area_weighted:
        stratified, told = sample.stratify(findings.population)
        notes += [*told, *_note_strata(stratified, classes)]
        estimates = estimate_map(stratified, sample.mapped, sample.reference, values, sample.strata_are_classes)
        notes += _note_small(counts, classes)
        if findings.raster.is_geographic:
            notes.append(
                "The map is in degrees, so its pixels differ in area, but each counts the same: warp the map to an equal-area "
                "coordinate system for estimates of areas."
            )
        if sample.second is not None:
            notes.append("McNemar's test counts the points of both maps as they are, without weights.")
    elif sample.is_designed:
        notes.append("AREA_WEIGHTED is off: the figures describe the points, not the map; they are biased for a stratified sample.")
    return Assessment(
        title=Path(findings.settings.raster).name,
        kind="points",
        classes=classes,
        counts=counts,
        estimates=estimates,
        population=findings.population,
        pixel_hectares=_pixel_hectares(findings.raster),
        notes=notes,
        facts=_list_facts(findings),
        objects=None,
        comparison=_compare_points(sample, stratified, estimates, values),
        picture=PointPicture(sample.x, sample.y, sample.mapped == sample.reference),
    )


def _conclude_areas(findings: Findings, area: AreaReference, classes: tuple[ShownClass, ...], notes: list[str]) -> Assessment:
    values = [entry.value for entry in classes]
    counts = ConfusionMatrix.from_counts(values, area.pairs.matrix(values))
    if not counts.total:
        raise ToolboxError(
            "Map and reference have no place in common where both have a class; check both extents and coordinate systems, and "
            "UNLABELED if 0 is a class."
        )
    on_nothing = sum(count for (first, second), count in area.pairs.pairs.items() if first == NOTHING != second)
    if on_nothing:
        notes.append(f"{on_nothing:,} pixels of the reference lie where the map has no data; they are left out.")
    if findings.settings.skipped:
        notes.append(f"{findings.settings.skipped:,} features of the reference have no class and are left out.")
    covered = counts.total / sum(findings.population.values())
    if area.kind == "polygons":
        notes.append(
            "The figures describe the pixels within the polygons. Polygons are no random sample, so nothing can be concluded for the "
            "areas of the whole map; draw points for that (Create accuracy assessment points)."
        )
    elif covered < 1:
        notes.append(f"The reference covers {100 * covered:.3g} % of the map; the figures hold for that part.")
    objects = area.objects.finish(values) if area.objects is not None else None
    if objects is not None and objects.without_data:
        notes.append(f"{objects.without_data:,} objects have no pixel of the map; they are left out of the figures by object.")
    return Assessment(
        title=Path(findings.settings.raster).name,
        kind=area.kind,
        classes=classes,
        counts=counts,
        estimates=None,
        population=findings.population,
        pixel_hectares=_pixel_hectares(findings.raster),
        notes=notes,
        facts=_list_facts(findings),
        objects=objects,
        comparison=_compare_areas(area, values) if findings.settings.second_raster else None,
        picture=area.picture.pixels,
    )


def _count(values: Sequence[int], reference: np.ndarray, mapped: np.ndarray) -> ConfusionMatrix:
    matrix = ConfusionMatrix(values)
    matrix.update(reference, mapped)
    return matrix


def _compare_points(
    sample: PointSample, stratified: StratifiedSample | None, first: MapEstimates | None, values: Sequence[int]
) -> Comparison | None:
    """The second map at the points where it has data; None without one, or where it has none at all."""
    if sample.second is None or not (sample.second != NO_CLASS).any():
        return None
    common = sample.second != NO_CLASS
    one, other = (sample.mapped == sample.reference)[common], (sample.second == sample.reference)[common]
    between = Disagreement()
    between.add(one, other)
    test = mcnemar(between.only_first, between.only_second)
    reference = sample.reference[common]
    matrices = _count(values, reference, sample.mapped[common]), _count(values, reference, sample.second[common])
    if stratified is None or first is None or not common.all():
        return Comparison(*matrices, test)  # where the second map ends, the points are no random sample any more
    difference = stratified.estimate_mean(other.astype(float) - one.astype(float))
    second = estimate_map(stratified, sample.second, sample.reference, values, strata_are_classes=False)
    return Comparison(first.matrix, second.matrix, test, difference, second)


def _compare_areas(area: AreaReference, values: Sequence[int]) -> Comparison:
    """The second map on the pixels where both have a class."""
    first, second = (ConfusionMatrix.from_counts(values, pairs.matrix(values)) for pairs in (area.common_pairs, area.second_pairs))
    return Comparison(first, second, mcnemar(area.disagreement.only_first, area.disagreement.only_second))


def _note_classes(findings: Findings, classes: Sequence[ShownClass], names: Mapping[int, str]) -> list[str]:
    """Classes that only one side has."""
    only_reference = [entry.name for entry in classes if entry.value in names and entry.value not in findings.legend]
    only_map = [entry.name for entry in classes if entry.value in findings.legend and entry.value not in names]
    notes = []
    if only_reference:
        notes.append(f"The map lacks classes of the reference: {', '.join(only_reference)}. All that is of these counts as wrong.")
    if only_map:
        notes.append(f"The reference lacks classes of the map: {', '.join(only_map)}. The means leave them out.")
    return notes


def _note_points(findings: Findings, sample: PointSample) -> list[str]:
    """What was left out."""
    unanswered = sample.unanswered + findings.settings.skipped
    parts = [
        (unanswered, "have no class yet"),
        (sample.outside, "lie outside of the map"),
        (sample.on_nothing, "lie where the map has no data"),
        (sample.undesigned, "do not tell how they were drawn (Classified, StratumPix), as the others do"),
    ]
    notes = [f"{count:,} reference points {what}; they are left out." for count, what in parts if count]
    if sample.repeated:
        notes.append(f"{sample.repeated:,} reference points lie in the same pixel as another one; each counts.")
    if sample.is_designed and unanswered:
        notes.append("Points left out can bias the estimates if they differ from the others; answer as many as possible.")
    return notes


def _note_strata(sample: StratifiedSample, classes: Sequence[ShownClass]) -> list[str]:
    """Strata without a point or with one."""
    names = {entry.value: entry.name for entry in classes}
    notes = []
    if sample.left_out:
        listed = ", ".join(names.get(value, str(value)) for value in sample.left_out)
        notes.append(
            f"No point was drawn in {listed}. The estimates hold for the other {100 * sample.covered:.3g} % of the area only; draw "
            "points there, too."
        )
    if sample.lonely:
        listed = ", ".join(names.get(value, str(value)) for value in sample.lonely)
        notes.append(f"Only one point was drawn in {listed}; intervals that depend on it cannot be given. At least two are needed.")
    return notes


def _note_small(counts: ConfusionMatrix, classes: Sequence[ShownClass]) -> list[str]:
    """Classes with so few points that their intervals are rough."""
    mapped = counts.counts.sum(axis=0)
    few = [entry.name for entry, points in zip(classes, mapped, strict=True) if 1 < points < FEW_POINTS]
    if not few:
        return []
    return [f"Fewer than {FEW_POINTS} points lie in the map's {', '.join(few)}: their intervals are rough and rather too narrow."]


def _pixel_hectares(raster: RasterInfo) -> float | None:
    """Area of a pixel; None for a raster in degrees or without CRS."""
    if raster.crs_wkt is None or raster.is_geographic:
        return None
    x, y = raster.cell_size
    return x * y * raster.metres_per_unit**2 / SQUARE_METRES_PER_HECTARE


def _list_facts(findings: Findings) -> list[tuple[str, str]]:
    settings, raster = findings.settings, findings.raster
    facts = [
        ("Map", f"{settings.raster} ({raster.width:,} × {raster.height:,} pixels)"),
        ("Reference", settings.reference_raster or f"{findings.reference.kind}"),
        ("Value 0 of the reference", settings.unlabelled),
    ]
    if findings.reference.kind == "points":
        facts.append(("Estimated for the whole map", "yes" if settings.area_weighted else "no"))
    if settings.second_raster:
        facts.append(("Second map", settings.second_raster))
    return [*facts, ("Version", f"Deep Learning Toolbox {__version__}")]
