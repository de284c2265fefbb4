# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``inspect``: looks at every chip of a folder before anybody trains on it.

Enters: a folder of chips of any metadata format, ours or ArcGIS's. Steps: list the chips, read each once (image, labels), keep its
facts on disk, mark the suspicious ones, write the footprints and the report. Leaves: a GeoPackage in which chips can be struck out,
and one HTML page. Runs in the worker. Memory: a few chips at a time, and the statistics of the bands.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ...errors import ToolboxError
from ...imagery.band_statistics import BandStatistics
from ...imagery.histogram import Histogram
from ...imagery.raster import RasterInfo
from ...imagery.statistics import StatisticsAccumulator
from ...runtime.disk import checked_writing
from ...runtime.protocol import Event, info, progress, result, warning
from ..arcgis_folder import ArcgisMetadata, list_chips, list_domains, read_metadata
from ..chip_labels import PIXEL_FORMATS, UNLABELLED_FORMATS, LabelReader
from ..index import INDEX_NAME
from ..strikeouts import read_strikeouts
from .chip import ChipInspector, ChipReading
from .faults import KINDS, find_suspicions
from .files import InspectionFiles
from .footprints import FootprintWriter, class_fields
from .pictures import ChipPainter
from .report import Inspection, count_suspicions, describe_folder, render_inspection
from .settings import InspectSettings
from .store import ClassTotal, InspectionStore
from .style import build_footprint_style

READERS = min(4, os.cpu_count() or 1)
READ_SHARE, WRITE_SHARE = 0.85, 0.95  # of the progress bar, where reading and writing the footprints end
PROGRESS_SECONDS = 0.3
MOST_NAMED_VALUES = 10


class BandFigures:
    """Statistics and histograms of the bands, for the chips that have as many bands as the first one that can be read."""

    def __init__(self) -> None:
        self._info: RasterInfo | None = None
        self._bands: tuple[int, ...] = ()
        self._accumulator = StatisticsAccumulator(0)
        self.histograms: list[Histogram] = []

    def add(self, reading: ChipReading) -> None:
        """Adds the valid pixels of a chip."""
        if reading.image is None or reading.valid is None or reading.info is None:
            return
        if self._info is None:
            self._info, self._bands = reading.info, reading.bands
            self._accumulator = StatisticsAccumulator(len(self._bands))
            raw = [reading.info.scales[band - 1] == 1 and reading.info.offsets[band - 1] == 0 for band in self._bands]
            self.histograms = [Histogram(is_raw and not reading.info.dtype.startswith("f")) for is_raw in raw]
        if len(reading.image) == len(self._bands) and reading.valid.any():
            self._accumulator.add(reading.image, reading.valid)
            for histogram, channel in zip(self.histograms, reading.image, strict=True):
                histogram.add(channel[reading.valid])

    def finish(self, names: tuple[str, ...]) -> list[BandStatistics]:
        """Statistics of each band; empty when no chip had a valid pixel."""
        if self._info is None or self._accumulator.count == 0:
            return []
        named = replace(self._info, band_names=names) if len(names) >= max(self._bands) else self._info
        return self._accumulator.finish(named, list(self._bands))


def inspect_chips(settings: InspectSettings, job_id: str) -> Iterator[Event]:
    """Inspects a folder.

    Yields:
        Events; the result's outputs are OUTPUT (footprints) and, if wanted, OUTPUT_HTML (paths).

    Raises:
        ToolboxError: No training data in the folder, damaged metadata, or an output that cannot be written.
    """
    folder = Path(settings.folder).absolute()
    domains = _list_parts(folder)
    metadata = read_metadata(folder / domains[0])
    struck_out = yield from _read_struck_out(folder)
    labels = LabelReader(folder, metadata)
    with InspectionFiles(folder, settings, job_id) as files, InspectionStore() as store:
        notes = yield from _list_into(store, folder, domains)
        inspector = ChipInspector(folder, labels, metadata.mode, (folder / INDEX_NAME).is_file())
        figures = BandFigures()
        for share in _read_all(store, inspector, figures):
            yield progress(READ_SHARE * share, f"Reading {store.count()} chips")
        store.finish()
        find_suspicions(store, metadata, domains)
        notes += [*_describe_misfits(metadata), *_describe_unlisted(store), *_describe_absent(store, metadata)]
        with checked_writing(files.footprints.parent):
            yield from _write_footprints(store, metadata, struck_out, files)
            bands = figures.finish(metadata.band_names)
            left_out = sum(store.count("image = ?", (image,)) for image in struck_out)
            found = Inspection(folder, metadata, store, bands, figures.histograms, notes, left_out, files.footprints)
            yield from _write_report(found, ChipPainter(folder, labels, metadata.all_classes, bands), files)
        yield from _tell(found)
        yield progress(1.0)
        # Nothing is told between these two: a cancel comes before the result is in place, or not at all.
        remark = files.publish()
        if remark:
            yield warning(remark)
    outputs = {"OUTPUT": str(files.footprints)}
    yield result({**outputs, "OUTPUT_HTML": str(files.report)} if files.report else outputs)


def _list_parts(folder: Path) -> list[str]:
    """The parts with metadata of their own; those of the first hold for all. Raises ToolboxError when there are none."""
    domains = list_domains(folder)
    if not domains:
        raise ToolboxError(
            f"{folder} holds no training data (map.txt, esri_model_definition.emd and esri_accumulated_stats.json are needed); choose "
            "the output folder of Export training data."
        )
    return domains


def _read_struck_out(folder: Path) -> Generator[Event, None, frozenset[str]]:
    """The chips that an earlier inspection struck out: they stay so."""
    try:
        return read_strikeouts(folder).chips
    except ToolboxError as failure:
        yield warning(f"Chips struck out before cannot be kept: {failure}")
        return frozenset()


