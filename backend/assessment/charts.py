# SPDX-License-Identifier: GPL-2.0-or-later
"""The charts of an assessment's report, drawn by matplotlib without a display."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .picture import RIGHT, WRONG
from .result import Assessment, PointPicture

RIGHT_COLOR, WRONG_COLOR, UNKNOWN_COLOR = "#9ecae1", "#d7301f", "#f2f2f2"
MOST_POINTS = 20_000  # in the error map; a picture shows no more


def draw_matrix(assessment: Assessment) -> Figure:
    """Rows are the map's classes, columns the reference's; colours are shares of the row, numbers are counts."""
    counts = assessment.counts.counts.T
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.55 * len(counts)
    figure = Figure(figsize=(side + 1, side))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = _names(assessment)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("reference")
    axes.set_ylabel("map")
    for row, column in np.argwhere(counts):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=shade, fontsize=8)
    return figure


def draw_bars(assessment: Assessment) -> Figure:
    """User's and producer's accuracy of each class, with 95 % intervals where they were estimated."""
    names = _names(assessment)
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(names)))
    axes = figure.subplots()
    figures, estimates = assessment.headline, assessment.estimates
    rows = np.arange(len(names))
    users = [entry.margin for entry in estimates.users] if estimates else None
    producers = [entry.margin for entry in estimates.producers] if estimates else None
    for shift, values, margins, color, label in (
        (-0.18, figures.precision, users, "#3182bd", "user's accuracy (1 − commission)"),
        (0.18, figures.recall, producers, "#fd8d3c", "producer's accuracy (1 − omission)"),
    ):
        shown = np.nan_to_num(values)
        axes.barh(rows + shift, shown, 0.34, color=color, label=label, xerr=_whiskers(shown, margins, 1.0), ecolor="0.2", capsize=2)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 - 0.3 / len(names)), ncol=2, frameon=False)
    return figure


def draw_areas(assessment: Assessment) -> Figure:
    """Mapped and estimated area of each class, the latter with its 95 % interval."""
    names = _names(assessment)
    areas = np.array(assessment.areas())
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(names)))
    axes = figure.subplots()
    rows = np.arange(len(names))
    estimated = np.nan_to_num(areas[:, 1])
    axes.barh(rows - 0.18, areas[:, 0], 0.34, color="#bdbdbd", label="counted on the map")
    whiskers = _whiskers(estimated, areas[:, 2])
    axes.barh(rows + 0.18, estimated, 0.34, color="#31a354", label="estimated", xerr=whiskers, ecolor="0.2", capsize=2)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlabel(f"area ({assessment.area_unit})")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25 - 0.3 / len(names)), ncol=2, frameon=False)
    return figure


def draw_map(assessment: Assessment) -> Figure:
    """Where the map is right and wrong."""
    figure = Figure(figsize=(8, 6))
    axes = figure.subplots()
    if isinstance(assessment.picture, PointPicture):
        picture = assessment.picture
        for is_right, color, label in ((True, RIGHT_COLOR, "right"), (False, WRONG_COLOR, "wrong")):
            chosen = np.flatnonzero(picture.is_right == is_right)[:MOST_POINTS]
            axes.scatter(picture.x[chosen], picture.y[chosen], s=14, color=color, edgecolor="0.3", linewidth=0.3, label=label)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        axes.set_aspect("equal")
        axes.ticklabel_format(useOffset=False, style="plain")
        axes.tick_params(labelsize=7)
    else:
        colors = ListedColormap([UNKNOWN_COLOR, RIGHT_COLOR, WRONG_COLOR])
        axes.imshow(assessment.picture, cmap=colors, vmin=0, vmax=2, interpolation="nearest")
        for code, color, label in ((RIGHT, RIGHT_COLOR, "right"), (WRONG, WRONG_COLOR, "wrong")):
            share = float((assessment.picture == code).sum()) / max(1, int((assessment.picture != 0).sum()))
            axes.scatter([], [], color=color, marker="s", label=f"{label} ({100 * share:.1f} %)")
        axes.scatter([], [], color=UNKNOWN_COLOR, marker="s", edgecolor="0.6", label="not compared")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        axes.set_axis_off()
    return figure


def draw_changes(assessment: Assessment) -> Figure:
    """Second map less first in user's accuracy, producer's accuracy and IoU of each class."""
    names = _names(assessment)
    changes = np.array(assessment.comparison.class_changes() if assessment.comparison else [])[:, 1:]
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(names)))
    axes = figure.subplots()
    rows = np.arange(len(names))
    for shift, column, color, label in (
        (-0.25, 0, "#3182bd", "user's accuracy"),
        (0.0, 1, "#fd8d3c", "producer's accuracy"),
        (0.25, 2, "#756bb1", "IoU"),
    ):
        axes.barh(rows + shift, np.nan_to_num(changes[:, column]), 0.24, color=color, label=label)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlabel("second map − first map")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25 - 0.3 / len(names)), ncol=3, frameon=False)
    return figure


def _names(assessment: Assessment) -> list[str]:
    return [entry.name.replace("$", r"\$") for entry in assessment.classes]  # a dollar would start a formula


def _whiskers(values: NDArray, margins: NDArray | list[float] | None, highest: float | None = None) -> NDArray | None:
    """Lengths (2, n) of the whiskers, which end at 0 and at the highest value; none where the margin is NaN."""
    if margins is None:
        return None
    lengths = np.nan_to_num(np.array(margins))
    return np.array([np.minimum(lengths, values), lengths if highest is None else np.minimum(lengths, highest - values)])
