# SPDX-License-Identifier: GPL-2.0-or-later
"""The training report: one HTML file that needs no other, without scripts; every text from users is escaped.

Enters: a `ReportData`. Leaves: the page as text. Charts are drawn by matplotlib without a display and embedded as PNG.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..assessment.confusion import ConfusionMatrix

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.6em } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; margin: 1em 0 } td, th { border: 1px solid #ccc; padding: .25em .6em; text-align: left }
td.number { text-align: right } img { max-width: 100% }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .4em }
.score { font-size: 1.3em } .note { background: #fff6dd; padding: .5em 1em }
"""
NOT_VALIDATED = "not validated"
INVALID_COLOUR = (1.0, 1.0, 1.0)
LARGEST_MATRIX = 30  # classes; beyond, a picture of the matrix cannot be read


class ShownClass(NamedTuple):
    """A class or the background: value, name, colour (red, green, blue; 0 to 255)."""

    value: int
    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True)
class Sample:
    """One held-out chip.

    Attributes:
        image: (H, W, 3) float 0 to 1.
        label: (H, W) class values, -1 where nothing is known.
        prediction: (H, W) class values.
    """

    image: NDArray[np.floating]
    label: NDArray[np.integer]
    prediction: NDArray[np.integer]


@dataclass(frozen=True)
class ReportData:
    """What the report shows.

    Attributes:
        title: Name of the model.
        headline: Sentence with the score.
        notes: Sentences the reader must know to judge the figures.
        facts: Section → rows of (name, value).
        history: Figures of each epoch, as in the metric event.
        best_epoch: Number of the epoch that was kept.
        classes: Classes in channel order, with the background if there is one.
        training_pixels: Pixels trained on, by class value.
        confusion: Of the held-out pixels; a class without pixels is "not validated".
        samples: Held-out chips to show.
    """

    title: str
    headline: str
    notes: Sequence[str]
    facts: Mapping[str, Sequence[tuple[str, str]]]
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    classes: Sequence[ShownClass]
    training_pixels: Mapping[int, int]
    confusion: ConfusionMatrix
    samples: Sequence[Sample]


def render_report(data: ReportData) -> str:
    """The report as HTML."""
    title = html.escape(data.title)
    parts = [
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head><body>',
        f"<h1>{title}</h1>",
        f'<p class="score">{html.escape(data.headline)}</p>',
        *(f'<p class="note">{html.escape(note)}</p>' for note in data.notes),
        "<h2>Accuracy by class, on held-out labels</h2>",
        _render_classes(data),
        "<h2>Training and validation</h2>",
        _render_picture(_draw_curves(data), "Loss and figures by epoch"),
    ]
    if len(data.classes) <= LARGEST_MATRIX:
        parts += ["<h2>Confusion matrix</h2>", _render_picture(_draw_matrix(data), "Confusion matrix of the held-out pixels")]
    if data.samples:
        parts += [
            "<h2>Sample results</h2>",
            "<p>Held-out chips: image, labels held out, prediction.</p>",
            _render_picture(_draw_samples(data), "Image, label and prediction of held-out chips"),
        ]
    for section, rows in data.facts.items():
        parts += [f"<h2>{html.escape(section)}</h2>", _render_table(("", ""), rows)]
    return "\n".join([*parts, "</body></html>\n"])


def per_class_figures(confusion: ConfusionMatrix) -> dict[int, dict[str, float]]:
    """Class value → precision, recall, f1, iou; a class without held-out pixels is left out. A precision without pixels is 0."""
    names = {"precision": confusion.precision, "recall": confusion.recall, "f1": confusion.f1, "iou": confusion.iou}
    return {
        value: {name: round(float(np.nan_to_num(values[place])), 4) for name, values in names.items()}
        for place, value in enumerate(confusion.class_values)
        if confusion.support[place]
    }


def _render_classes(data: ReportData) -> str:
    """Table of the classes; a class without held-out pixels is marked."""
    figures = per_class_figures(data.confusion)
    rows = []
    for place, entry in enumerate(data.classes):
        red, green, blue = entry.color
        swatch = f'<span class="swatch" style="background: rgb({red},{green},{blue})"></span>'
        pixels = (data.training_pixels.get(entry.value, 0), int(data.confusion.support[place]))
        found = figures.get(entry.value)
        cells = [f"{value:.3f}" for value in found.values()] if found else [NOT_VALIDATED] * 4
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in (f"{pixels[0]:,}", f"{pixels[1]:,}", *cells))
        rows.append(f"<tr><td>{entry.value}</td><td>{swatch}{html.escape(entry.name)}</td>{numbers}</tr>")
    head = ("Value", "Class", "Training pixels", "Held-out pixels", "Precision", "Recall", "F1", "IoU")
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{''.join(rows)}</table>"


def _render_table(head: Iterable[str], rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns; the head is left out when it is empty."""
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in head if name)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{f'<tr>{cells}</tr>' if cells else ''}{body}</table>"


def _render_picture(figure: Figure, alternative: str) -> str:
    """The figure as an embedded PNG."""
    buffer = io.BytesIO()
    # A fixed font that matplotlib carries itself; class names may hold signs it lacks, which is then drawn as a box.
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return f'<img alt="{html.escape(alternative)}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'


def _draw_curves(data: ReportData) -> Figure:
    """Losses on the left, figures on the right, by epoch."""
    figure = Figure(figsize=(10, 3.6))
    epochs = range(1, len(data.history) + 1)
    for axes, names, label in zip(
        figure.subplots(1, 2),
        (("train_loss", "valid_loss"), ("miou", "accuracy", "f1")),
        ("loss", "figure on held-out labels"),
        strict=True,
    ):
        for name in names:
            axes.plot(epochs, [values.get(name, math.nan) for values in data.history], marker=".", label=name.replace("_", " "))
        axes.axvline(data.best_epoch, color="0.6", linestyle=":", label="epoch kept")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.legend()
    return figure


def _draw_matrix(data: ReportData) -> Figure:
    """Rows are labels, columns predictions; colours are shares of the row, numbers are pixels."""
    counts = data.confusion.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.45 * len(data.classes)
    figure = Figure(figsize=(side + 1, side))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [entry.name.replace("$", r"\$") for entry in data.classes]  # a dollar would start a formula
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    for row, column in np.argwhere(counts):
        shade = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=shade, fontsize=8)
    return figure


def _draw_samples(data: ReportData) -> Figure:
    """One row per sample."""
    figure = Figure(figsize=(8, 2.6 * len(data.samples)))
    colours = {entry.value: np.array(entry.color) / 255 for entry in data.classes}
    for axes, sample in zip(figure.subplots(len(data.samples), 3, squeeze=False), data.samples, strict=True):
        pictures = (sample.image, _paint(sample.label, colours), _paint(sample.prediction, colours))
        for place, picture, name in zip(axes, pictures, ("image", "label", "prediction"), strict=True):
            place.imshow(picture, interpolation="nearest")
            place.set_title(name, fontsize=9)
            place.set_axis_off()
    return figure


def _paint(values: NDArray[np.integer], colours: Mapping[int, NDArray[np.floating]]) -> NDArray[np.floating]:
    """Picture (H, W, 3) of class values; white where no class is."""
    picture = np.full((*values.shape, 3), INVALID_COLOUR)
    for value, colour in colours.items():
        picture[values == value] = colour
    return picture
