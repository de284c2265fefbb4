# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``export``: cuts rasters and their labels into chips for training.

Enters: rasters and either labelled features, a class raster, or (for pairs of images) nothing. Steps: check the output folder and
the rasters; per raster, cut the chips (see `exporter`); write ArcGIS's metadata and our index; move everything in. Leaves: a folder
that ArcGIS's learning library and, if it holds Classified Tiles, our own training read. Runs in the worker; imports no PyTorch.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rasterio.env import set_gdal_config
from rasterio.errors import NotGeoreferencedWarning

from ..errors import ToolboxError
from ..imagery.band_statistics import BandStatistics
from ..imagery.statistics import StatisticsAccumulator
from ..labels.schema import ClassSchema
from ..runtime.disk import checked_writing
from ..runtime.output_folder import OutputFolder
from ..runtime.protocol import Event, info, progress, result, warning
from . import names
from .append import CHIP_FOLDERS, check_bands, join_schemas, keep_names, largest_block, overlap, publish_added, read_previous, restore
from .arcgis_metadata import write_metadata
from .chip_writer import ChipWriter
from .exporter import Collected, SourceExporter, SourceParts
from .formats import make_format
from .formats.base import MetadataFormat
from .formats.cyclegan import KINDS
from .index import INDEX_NAME, ChipIndex, SourceRecord
from .inputs import PROGRESS_SECONDS, InputOpener, open_grids, open_other_kind, read_schema
from .settings import LARGEST_TILE, ExportSettings
from .source_grid import SourceGrid
from .strikeouts import INSPECTION
from .tally import Ground, Tally

# What ArcGIS's reader may have left in the folder; it belongs to the chips.
ARCGIS_CACHE = "esri_normalization_stats.json"
KNOWN_NAMES = (*CHIP_FOLDERS, names.MAP, names.EMD, names.STATS_JSON, names.STATS_TXT, ARCGIS_CACHE, INSPECTION)
CACHE_BYTES = 64 * 2**20  # of GDAL; the blocks under the chips are held by ourselves


def export_chips(settings: ExportSettings, job_id: str) -> Iterator[Event]:
    """Exports chips.

    Args:
        settings: The request.
        job_id: Names the partial folder.

    Yields:
        Events; the result's outputs are OUTPUT (path), CHIPS and CLASSES (numbers of the whole folder).

    Raises:
        ToolboxError: Input that cannot be used, no chip to write, or an output folder that is not ours or cannot be written.
    """
    set_gdal_config("GDAL_CACHEMAX", CACHE_BYTES)
    previous = read_previous(settings)
    with (
        warnings.catch_warnings(),
        OutputFolder(Path(settings.output), job_id, KNOWN_NAMES, INDEX_NAME) as output,
        tempfile.TemporaryDirectory() as copies,
    ):
        # Labels are burned in pixels, and block numbers lie nowhere on the map. Here, since threads must not change filters.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # A full disk may show only here, since GDAL can fail silently: before the previous result is replaced, never after.
        with checked_writing(output.path):
            if previous is None and (output.path / INSPECTION).exists():
                yield info("The older export is replaced with what its inspection left: footprints, and which chips are struck out.")
            export = _Export(settings, output, Path(copies), previous)
            index = yield from export.run()
        yield from _report(index, export.collected, settings)
        yield progress(1.0)
        # Nothing is told between these two: a cancel comes before the result is in place, or not at all.
        publish_added(output) if previous else output.publish()
        yield result({"OUTPUT": str(output.path), "CHIPS": len(index.chips), "CLASSES": len(index.classes.classes)})


