# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``export``: cuts a raster and its labels into chips for training.

Enters: a raster and either labelled features or a class raster. Steps: check the output folder and the raster, then, per row of chips,
burn the labels once, drop the chips without labels before any pixel is read, read the image, write the chips, count. Leaves: a folder
that ArcGIS's learning library and our own training read. Runs in the worker. Memory: one row of chips of labels (as wide as
the raster) and one chip of pixels.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.raster import RasterReader
from ..imagery.statistics import StatisticsAccumulator
from ..labels.classified import RasterLabels
from ..labels.schema import LARGEST_VALUE, UNLABELLED, ClassSchema
from ..labels.vector import VectorLabels
from ..runtime.disk import checked_writing
from ..runtime.output_folder import OutputFolder
from ..runtime.protocol import Event, info, progress, result, warning
from .arcgis_folder import EMD, MAP, STATS_JSON
from .arcgis_metadata import STATS_TXT, write_metadata
from .chip_writer import FOLDERS, NAME_DIGITS, ChipWriter
from .grid import chip_starts, own_spans
from .index import INDEX_NAME, ChipIndex, ChipRecord
from .settings import ExportSettings
from .tally import Tally

Labels = VectorLabels | RasterLabels
KNOWN_NAMES = (*FOLDERS, MAP, EMD, STATS_JSON, STATS_TXT)
BLOCK_CHIPS = 2  # side of a block of a label raster, in chips
PROGRESS_SECONDS = 0.3


@dataclass
class Exporter:
    """The parts of one export.

    Attributes:
        settings: What is asked.
        reader: The image.
        labels: The labels on its grid.
        schema: The classes.
        writer: Writes the chips.
        tally: Counts them.
        statistics: Of the bands, over valid pixels of the chips.
        records: The chips written so far.
    """

    settings: ExportSettings
    reader: RasterReader
    labels: Labels
    schema: ClassSchema
    writer: ChipWriter
    tally: Tally
    statistics: StatisticsAccumulator
    records: list[ChipRecord]

    def export_rows(self) -> Iterator[float]:
        """Writes all chips; yields the share done, several times a second."""
        settings, raster = self.settings, self.reader.info
        columns = chip_starts(raster.width, settings.tile_size_x, settings.stride_x)
        rows = chip_starts(raster.height, settings.tile_size_y, settings.stride_y)
        widths, heights = own_spans(columns, raster.width), own_spans(rows, raster.height)
        across = columns[-1] + settings.tile_size_x
        told = time.monotonic()
        for place, (top, height) in enumerate(zip(rows, heights, strict=True)):
            label, blocks = self.labels.burn(Window(0, top, across, settings.tile_size_y))
            self._check_known(label)
            for number, (left, width) in enumerate(zip(columns, widths, strict=True)):
                part = slice(left, left + settings.tile_size_x)
                if settings.empty_tiles or label[:, part].any():
                    window = Window(left, top, settings.tile_size_x, settings.tile_size_y)
                    self._export_chip(window, label[:, part], blocks[:, part], (height, width))
                if time.monotonic() - told > PROGRESS_SECONDS:
                    told = time.monotonic()
                    yield (place + number / len(columns)) / len(rows)
        yield 1.0

    def _check_known(self, label: NDArray[np.uint16]) -> None:
        """Raises ToolboxError naming the first class value that the class list lacks."""
        is_known = np.zeros(LARGEST_VALUE + 2, bool)
        is_known[[UNLABELLED, *self.schema.values]] = True
        if not is_known[label].all():
            value = int(label[~is_known[label]].min())
            raise ToolboxError(
                f"The labels hold the class value {value}, but the class list only {', '.join(map(str, self.schema.values))}; "
                "add it to the classes of the request."
            )

    def _export_chip(self, window: Window, label: NDArray, blocks: NDArray, own: tuple[int, int]) -> None:
        """Writes one chip if enough of it is labelled on valid pixels; ``own`` is the part that is counted as ground."""
        image, valid = self.reader.read_raw(window)
        self.tally.add_ground(label[: own[0], : own[1]], valid[: own[0], : own[1]])
        kept = np.where(valid, label, 0).astype(np.uint16)
        labelled = np.count_nonzero(kept)
        wanted = labelled > 0 or (self.settings.empty_tiles and valid.any())
        if not wanted or labelled < self.settings.min_labeled_ratio * kept.size:
            return
        name = f"{len(self.records):0{NAME_DIGITS}d}"
        block_numbers = np.where(kept > 0, blocks, 0)
        paths = self.writer.write(name, window, image, valid, kept, block_numbers)
        self.statistics.add(self.reader.to_physical(image, valid), valid)
        raster = self.reader.info
        west, north = raster.transform * (window.col_off, window.row_off)
        east, south = raster.transform * (window.col_off + window.width, window.row_off + window.height)
        self.records.append(
            ChipRecord(
                name=name,
                image=paths[0],
                label=paths[1],
                blocks=paths[2],
                window=(int(window.col_off), int(window.row_off), int(window.width), int(window.height)),
                bounds=(min(west, east), min(north, south), max(west, east), max(north, south)),
                class_pixels=self.tally.add_chip(kept, block_numbers),
                valid_pixels=int(valid.sum()),
            )
        )

    def build_index(self) -> ChipIndex:
        """The index of the chips written; raises ToolboxError when there is none, with the reason."""
        raster, settings = self.reader.info, self.settings
        if not self.records:
            raise ToolboxError(self._explain_nothing())
        return ChipIndex(
            source=settings.raster,
            label_kind=self.labels.kind,
            tile_size=(settings.tile_size_x, settings.tile_size_y),
            stride=(settings.stride_x, settings.stride_y),
            bands=tuple(self.statistics.finish(raster, self.reader.bands)),
            classes=self.schema,
            crs_wkt=raster.crs_wkt,
            cell_size=raster.cell_size,
            gsd_m=raster.gsd_m,
            chips=tuple(self.records),
        )

    def _explain_nothing(self) -> str:
        if sum(self.tally.lost.values()) and not sum(self.tally.labelled.values()):
            return (
                "Every labelled pixel is nodata in the raster (in at least one of the used bands); choose other BANDS or label "
                "where the raster has data."
            )
        if sum(self.tally.labelled.values()):
            return f"No chip reaches MIN_LABELED_RATIO {self.settings.min_labeled_ratio:g}; lower it, or choose a smaller tile size."
        if self.settings.empty_tiles:
            return "The raster is nodata everywhere; check the raster and its nodata value."
        return "No label lies on the raster; check both extents and coordinate systems, and that polygons are larger than a pixel."


