# SPDX-License-Identifier: GPL-2.0-or-later
"""The charts of the training report, drawn by matplotlib without a display."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..assessment.confusion import ConfusionMatrix
from .evaluation import BINS, Calibration
from .samples import ShownClass
from .split_map import HELD_OUT, TRAINED, SplitMap

MAP_COLOURS = ("#ffffff", "#e8e8e8", "#4c78a8", "#f58518")  # outside, image, trained on, held out
# Told apart by people who do not see red and green alike (Okabe and Ito 2008).
CURVE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
CURVES = {
    "loss (lower is better)": {"train_loss": "training", "valid_loss": "held-out labels"},
    "on held-out labels": {"miou": "mean IoU", "accuracy": "overall accuracy", "f1": "mean F1"},
}


def draw_curves(history: Sequence[Mapping[str, float]], best_epoch: int) -> Figure:
    """Losses above, figures below, by epoch."""
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    epochs = range(1, len(history) + 1)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, (label, names) in zip(panels, CURVES.items(), strict=True):
        for (name, shown), colour in zip(names.items(), CURVE_COLOURS, strict=False):
            axes.plot(epochs, [values.get(name, math.nan) for values in history], marker=".", color=colour, label=shown)
        axes.axvline(best_epoch, color="0.5", linestyle=":", label="epoch kept")
        axes.set_title(label, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.25)
        axes.legend(fontsize=7)
    panels[-1].set_xlabel("epoch")
    return figure


def draw_class_bars(classes: Sequence[ShownClass], confusion: ConfusionMatrix) -> Figure:
    """IoU of each validated class, the best on top, in the class's colour."""
    entries = sorted(
        (float(np.nan_to_num(iou)), entry)
        for iou, pixels, entry in zip(confusion.iou, confusion.support, classes, strict=True)
        if pixels
    )
    figure = Figure(figsize=(5, max(2.2, 1 + 0.34 * len(entries))), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(entries))
    values = [iou for iou, _ in entries]
    axes.barh(places, values, 0.7, color=[np.array(entry.color) / 255 for _, entry in entries], edgecolor="0.4", linewidth=0.6)
    for place, value in zip(places, values, strict=True):
        inside = value > 0.85  # no room beside the bar
        axes.text(value + (-0.01 if inside else 0.01), place, f"{value:.2f}", va="center", ha="right" if inside else "left",
                  fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8} if inside else None)  # fmt: skip
    axes.set_yticks(places, [escape(entry.name) for _, entry in entries])
    axes.set_xlim(0, 1)
    axes.set_title("IoU of each class on held-out labels", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def draw_matrix(classes: Sequence[ShownClass], confusion: ConfusionMatrix) -> Figure:
    """Rows are labels, columns predictions; colours and numbers are shares of the row in percent."""
    counts = confusion.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.5 * len(classes)
    figure = Figure(figsize=(side + 1.4, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [escape(entry.name) for entry in classes]
    rows = [f"{name} ({pixels:,})" for name, pixels in zip(names, counts.sum(axis=1), strict=True)]
    axes.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), rows)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label (held-out pixels)")
    for row, column in np.argwhere(counts):
        percent = 100 * shares[row, column]
        text = f"{percent:.0f}" if percent >= 0.5 else "<1"
        axes.text(column, row, text, ha="center", va="center", color="white" if percent > 50 else "black", fontsize=9)
    return figure


def draw_reliability(calibration: Calibration) -> Figure:
    """Accuracy against confidence (above), and how often each confidence occurs (below)."""
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = calibration.counts > 0
    centres = (np.arange(BINS) + 0.5) / BINS
    accuracies = calibration.hits[filled] / calibration.counts[filled]
    confidences = calibration.confidences[filled] / calibration.counts[filled]
    upper.plot([0, 1], [0, 1], color="0.5", linestyle="--", label="as sure as right")
    upper.bar(centres[filled], accuracies, 1 / BINS, color="#9ecae1", edgecolor="white", label="right")
    upper.plot(confidences, accuracies, "o", color=CURVE_COLOURS[0], markersize=4)
    upper.set_ylabel("share that is right")
    upper.set_ylim(0, 1)
    upper.set_xlim(0, 1)
    upper.legend(loc="upper left", fontsize=8)
    lower.bar(centres, calibration.counts / max(calibration.counts.sum(), 1), 1 / BINS, color="0.7", edgecolor="white")
    lower.set_ylabel("share of pixels")
    lower.set_xlabel("probability of the class that won")
    return figure


def draw_split(maps: Sequence[SplitMap]) -> Figure:
    """Where labels were trained on and held out; north is up."""
    ratios = [entry.cells.shape[0] / entry.cells.shape[1] for entry in maps]
    width = 10 / len(maps)
    figure = Figure(figsize=(10, min(5.5, max(2.0, width * max(ratios) + 0.8))), layout="constrained")
    colours = ListedColormap(MAP_COLOURS)
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    for axes, entry in zip(panels, maps, strict=True):
        axes.imshow(entry.cells, cmap=colours, vmin=0, vmax=3, interpolation="nearest")
        part = "" if entry.drawn == entry.chips else f" ({entry.drawn:,} of {entry.chips:,} chips)"
        axes.set_title(escape(entry.name) + part, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    for code, name in ((TRAINED, "labels trained on"), (HELD_OUT, "labels held out"), (1, "chips without such labels")):
        panels[0].scatter([], [], color=MAP_COLOURS[code], marker="s", edgecolor="0.6", label=name)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncol=3, frameon=False, fontsize=9)
    return figure


def escape(name: str) -> str:
    """A name as matplotlib shows it unchanged; a dollar would start a formula."""
    return name.replace("$", r"\$")