class _Export:
    """One export on its way: opens the inputs, runs the exporters, writes the metadata.

    Args:
        settings: The request.
        output: Where to write.
        copies: Folder for virtual copies of rasters.
        previous: Index of the export that is added to.

    Attributes:
        collected: What was written; of CycleGAN the first kind.
        other: The second kind of CycleGAN.
    """

    def __init__(self, settings: ExportSettings, output: OutputFolder, copies: Path, previous: ChipIndex | None) -> None:
        self._settings, self._output, self._copies, self._previous = settings, output, copies, previous
        self._sources = list(previous.sources) if previous else []
        self.collected = Collected(StatisticsAccumulator(0), StatisticsAccumulator(0), Ground(()))
        self.other: Collected | None = None

    def run(self) -> Generator[Event, None, ChipIndex]:
        """Writes chips and metadata into the partial folder; returns the index of the whole folder."""
        grids = yield from open_grids(self._settings, self._copies)
        form = yield from self._choose_classes(grids[0])
        for folder in (*form.FOLDERS, *form.class_folders):
            (self._output.partial / folder).mkdir(parents=True, exist_ok=True)
        first, second = yield from self._export_all(grids, form)
        if not self.collected.records or (self.other is not None and not self.other.records):
            raise ToolboxError(explain_nothing(self._settings, self.collected.ground))
        remove_empty_folders(self._output.partial)
        index = self._build_index(first, second, form)
        self._write_metadata(index, form)
        return index

    def _choose_classes(self, grid: SourceGrid) -> Generator[Event, None, MetadataFormat]:
        """The metadata format with its classes, those of an older export included."""
        settings, before = self._settings, self._previous
        schema = yield from read_schema(settings, grid)
        schema, renamed = schema.with_unique_names()
        for text in renamed:
            yield warning(text)
        schema = join_schemas(before.classes if before else None, schema)
        instances = None
        if settings.instances is not None:
            instances = ClassSchema.from_dicts(settings.instance_classes).with_unique_names()[0]
            instances = join_schemas(before.instance_classes if before else None, instances)
        return make_format(settings.metadata_format, schema, instances)

    def _export_all(
        self, grids: list[SourceGrid], form: MetadataFormat
    ) -> Generator[Event, None, tuple[SourceGrid, SourceGrid | None]]:
        """Exports all rasters; returns the grids of the first and the second image."""
        settings = self._settings
        is_pair = settings.metadata_format == names.CYCLEGAN
        total, second = len(grids) + is_pair, None
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(settings.threads or count_processors(), "export")
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            opener = InputOpener(settings, largest_block(self._previous), stack)
            for number, grid in enumerate(grids):
                parts = yield from opener.open(grid, number, self._copies, len(self._sources))
                second = parts.second
                if number == 0:
                    self._begin(parts, form)
                before = len(self.collected.records)
                yield from self._export_one(parts, form, self.collected, pool, (number / total, (number + 1) / total))
                if len(grids) > 1 and len(self.collected.records) == before:
                    yield warning(f"{grid.name} gave no chip: nothing there meets the request.")
            if is_pair:
                parts = open_other_kind(settings, self._copies, grids[0].info, len(self._sources))
                second = parts.grid
                self.other = Collected(StatisticsAccumulator(len(second.bands)), StatisticsAccumulator(0), Ground(()))
                yield from self._export_one(parts, form, self.other, pool, (1 - 1 / total, 1.0))
        return grids[0], second

    def _begin(self, parts: SourceParts, form: MetadataFormat) -> None:
        """Starts counting, from the older export if there is one."""
        statistics = StatisticsAccumulator(len(parts.grid.bands))
        statistics2 = StatisticsAccumulator(len(parts.second.bands) if parts.second else 0)
        self.collected = Collected(statistics, statistics2, Ground(form.schema.values))
        before, folder = self._previous, self._output.path
        if before is not None:
            check_bands(before, parts.grid, parts.second)
            restore(statistics, before.bands, folder, [chip.image for chip in before.chips])
            if parts.second is not None:
                restore(statistics2, before.bands2, folder, [str(chip.image2) for chip in before.chips])
            self.collected.next_number = before.next_number

    def _export_one(
        self, parts: SourceParts, form: MetadataFormat, collected: Collected, pool: ThreadPoolExecutor, span: tuple[float, float]
    ) -> Iterator[Event]:
        """Exports one raster; ``span`` is its part of the progress bar."""
        grid, partial = parts.grid, self._output.partial
        crs_wkt = self._previous.crs_wkt if self._previous else self._sources[0].crs_wkt if self._sources else grid.placed.crs_wkt
        self._sources.append(SourceRecord(grid.name, grid.placed.crs_wkt, grid.placed.cell_size, parts.subfolder.rstrip("/")))
        writer = ChipWriter(partial, grid.placed, grid.bands, self._settings.chip_format)
        second = parts.second
        writer2 = None if second is None else ChipWriter(partial, second.placed, second.bands, self._settings.chip_format)
        told = time.monotonic()
        with SourceExporter(self._settings, parts, form, (writer, writer2), crs_wkt, collected, pool) as exporter:
            for share in exporter.export():
                if time.monotonic() - told > PROGRESS_SECONDS:
                    told = time.monotonic()
                    yield progress(0.98 * (span[0] + share * (span[1] - span[0])), f"{len(collected.records)} chips")
        yield progress(0.98 * span[1], f"{len(collected.records)} chips")

    def _build_index(self, first: SourceGrid, second: SourceGrid | None, form: MetadataFormat) -> ChipIndex:
        """The index of the whole folder, older chips included."""
        settings, before, collected = self._settings, self._previous, self.collected
        fresh = [*collected.records, *(self.other.records if self.other else ())]
        statistics2 = self.other.statistics if self.other else collected.statistics2
        placed = first.placed
        has_labels = settings.labels is not None or settings.label_raster is not None
        index = ChipIndex(
            source=settings.raster,
            label_kind="polygons" if settings.labels is not None else "raster" if has_labels else "none",
            tile_size=(settings.tile_size_x, settings.tile_size_y),
            stride=(settings.stride_x, settings.stride_y),
            bands=tuple(collected.statistics.finish(first.info, first.bands)),
            classes=form.schema,
            crs_wkt=placed.crs_wkt,
            cell_size=placed.cell_size,
            gsd_m=placed.gsd_m,
            chips=tuple(fresh),
            metadata_format=settings.metadata_format,
            chip_format=settings.chip_format,
            reference_system=settings.reference_system,
            crop_mode=settings.crop_mode,
            blacken=settings.blacken,
            dtype=first.info.dtype,
            sources=tuple(self._sources),
            bands2=tuple(statistics2.finish(second.info, second.bands)) if second else (),
            instance_classes=form.instance_schema,
            next_number=collected.next_number,
            sensor=first.info.sensor,
        )
        if before is None:
            return self._forget_unsure_blocks(index)
        kept = {name: getattr(before, name) for name in ("source", "crs_wkt", "cell_size", "gsd_m", "stride")}
        kept["sensor"] = before.sensor or index.sensor
        kept |= {"bands": keep_names(before.bands, index.bands), "bands2": keep_names(before.bands2, index.bands2)}
        return self._forget_unsure_blocks(replace(index, **kept, chips=(*before.chips, *fresh)))

    def _forget_unsure_blocks(self, index: ChipIndex) -> ChipIndex:
        """Without block numbers where one label may have two: training then holds out squares of ground instead of labels.

        That is where an older export, or (of a class raster, whose blocks are numbered anew for each raster) another raster, shows the
        same ground.
        """
        older = len(self._previous.chips) if self._previous else 0
        groups = [list(index.chips[:older]), list(index.chips[older:])]
        if index.label_kind == "raster":
            groups += [[chip for chip in groups[1] if chip.source == number] for number in range(len(index.sources))]
            groups.pop(1)
        if not overlap(groups):
            return index
        return replace(index, chips=tuple(replace(chip, blocks=None) for chip in index.chips))

    def _write_metadata(self, index: ChipIndex, form: MetadataFormat) -> None:
        """ArcGIS's files, for CycleGAN in each kind's folder too, then the index."""
        partial = self._output.partial
        if self.other is not None:
            for kind, bands in zip(KINDS, (index.bands, index.bands2), strict=True):
                write_metadata(partial / kind, _pick_kind(index, kind, bands), form)
        write_metadata(partial, index, form)
        index.write(partial)