def open_labels(settings: ExportSettings, reader: RasterReader) -> Labels:
    """The labels on the grid of the image."""
    if settings.labels is not None:
        return VectorLabels(Path(settings.labels), reader.info.transform)
    side = BLOCK_CHIPS * max(settings.tile_size_x, settings.tile_size_y)
    return RasterLabels(str(settings.label_raster), reader.info, side)


def read_schema(settings: ExportSettings, labels: Labels) -> Generator[Event, None, ClassSchema]:
    """The classes of the request, else those of the whole class raster; yields while reading, so that it can be cancelled."""
    if settings.classes or isinstance(labels, VectorLabels):
        return ClassSchema.from_dicts(settings.classes)
    values: set[int] = set()
    told = time.monotonic()
    for found in labels.find_values():
        values |= found
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            yield progress(0.0, "reading the classes of the label raster")
    return labels.build_schema(values)


def export_chips(settings: ExportSettings, job_id: str) -> Iterator[Event]:
    """Exports chips.

    Args:
        settings: The request.
        job_id: Names the partial folder.

    Yields:
        Events; the result's outputs are OUTPUT (path), CHIPS and CLASSES (numbers).

    Raises:
        ToolboxError: Input that cannot be used, no chip to write, or an output folder that is not ours or cannot be written.
    """
    with (
        RasterReader(settings.raster, settings.bands) as reader,
        OutputFolder(Path(settings.output), job_id, KNOWN_NAMES, INDEX_NAME) as output,
    ):
        labels = open_labels(settings, reader)
        # A full disk may show only here, since GDAL can fail silently: before the previous result is replaced, never after.
        with checked_writing(output.path), labels if isinstance(labels, RasterLabels) else nullcontext():
            schema = yield from read_schema(settings, labels)
            raster = reader.info
            yield info(f"Raster: {raster.width} × {raster.height} pixels, {len(reader.bands)} bands, {raster.dtype}.")
            exporter = Exporter(
                settings,
                reader,
                labels,
                schema,
                ChipWriter(output.partial, raster, reader.bands, schema.label_dtype),
                Tally(schema.values, raster.cell_size[0] * raster.cell_size[1]),
                StatisticsAccumulator(len(reader.bands)),
                [],
            )
            for share in exporter.export_rows():
                yield progress(0.98 * share, f"{len(exporter.records)} chips")
            index = exporter.build_index()
            write_metadata(output.partial, index, exporter.tally)
            index.write(output.partial)
        yield from _report(index, exporter.tally)
        yield progress(1.0)
        # Nothing is told between these two: a cancel comes before the result is in place, or not at all.
        output.publish()
        yield result({"OUTPUT": str(output.path), "CHIPS": len(index.chips), "CLASSES": len(index.classes.classes)})


def _report(index: ChipIndex, tally: Tally) -> Iterator[Event]:
    """Lines for the log: chips, pixels of each class, and what was lost."""
    yield info(f"{len(index.chips)} chips of {index.tile_size[0]} × {index.tile_size[1]} pixels.")
    for entry in index.classes.classes:
        labelled, lost = tally.labelled[entry.value], tally.lost[entry.value]
        yield info(f"  {entry.value}  {entry.name}: {labelled:,} labelled pixels in {tally.images[entry.value]} chips")
        if lost and not labelled:
            yield warning(f"All {lost:,} labelled pixels of {entry.name} are nodata in the raster, so it cannot be learned.")
        elif lost:
            yield warning(f"{lost:,} of {lost + labelled:,} labelled pixels of {entry.name} are nodata in the raster.")
        elif not labelled:
            yield warning(f"{entry.name} has no pixel on the raster, so it cannot be learned.")
