# SPDX-License-Identifier: GPL-2.0-or-later
"""The confusion matrix as a table: rows are classes of the map, columns classes of the reference, as in ArcGIS.

Columns ``C_<value>`` hold counts. The last rows hold the totals, the producer's accuracies and kappa. Beside them stand the figures
of each class, and areas with their intervals where they were estimated.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..labels.vector_file import write_layer
from .result import Assessment


def build_table(assessment: Assessment) -> dict[str, list]:
    """Columns by name, each with a row per class and the rows Total, P_Accuracy and Kappa; NaN where there is nothing."""
    counts, figures = assessment.counts, assessment.headline
    classes = assessment.classes
    by_map = counts.counts.T  # (map, reference)
    blank = [math.nan] * 3
    columns: dict[str, list] = {
        "ClassValue": [*(f"C_{entry.value}" for entry in classes), "Total", "P_Accuracy", "Kappa"],
        "ClassName": [*(entry.name for entry in classes), None, None, None],
    }
    for place, entry in enumerate(classes):
        rows = by_map[:, place].astype(float).tolist()
        columns[f"C_{entry.value}"] = [*rows, float(sum(rows)), float(figures.recall[place]), math.nan]
    totals = by_map.sum(axis=1).astype(float).tolist()
    columns["Total"] = [*totals, float(counts.total), math.nan, math.nan]
    columns["U_Accuracy"] = [*figures.precision.tolist(), math.nan, figures.overall_accuracy, math.nan]
    columns["Kappa"] = [*[math.nan] * len(classes), math.nan, math.nan, figures.kappa]
    columns["P_Accuracy"] = [*figures.recall.tolist(), *blank]
    columns["F1"] = [*figures.f1.tolist(), figures.mean_f1, math.nan, math.nan]
    columns["IoU"] = [*figures.iou.tolist(), figures.mean_iou, math.nan, math.nan]
    _add_estimates(columns, assessment)
    return columns


def _add_estimates(columns: dict[str, list], assessment: Assessment) -> None:
    """Intervals and areas; the row Total holds those of the overall accuracy and of the map."""
    blank = [math.nan] * 2
    areas = np.array(assessment.areas())
    unit = assessment.area_unit
    columns[f"Map_{unit}"] = [*areas[:, 0].tolist(), float(areas[:, 0].sum()), *blank]
    if assessment.estimates is None:
        return
    estimates = assessment.estimates
    columns["U_Margin"] = [*(entry.margin for entry in estimates.users), math.nan, estimates.overall.margin, math.nan]
    columns["P_Margin"] = [*(entry.margin for entry in estimates.producers), math.nan, *blank]
    columns[f"Area_{unit}"] = [*areas[:, 1].tolist(), float(np.nansum(areas[:, 1])), *blank]
    columns["Area_Margin"] = [*areas[:, 2].tolist(), math.nan, *blank]


def write_table(path: Path, assessment: Assessment) -> None:
    """Writes the table as GeoPackage without geometry."""
    columns = build_table(assessment)
    texts = {"ClassValue", "ClassName"}
    write_layer(path, {name: np.array(rows, object if name in texts else float) for name, rows in columns.items()}, None, None, None)
