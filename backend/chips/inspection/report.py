# SPDX-License-Identifier: GPL-2.0-or-later
"""The inspection's report: chips, classes, suspicious chips, a sample sheet, and the pixels of each band.

Enters: an `Inspection`. Leaves: one HTML page as text. Only the chips that are shown are read again, a fixed number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ... import __version__
from ...html_page import cell, chart, heading, named_cell, page, paragraph, pictures, share_cell, table
from ...imagery.band_statistics import BandStatistics
from ...imagery.histogram import Histogram
from ..arcgis_folder import ArcgisMetadata
from ..chip_labels import PIXEL_FORMATS, UNLABELLED_FORMATS
from .chip import ChipFacts
from .faults import KINDS
from .pictures import ChipPainter
from .store import InspectionStore, StoredChip

SAMPLES, SAMPLES_PER_CLASS = 24, 2
SHOWN_SUSPICIOUS, NAMED_SUSPICIOUS = 6, 30
MOST_HISTOGRAMS = 36
HISTOGRAM_COLUMNS = 3


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        folder: The folder of chips.
        metadata: What its metadata say.
        store: The chips.
        bands: Statistics of the bands over valid pixels; empty when no chip could be read.
        histograms: One per band.
        notes: Sentences on the whole folder.
        struck_out: Number of chips that are struck out.
        footprints: Where the footprints are.
    """

    folder: Path
    metadata: ArcgisMetadata
    store: InspectionStore
    bands: Sequence[BandStatistics]
    histograms: Sequence[Histogram]
    notes: Sequence[str]
    struck_out: int
    footprints: Path


def render_inspection(found: Inspection, painter: ChipPainter) -> Iterator[str]:
    """Yields empty texts while it works, so that it can be stopped, and the whole page at last."""
    pieces = [
        paragraph(describe_folder(found), "score"),
        *(paragraph(note, "note") for note in found.notes),
        heading("Classes"),
        *_render_classes(found),
        heading("Suspicious chips"),
    ]
    for piece in _render_suspicions(found, painter):
        pieces.append(piece)
        yield ""
    pieces += [heading("Sample sheet"), paragraph(_explain_samples(found))]
    for chip in choose_samples(found.store):
        pieces += _show(chip, painter, found)
        yield ""
    pieces += [*_render_bands(found), heading("Folder"), _render_facts(found)]
    yield page(f"Training data: {found.folder.name}", pieces)


def describe_folder(found: Inspection) -> str:
    """Number, size, bands and format of the chips in one line."""
    row = found.store.database.execute(
        "SELECT width, height, bands, dtype FROM chips WHERE width > 0 "
        "GROUP BY width, height, bands, dtype ORDER BY COUNT(*) DESC LIMIT 1"
    ).fetchone()
    size = "" if row is None else f" of {row[0]} × {row[1]} pixels, {row[2]} bands, {row[3]}"
    return f"{found.store.count():,} chips{size}; {found.metadata.mode}; {len(found.metadata.all_classes.classes)} classes"


def _render_classes(found: Inspection) -> Iterator[str]:
    """The table of classes: chips, pixels, objects, share."""
    if found.metadata.mode in UNLABELLED_FORMATS:
        yield paragraph("This format has no labels.")
        return
    has_pixels = found.metadata.mode in PIXEL_FORMATS
    totals = found.store.class_totals()
    has_objects = not has_pixels or any(total.objects for total in totals.values())
    sums = {value: total.pixels if has_pixels else total.objects for value, total in totals.items()}
    whole = max(sum(sums.values()), 1)
    head = ["Value", "Class", "Chips", *["Pixels"] * has_pixels, *["Objects"] * has_objects, "Share"]
    rows = []
    for entry in found.metadata.all_classes.classes:
        total = totals.get(entry.value)
        chips, pixels, objects = total or (0, 0, 0)
        numbers = [chips, *[pixels] * has_pixels, *[objects] * has_objects]
        share = share_cell(sums.get(entry.value, 0) / whole)
        rows.append([cell(entry.value), named_cell(entry.color, entry.name), *map(cell, numbers), share])
    yield table(head, rows)
    unit = "labelled pixels" if has_pixels else "objects"
    yield paragraph(f"Shares are of all {unit}; what lies in several overlapping chips counts in each.")
    if unlisted := found.store.unlisted_totals():
        rows = [[cell(text), cell(amount), cell(chips)] for text, (amount, chips) in unlisted.items()]
        yield heading("Values that the class list lacks", 3)
        yield table(["Value or name", "Pixels" if has_pixels else "Objects", "Chips"], rows)


def _render_suspicions(found: Inspection, painter: ChipPainter) -> Iterator[str]:
    """Each kind with its meaning, some names and some pictures."""
    counts = count_suspicions(found.store)
    if not counts:
        yield paragraph("None.")
        return
    yield paragraph("Look at them, and strike out in the footprints (field “use”) those that should not be trained on.")
    for kind, count in counts.items():
        yield heading(f"{KINDS[kind].title}: {count:,}", 3)
        yield paragraph(KINDS[kind].meaning)
        where = "id IN (SELECT chip FROM suspicions WHERE kind = ?) ORDER BY id"
        names = []
        for place, chip in enumerate(found.store.iterate_chips(where, (kind,), NAMED_SUSPICIOUS)):
            detail = next(detail for of_kind, detail in chip.suspicions if of_kind == kind)
            shown = _show(chip, painter, found, detail) if place < SHOWN_SUSPICIOUS else []
            yield from shown
            if not shown:
                names.append(f"{chip.facts.files.image} ({detail})")
        if names:
            yield paragraph(", ".join(names) + (f" and {count - NAMED_SUSPICIOUS:,} more" if count > NAMED_SUSPICIOUS else ""))