def _list_into(store: InspectionStore, folder: Path, domains: list[str]) -> Generator[Event, None, list[str]]:
    """Registers the chips; returns what is to be said of the list. Raises ToolboxError when there is none."""
    unlisted = 0
    told = time.monotonic()
    for files, is_listed in list_chips(folder, store.claim):
        store.set_files(files, is_listed)
        unlisted += not is_listed
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            yield progress(0.0, "Listing the chips")
    total = store.count()
    if not total:
        raise ToolboxError(f"map.txt of {folder} lists no chips, and there are no images; export the training data again.")
    notes = []
    if unlisted:
        notes.append(f"{unlisted:,} chips are in the folder but missing from map.txt; like ArcGIS, training uses them.")
    told_of = [read_metadata(folder / domain).tiles for domain in domains]
    if None not in told_of and sum(told_of) != total:
        notes.append(f"The metadata tell of {sum(told_of):,} chips, the folder has {total:,}.")
    return notes


def _read_all(store: InspectionStore, inspector: ChipInspector, figures: BandFigures) -> Iterator[float]:
    """Reads every chip once, a few at a time; yields the share done, several times a second."""
    total, done = store.count(), 0
    told = time.monotonic()
    waiting: deque[tuple[int, Future[ChipReading]]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for number, files in store.iterate_files():
                waiting.append((number, pool.submit(inspector.inspect, files)))
                if len(waiting) > READERS:
                    done += _take(waiting, store, figures)
                if time.monotonic() - told > PROGRESS_SECONDS:
                    told = time.monotonic()
                    yield done / total
            while waiting:
                done += _take(waiting, store, figures)
        finally:
            pool.shutdown(cancel_futures=True)
    yield 1.0


def _take(waiting: deque[tuple[int, Future[ChipReading]]], store: InspectionStore, figures: BandFigures) -> int:
    """Keeps what was found in the chip that waits longest."""
    number, future = waiting.popleft()
    reading = future.result()
    store.add(number, reading.facts)
    figures.add(reading)
    return 1


def _describe_misfits(metadata: ArcgisMetadata) -> list[str]:
    """Names the classes of objects that cannot be counted."""
    names = {entry.value: entry.name for entry in metadata.classes.classes}
    return [
        f"The value {entry.value} is {names[entry.value]} in the class chips and {entry.name} in the masks of objects, which are not "
        "counted for that reason."
        for entry in metadata.misfits
    ]


def _describe_unlisted(store: InspectionStore) -> list[str]:
    """Names the label values that the class list lacks."""
    totals = store.unlisted_totals()
    if not totals:
        return []
    listed = ", ".join(f"{text} ({amount:,} in {chips:,} chips)" for text, (amount, chips) in list(totals.items())[:MOST_NAMED_VALUES])
    more = f" and {len(totals) - MOST_NAMED_VALUES:,} more" if len(totals) > MOST_NAMED_VALUES else ""
    return [f"The labels hold values that the class list lacks; training ignores them: {listed}{more}."]


def _describe_absent(store: InspectionStore, metadata: ArcgisMetadata) -> list[str]:
    """Names the classes that no chip holds."""
    totals = store.class_totals()
    absent = [entry.name for entry in metadata.all_classes.classes if entry.value not in totals]
    if not absent or metadata.mode in UNLABELLED_FORMATS:
        return []
    more = f" and {len(absent) - MOST_NAMED_VALUES:,} more" if len(absent) > MOST_NAMED_VALUES else ""
    return [f"No chip holds a label of {', '.join(absent[:MOST_NAMED_VALUES])}{more}; a model will never predict it."]


def _write_footprints(
    store: InspectionStore, metadata: ArcgisMetadata, struck_out: frozenset[str], files: InspectionFiles
) -> Iterator[Event]:
    classes = metadata.all_classes
    writer = FootprintWriter(store, classes, metadata.mode, struck_out)
    for written in writer.write(files.new_footprints):
        yield progress(READ_SHARE + (WRITE_SHARE - READ_SHARE) * written / store.count(), "Writing the footprints")
    style = build_footprint_style(classes, sorted(store.class_totals()), class_fields(classes, metadata.mode))
    files.new_style.write_bytes(style)
    unplaced = store.count("corners IS NULL AND width > 0")
    if unplaced:
        yield warning(f"{unplaced:,} chips do not say where they are on the map; their footprints are rows without a polygon.")


def _write_report(found: Inspection, painter: ChipPainter, files: InspectionFiles) -> Iterator[Event]:
    if files.new_report is None:
        return
    for text in render_inspection(found, painter):
        yield progress(WRITE_SHARE, "Writing the report")
        if text:
            files.new_report.write_text(text, encoding="utf-8")


def _tell(found: Inspection) -> Iterator[Event]:
    """Lines for the log: chips, classes, what is suspicious."""
    yield info(describe_folder(found))
    totals = found.store.class_totals()
    for entry in found.metadata.all_classes.classes:
        total = totals.get(entry.value, ClassTotal(0, 0, 0))
        pixels = f"{total.pixels:,} pixels " if found.metadata.mode in PIXEL_FORMATS else ""
        objects = f"{total.objects:,} objects " if total.objects else ""
        yield info(f"  {entry.value}  {entry.name}: {pixels}{objects}in {total.chips:,} chips")
    for note in found.notes:
        yield warning(note)
    for kind, count in count_suspicions(found.store).items():
        yield info(f"Suspicious: {KINDS[kind].title}: {count:,}")
    if found.struck_out:
        yield info(f"{found.struck_out:,} chips stay struck out.")
    yield info(f"To strike out a chip, set its field “use” to false in {found.footprints}; training leaves it out.")
