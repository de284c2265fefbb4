# SPDX-License-Identifier: GPL-2.0-or-later
"""The report of an assessment: one HTML file that needs no other. Enters: an `Assessment`. Leaves: the page as text."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .charts import draw_areas, draw_bars, draw_changes, draw_map, draw_matrix
from .confusion import ConfusionMatrix
from .estimate import Estimate
from .page import render_heading, render_page, render_picture, render_table, render_text
from .result import Assessment

LARGEST_MATRIX = 30  # classes; beyond, a picture of the matrix cannot be read
UNDEFINED = "–"
METHOD = (
    "Estimates for the whole map are those of a stratified random sample with 95 % confidence intervals (1.96 standard errors): "
    "Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015; where the strata are not the classes of the map, Stehman 2014, "
    "doi:10.1080/01431161.2014.930207."
)
DISAGREEMENT = (
    "Quantity disagreement is what must be wrong because the classes' totals differ, allocation disagreement what lies in the wrong "
    "place (Pontius and Millones 2011, doi:10.1080/01431161.2011.552923). Kappa is given because it is asked for; it says little that "
    "the overall accuracy does not."
)


def render_report(assessment: Assessment) -> str:
    """The report as HTML."""
    return render_page(f"Accuracy of {assessment.title}", _render_parts(assessment))


def _render_parts(assessment: Assessment) -> Iterator[str]:
    yield render_text(_headline(assessment), "score")
    for note in assessment.notes:
        yield render_text(note, "note")
    yield render_heading("Accuracy by class")
    if assessment.estimates is not None:
        yield render_text("Accuracies, F1 and IoU are estimates for the whole map, the numbers of points those of the sample.")
    yield _render_classes(assessment)
    yield render_picture(draw_bars(assessment), "User's and producer's accuracy of each class")
    yield render_heading("Confusion matrix")
    yield render_text(f"Numbers of {assessment.unit}; rows are the map, columns the reference.")
    if len(assessment.classes) <= LARGEST_MATRIX:
        yield render_picture(draw_matrix(assessment), "Confusion matrix")
    yield _render_matrix(assessment)
    if assessment.estimates is not None:
        yield render_heading("Areas")
        yield _render_areas(assessment)
        yield render_picture(draw_areas(assessment), "Mapped and estimated area of each class")
    yield render_heading("All figures")
    yield _render_figures(assessment)
    yield render_text(DISAGREEMENT, "small")
    if assessment.objects is not None:
        yield from _render_objects(assessment)
    if assessment.comparison is not None:
        yield from _render_comparison(assessment)
    yield render_heading("Where the map is wrong")
    yield render_picture(draw_map(assessment), "Map of right and wrong places")
    yield render_heading("Input and method")
    yield render_table(("", ""), assessment.facts, 2)
    if assessment.estimates is not None:
        yield render_text(METHOD, "small")


def _headline(assessment: Assessment) -> str:
    if assessment.estimates is not None:
        return f"Overall accuracy {_with_margin(assessment.estimates.overall)}, estimated for the whole map from " + (
            f"{assessment.counts.total:,} points (95 % confidence)"
        )
    return f"Overall accuracy {assessment.counts.overall_accuracy:.3f} of {assessment.counts.total:,} {assessment.unit}"


def _render_classes(assessment: Assessment) -> str:
    figures, estimates, counts = assessment.headline, assessment.estimates, assessment.counts
    rows = []
    for place, entry in enumerate(assessment.classes):
        users = Estimate(float(figures.precision[place]), math.nan) if estimates is None else estimates.users[place]
        producers = Estimate(float(figures.recall[place]), math.nan) if estimates is None else estimates.producers[place]
        units = int(counts.support[place]), int(counts.counts[:, place].sum())
        measures = (_number(float(figures.f1[place])), _number(float(figures.iou[place])))
        counted = str(entry.value), f"{units[1]:,}", f"{units[0]:,}"
        rows.append((entry.name, *counted, _with_margin(users), _with_margin(producers), *measures))
    unit = assessment.unit
    head = ("Class", "Value", f"Map ({unit})", f"Reference ({unit})", "User's accuracy", "Producer's accuracy", "F1", "IoU")
    return render_table(head, rows, 1, [entry.color for entry in assessment.classes])


def _render_matrix(assessment: Assessment) -> str:
    by_map = assessment.counts.counts.T
    names = [entry.name for entry in assessment.classes]
    rows = [(name, *(f"{count:,}" for count in row), f"{row.sum():,}") for name, row in zip(names, by_map, strict=True)]
    rows.append(("Total", *(f"{total:,}" for total in by_map.sum(axis=0)), f"{by_map.sum():,}"))
    return render_table(("Map \\ reference", *names, "Total"), rows, 1, [entry.color for entry in assessment.classes])


def _render_areas(assessment: Assessment) -> str:
    shares = assessment.estimates.areas if assessment.estimates else ()
    rows = []
    for entry, (mapped, area, margin), share in zip(assessment.classes, assessment.areas(), shares, strict=True):
        interval = UNDEFINED if math.isnan(margin) else f"{max(0.0, area - margin):,.0f} to {area + margin:,.0f}"
        estimated = UNDEFINED if math.isnan(area) else f"{area:,.0f} ± {UNDEFINED if math.isnan(margin) else f'{margin:,.0f}'}"
        rows.append((entry.name, f"{mapped:,.0f}", estimated, interval, _with_margin(share)))
    unit = assessment.area_unit
    head = ("Class", f"Counted on the map ({unit})", f"Estimated ({unit})", f"95 % interval ({unit})", "Share of the area")
    return render_table(head, rows, 1, [entry.color for entry in assessment.classes])


def _render_figures(assessment: Assessment) -> str:
    sample, figures = assessment.counts, assessment.headline
    is_estimated = assessment.estimates is not None
    rows = []
    for name, get in _FIGURES:
        estimated = (_number(get(figures)),) if is_estimated else ()
        rows.append((name, *estimated, _number(get(sample))))
    return render_table(("Figure", *(("Whole map",) if is_estimated else ()), f"The {assessment.unit} themselves"), rows, 1)


_FIGURES = (
    ("Overall accuracy", lambda matrix: matrix.overall_accuracy),
    ("Mean IoU", lambda matrix: matrix.mean_iou),
    ("Mean F1", lambda matrix: matrix.mean_f1),
    ("Mean producer's accuracy", lambda matrix: matrix.mean_recall),
    ("Quantity disagreement", lambda matrix: matrix.quantity_disagreement),
    ("Allocation disagreement", lambda matrix: matrix.allocation_disagreement),
    ("Kappa", lambda matrix: matrix.kappa),
)


def _render_objects(assessment: Assessment) -> Iterator[str]:
    matrix: ConfusionMatrix = assessment.objects.matrix if assessment.objects else assessment.counts
    yield render_heading("Accuracy by object")
    yield render_text("Each polygon counts once, with the class that most of its pixels have on the map.")
    yield render_text(f"Overall accuracy {_number(matrix.overall_accuracy)} of {matrix.total:,} objects.")
    measures = (matrix.precision, matrix.recall, matrix.f1)
    rows = [
        (entry.name, f"{int(matrix.support[place]):,}", *(_number(float(values[place])) for values in measures))
        for place, entry in enumerate(assessment.classes)
    ]
    head = ("Class", "Objects", "User's accuracy", "Producer's accuracy", "F1")
    yield render_table(head, rows, 1, [entry.color for entry in assessment.classes])


def _render_comparison(assessment: Assessment) -> Iterator[str]:
    comparison = assessment.comparison
    if comparison is None:
        return
    test = comparison.test
    yield render_heading("Second map")
    first, second = comparison.first.overall_accuracy, comparison.second.overall_accuracy
    text = f"Overall accuracy: first map {first:.3f}, second map {second:.3f}"
    if comparison.difference is not None:
        text += f"; difference, estimated for the whole map: {comparison.difference.value:+.3f} ± {comparison.difference.margin:.3f}"
    yield render_text(f"{text}.")
    how = "exact binomial test" if test.is_exact else f"χ² = {test.statistic:.2f}, one degree of freedom"
    yield render_text(
        f"Only the first map is right at {test.only_first:,} {assessment.unit}, only the second at {test.only_second:,}. "
        f"McNemar's test: p = {test.p_value:.3g} ({how})."
    )
    if assessment.kind != "points":
        yield render_text("Neighbouring pixels are not independent, so this p is far too small; judge by the sizes.", "note")
    rows = [
        (entry.name, *("–" if math.isnan(value) else f"{value:+.3f}" for value in row[1:]))
        for entry, row in zip(assessment.classes, comparison.class_changes(), strict=True)
    ]
    head = ("Class", "Change in user's accuracy", "Change in producer's accuracy", "Change in IoU")
    yield render_table(head, rows, 1, [entry.color for entry in assessment.classes])
    yield render_picture(draw_changes(assessment), "Change in each class from the first map to the second")


def _number(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.3f}"


def _with_margin(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return UNDEFINED
    return f"{estimate.value:.3f}" if math.isnan(estimate.margin) else f"{estimate.value:.3f} ± {estimate.margin:.3f}"