def count_suspicions(store: InspectionStore) -> dict[str, int]:
    """Kind → number of chips, the kinds in the order of their weight, those without a chip left out."""
    counts = dict(store.database.execute("SELECT kind, COUNT(DISTINCT chip) FROM suspicions GROUP BY kind"))
    return {kind: counts[kind] for kind in KINDS if kind in counts}


def choose_samples(store: InspectionStore) -> Iterator[StoredChip]:
    """Up to 24 readable chips: the two with the most of each class, then others at random (by digest, so a run repeats)."""
    chosen: list[int] = []
    for value in store.class_totals():
        if len(chosen) < SAMPLES:
            fullest = store.database.execute(
                "SELECT chip FROM counts JOIN chips ON id = chip WHERE value = ? AND width > 0 "
                "ORDER BY pixels + objects DESC, digest LIMIT ?",
                (value, SAMPLES_PER_CLASS),
            )
            chosen += [chip for (chip,) in fullest if chip not in chosen]
    others = store.database.execute("SELECT id FROM chips WHERE width > 0 ORDER BY digest LIMIT ?", (2 * SAMPLES,))
    chosen += [chip for (chip,) in others.fetchall() if chip not in chosen]
    for number in chosen[:SAMPLES]:
        yield from store.iterate_chips("id = ?", (number,))


def _show(chip: StoredChip, painter: ChipPainter, found: Inspection, detail: str = "") -> list[str]:
    """The chip's pictures with its name and classes; nothing when it cannot be read."""
    painted = painter.paint(chip.facts.files)
    if painted is None:
        return []
    caption = [chip.facts.files.image, *[detail] * bool(detail), _list_amounts(chip.facts, found)]
    return [pictures(painted, caption, f"Image and labels of {chip.facts.files.image}")]


def _list_amounts(facts: ChipFacts, found: Inspection) -> str:
    names = {entry.value: entry.name for entry in found.metadata.all_classes.classes}
    total = sum(facts.pixels.values())
    shares = [f"{names[value]} {facts.labelled * pixels / total:.1%}" for value, pixels in sorted(facts.pixels.items())]
    objects = [f"{names[value]} × {count}" for value, count in sorted(facts.objects.items())]
    return ", ".join([*shares, *objects]) or "no label"


def _explain_samples(found: Inspection) -> str:
    if found.metadata.mode in UNLABELLED_FORMATS:
        return "Each chip twice; this format has no labels to show upon it."
    return (
        "Each chip without and with its labels: classes in their colours, values that no class has in magenta, nodata in grey. "
        "The two chips with the most of each class come first, then others at random. Shares are of the valid pixels."
    )


def _render_bands(found: Inspection) -> Iterator[str]:
    yield heading("Bands")
    if not found.bands:
        yield paragraph("No chip could be read.")
        return
    head = ["Band", "Minimum", "0.5 %", "Mean", "99.5 %", "Maximum", "Standard deviation"]
    yield table(
        head,
        [
            [cell(band.name), *(cell(f"{n:.6g}") for n in (band.minimum, band.low, band.mean, band.high, band.maximum, band.std))]
            for band in found.bands
        ],
    )
    yield paragraph("Over the valid pixels of all chips with these bands; percentiles from a random sample of 200,000 pixels.")
    yield chart(_draw_histograms(found), "Histogram of the pixels of each band")
    if len(found.bands) > MOST_HISTOGRAMS:
        yield paragraph(f"Histograms of the first {MOST_HISTOGRAMS} of {len(found.bands)} bands.")


def _draw_histograms(found: Inspection) -> Figure:
    """Valid pixels by value, from the lowest to the highest, a panel for each band."""
    shown = list(zip(found.bands, found.histograms, strict=True))[:MOST_HISTOGRAMS]
    rows = math.ceil(len(shown) / HISTOGRAM_COLUMNS)
    figure = Figure(figsize=(10, 2.2 * rows), layout="constrained")
    panels = figure.subplots(rows, HISTOGRAM_COLUMNS, squeeze=False).ravel()
    for axes, (band, histogram) in zip(panels, shown, strict=False):
        axes.stairs(histogram.counts, histogram.edges, fill=True, color="#4c78a8")
        axes.set_title(band.name.replace("$", r"\$"), fontsize=9)  # a dollar would start a formula
        axes.tick_params(labelsize=7)
        axes.set_yticks([])
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    return figure


def _render_facts(found: Inspection) -> str:
    rows = [
        ("Folder", str(found.folder)),
        ("Metadata format", found.metadata.mode),
        ("Footprints", str(found.footprints)),
        ("Struck out", f"{found.struck_out:,} chips"),
        ("Version", f"Deep Learning Toolbox {__version__}"),
    ]
    return table((), [[cell(name), cell(value)] for name, value in rows])