def _pick_kind(index: ChipIndex, kind: str, bands: tuple[BandStatistics, ...]) -> ChipIndex:
    """The index of one kind of CycleGAN, with paths from its folder."""
    chips = [replace(chip, image=chip.image.removeprefix(f"{kind}/")) for chip in index.chips if chip.image.startswith(f"{kind}/")]
    sources = tuple(source for source in index.sources if source.folder == kind)
    return replace(index, bands=bands, bands2=(), chips=tuple(chips), sources=sources, next_number=len(chips))


def count_processors() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def remove_empty_folders(folder: Path) -> None:
    """Removes folders below that no chip needed, such as those of classes without chips."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def explain_nothing(settings: ExportSettings, ground: Ground) -> str:
    """Why there is no chip."""
    if sum(ground.lost.values()) and not sum(ground.labelled.values()):
        return (
            "Every labelled pixel is nodata in the raster (in at least one of the used bands); choose other BANDS or label "
            "where the raster has data."
        )
    if sum(ground.labelled.values()) and settings.min_labeled_ratio:
        return f"No chip reaches MIN_LABELED_RATIO {settings.min_labeled_ratio:g}; lower it, or choose a smaller tile size."
    if sum(ground.labelled.values()) and settings.min_overlap_ratio:
        return (
            f"No feature reaches MIN_OVERLAP_RATIO {settings.min_overlap_ratio:g} in any chip; lower it, or choose a larger tile size."
        )
    if settings.mask is not None:
        return "No chip with labels lies completely inside the mask polygons; choose a smaller tile size or stride, or a larger mask."
    if settings.empty_tiles or settings.metadata_format in names.WITHOUT_LABELS:
        return "The raster is nodata everywhere; check the raster and its nodata value."
    return "No label lies on the raster; check both extents and coordinate systems, and that polygons are larger than a pixel."


def _report(index: ChipIndex, collected: Collected, settings: ExportSettings) -> Iterator[Event]:
    """Lines for the log: chips, pixels of each class, and what was lost."""
    size = f"{index.tile_size[0]} × {index.tile_size[1]} pixels" if settings.crop_mode == names.FIXED_SIZE else "varying size"
    fresh = len(collected.records)
    yield info(f"{fresh} chips of {size}." if fresh == len(index.chips) else f"{fresh} chips of {size}; {len(index.chips)} in all.")
    if collected.oversized:
        yield warning(f"{collected.oversized} features are larger than the largest chip, {LARGEST_TILE} pixels, and are left out.")
    if index.label_kind == "none":
        return
    images = Tally(index.classes.values, collected.records).images
    for entry in index.classes.classes:
        labelled, lost = collected.ground.labelled[entry.value], collected.ground.lost[entry.value]
        yield info(f"  {entry.value}  {entry.name}: {labelled:,} labelled pixels in {images[entry.value]} chips")
        if lost and not labelled:
            yield warning(f"All {lost:,} labelled pixels of {entry.name} are nodata in the raster, so it cannot be learned.")
        elif lost:
            yield warning(f"{lost:,} of {lost + labelled:,} labelled pixels of {entry.name} are nodata in the raster.")
        elif not labelled and not images[entry.value]:
            yield warning(f"{entry.name} has no pixel on the raster, so it cannot be learned.")
