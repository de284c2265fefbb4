# SPDX-License-Identifier: GPL-2.0-or-later
"""The training report: one HTML file that needs no other, without scripts; every text from users is escaped by `html_page`.

Enters: a `ReportData`. Leaves: the page as text. What a manager wants stands first and fills one screen: figures, a sentence on
strength and weakness, what limits them, curves and classes. Then what a reviewer asks: matrix, calibration, samples, failures, split,
data, settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..assessment.confusion import ConfusionMatrix
from ..html_page import beside, cards, cell, chart, heading, legend, named_cell, number_cell, page, paragraph, strip, table
from .evaluation import Calibration
from .report_charts import draw_class_bars, draw_curves, draw_matrix, draw_reliability, draw_split
from .samples import Sample, ShownClass, resize
from .split_map import SplitMap

NOT_VALIDATED = "not validated"
LARGEST_MATRIX = 30  # classes; beyond, a picture of the matrix cannot be read
SIDE = 220  # pixels of a sample picture's longer side
WORTH_TELLING = 0.05  # share of a class that is taken for another, from which on it is told
WELL_CALIBRATED = 0.05


@dataclass(frozen=True)
class ReportData:
    """What the report shows.

    Attributes:
        title: Name of the model.
        headline: Sentence on what the figures stand for.
        notes: Sentences the reader must know to judge the figures.
        facts: Section → rows of (name, value).
        history: Figures of each epoch, as in the metric event.
        best_epoch: Number of the epoch that was kept.
        classes: Classes in channel order, with the background if there is one.
        training_pixels: Pixels trained on, by class value.
        confusion: Of the held-out pixels; a class without pixels is "not validated".
        calibration: On the same pixels.
        samples: Held-out chips to show.
        worst: Held-out chips on which the network fails most, worst first.
        maps: Where the labels lie.
        duration: Of the training, in words.
        device: On what it ran.
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
    calibration: Calibration
    samples: Sequence[Sample]
    worst: Sequence[Sample]
    maps: Sequence[SplitMap]
    duration: str
    device: str


def render_report(data: ReportData) -> str:
    """The report as HTML."""
    return page(data.title, _render_pieces(data))


def per_class_figures(confusion: ConfusionMatrix) -> dict[int, dict[str, float]]:
    """Class value → precision, recall, f1, iou; a class without held-out pixels is left out. A precision without pixels is 0."""
    names = {"precision": confusion.precision, "recall": confusion.recall, "f1": confusion.f1, "iou": confusion.iou}
    return {
        value: {name: round(float(np.nan_to_num(values[place])), 4) for name, values in names.items()}
        for place, value in enumerate(confusion.class_values)
        if confusion.support[place]
    }


def _render_pieces(data: ReportData) -> Iterator[str]:
    """The page from top to bottom."""
    yield _render_cards(data)
    yield paragraph(" ".join([data.headline, *describe_strengths(data)]))
    yield from (paragraph(note, "note") for note in data.notes)
    curves = chart(draw_curves(data.history, data.best_epoch), "Loss and figures by epoch")
    if int((data.confusion.support > 0).sum()) <= LARGEST_MATRIX:
        yield beside([chart(draw_class_bars(data.classes, data.confusion), "IoU of each class"), curves])
    else:
        yield curves
    yield heading("Accuracy by class, on held-out labels")
    yield _render_classes(data)
    if len(data.classes) <= LARGEST_MATRIX:
        yield heading("Confusion matrix")
        yield paragraph("What the held-out pixels of each class (rows) were taken for (columns), in percent of the row.")
        yield chart(draw_matrix(data.classes, data.confusion), "Confusion matrix of the held-out pixels")
    yield heading("Calibration")
    yield paragraph(describe_calibration(data.calibration))
    yield chart(draw_reliability(data.calibration), "Share of right pixels by the probability of the class that won")
    yield from _render_samples(data)
    if data.maps:
        yield heading("Split")
        yield chart(draw_split(data.maps), "Map of the labels trained on and held out")
    for section, rows in data.facts.items():
        yield heading(section, 2 if section != "Split" else 3)
        yield table((), [(cell(name), cell(value)) for name, value in rows])


def _render_cards(data: ReportData) -> str:
    confusion = data.confusion
    validated = int((confusion.support > 0).sum())
    return cards(
        [
            ("Mean IoU", f"{confusion.mean_iou:.3f}", "mean of the classes"),
            ("Overall accuracy", f"{100 * confusion.overall_accuracy:.1f} %", "of the held-out pixels"),
            ("Mean F1", f"{confusion.mean_f1:.3f}", "mean of the classes"),
            ("Calibration error", f"{100 * data.calibration.error:.1f} %", "between confidence and truth"),
            ("Classes measured", f"{validated} of {len(data.classes)}", f"{confusion.total:,} pixels"),
            ("Training", data.duration, data.device),
        ]
    )


def describe_strengths(data: ReportData) -> list[str]:
    """Sentences on the best and the weakest class, and on the largest confusion."""
    names = [entry.name for entry in data.classes]
    iou = np.where(data.confusion.support > 0, np.nan_to_num(data.confusion.iou), np.nan)
    if np.isfinite(iou).sum() < 2:
        return []
    best, weakest = int(np.nanargmax(iou)), int(np.nanargmin(iou))
    sentences = [f"Best is {names[best]} (IoU {iou[best]:.2f}), weakest {names[weakest]} (IoU {iou[weakest]:.2f})."]
    counts = data.confusion.counts.astype(float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    row, column = np.unravel_index(int(shares.argmax()), shares.shape)
    if shares[row, column] >= WORTH_TELLING:
        sentences.append(f"The largest confusion: {100 * shares[row, column]:.0f} % of {names[row]} are taken for {names[column]}.")
    return sentences


def describe_calibration(calibration: Calibration) -> str:
    """A sentence on whether the probabilities can be trusted."""
    if not np.isfinite(calibration.error):
        return "No held-out pixel, so nothing is known of the probabilities."
    gap = f"{100 * calibration.error:.1f} %"
    if calibration.error <= WELL_CALIBRATED:
        return f"The probabilities can be taken at their word: they differ from the share of right pixels by {gap} on average."
    direction = "too sure of itself" if calibration.surplus > 0 else "less sure than it could be"
    return f"The network is {direction}: its probabilities differ from the share of right pixels by {gap} on average."


def _render_classes(data: ReportData) -> str:
    """Table of the classes; a class without held-out pixels is marked."""
    figures = per_class_figures(data.confusion)
    rows = []
    for place, entry in enumerate(data.classes):
        found = figures.get(entry.value)
        shown = [f"{value:.3f}" for value in found.values()] if found else [NOT_VALIDATED] * 4
        pixels = (data.training_pixels.get(entry.value, 0), int(data.confusion.support[place]))
        rows.append([cell(entry.value), named_cell(entry.color, entry.name), *map(cell, pixels), *map(number_cell, shown)])
    return table(("Value", "Class", "Training pixels", "Held-out pixels", "Precision", "Recall", "F1", "IoU"), rows)


def _render_samples(data: ReportData) -> Iterator[str]:
    """Sample sheet and failures."""
    colours = "Image; held-out label; prediction; right (green) and wrong (red)."
    for title, text, samples in (
        ("Sample sheet", f"Held-out chips, spread over the folder. {colours}", data.samples),
        (
            "Worst chips",
            f"Held-out chips with the most wrong pixels; look for wrong labels here first. {colours}",
            data.worst,
        ),
    ):
        if samples:
            yield heading(title)
            yield paragraph(text)
            yield legend((entry.color, entry.name) for entry in data.classes)
            for sample in samples:
                images = (sample.image, sample.paint_label(data.classes), sample.paint_prediction(data.classes), sample.paint_errors())
                caption = f"{sample.name}: {100 * sample.accuracy:.0f} % of {sample.pixels:,} held-out pixels are right"
                yield strip([resize(image, SIDE) for image in images], caption, f"Chip {sample.name}")
