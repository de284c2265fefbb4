# SPDX-License-Identifier: GPL-2.0-or-later
"""Cuts the chips of one raster: plans, reads, prepares and writes, all but the planning in threads.

Group by group of places (a row of chips): drop the places without labels by the features' bounding boxes and the mask; burn the
labels; drop the places that hold none; have the pixels of the others read; prepare each; name the wanted ones, in order; write them.
Every block of the raster is read once per panel, every label block burned once. Results do not depend on the number of threads.
Memory: the blocks under one group of a panel, and some chips on their way to the disk.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.per_thread import PerThread
from ..imagery.raster import RasterReader
from ..imagery.statistics import StatisticsAccumulator, WindowSummary
from ..labels.classified import RasterLabels
from ..labels.schema import LARGEST_VALUE, UNLABELLED, ClassSchema
from ..labels.vector import VectorLabels
from . import names
from .chip import Chip
from .chip_writer import NAME_DIGITS, ChipWriter
from .formats.base import MetadataFormat
from .index import ChipRecord
from .placement import Footprint, MaskPolygons, Place, count_chips, count_groups, feature_places, grid_places
from .preparation import ChipMaker, CutArrays, Prepared
from .settings import ExportSettings
from .source_grid import SourceGrid
from .tally import Ground, count_values
from .window_cache import Arrays, Claim, WindowCache

PANEL_BYTES = 160 * 2**20  # of pixels and labels under one group of places
IN_FLIGHT_BYTES = 128 * 2**20  # of chips on their way to the disk
LABEL_BLOCK = (1024, 512)
MOST_PLACES = 200_000_000  # a raster of 2,000,000 pixels a side has 61 million of 256 pixels without overlap
SMALLEST_BLOCK = 256  # pixels; smaller blocks of a file are read several at once
ROWS_OF_STRIPED_FILES = 64
LABEL_BYTES = 6

Labels = VectorLabels | PerThread[RasterLabels]


@dataclass
class Collected:
    """What an export has written so far.

    Attributes:
        statistics: Of the images' bands, over valid pixels.
        statistics2: Of the second images' bands.
        ground: Labelled pixels of the rasters.
        records: The chips.
        next_number: Number of the next chip.
        oversized: Features that are too large for a chip of their own.
        places: Places tried so far; numbers the windows of the statistics.
    """

    statistics: StatisticsAccumulator
    statistics2: StatisticsAccumulator
    ground: Ground
    records: list[ChipRecord] = field(default_factory=list)
    next_number: int = 0
    oversized: int = 0
    places: int = 0


@dataclass(frozen=True)
class SourceParts:
    """One raster with all that lies on its grid.

    Attributes:
        number: Of the raster.
        grid: The raster.
        second: The second raster on this grid.
        labels: Features, or a class raster that each thread opens; None without labels.
        instances: The instance features.
        mask: Chips must lie inside it.
        subfolder: Where the images' folder lies, with a slash; empty at the top.
    """

    number: int
    grid: SourceGrid
    second: SourceGrid | None
    labels: Labels | None
    instances: VectorLabels | None
    mask: MaskPolygons | None
    subfolder: str = ""


class SourceExporter:
    """Exports the chips of one raster. A context manager.

    Args:
        settings: The request.
        parts: The raster.
        form: The metadata format.
        writers: For the image and the second image.
        folder_crs: CRS of the folder, in which bounds are told.
        collected: Is added to.
        pool: Runs the reading, preparing and writing.
    """

    def __init__(
        self,
        settings: ExportSettings,
        parts: SourceParts,
        form: MetadataFormat,
        writers: tuple[ChipWriter, ChipWriter | None],
        folder_crs: str | None,
        collected: Collected,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._settings, self._parts, self._form, self._writers = settings, parts, form, writers
        self._folder_crs, self._collected, self._pool = folder_crs, collected, pool
        self._stack = ExitStack()
        grid = parts.grid
        cell_area = grid.placed.cell_size[0] * grid.placed.cell_size[1]
        vector = parts.labels if isinstance(parts.labels, VectorLabels) else None
        self._maker = ChipMaker(settings, form, vector, parts.labels is not None, cell_area)
        self._vector = vector
        self._images = self._cache_images(grid)
        self._images2 = None if parts.second is None else self._cache_images(parts.second)
        self._labels = None if parts.labels is None else self._cache_labels(parts.labels, form.schema)
        instance_schema = form.instance_schema
        has_instances = parts.instances is not None and instance_schema is not None
        self._instances = self._cache_labels(parts.instances, instance_schema) if has_instances else None
        self._fill = _image_fill(grid)
        self._fill2 = None if parts.second is None else _image_fill(parts.second)
        self._label_fill: Arrays = (np.zeros((1, 1), np.uint16), np.zeros((1, 1), np.uint32))

    def __enter__(self) -> SourceExporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _cache_images(self, grid: SourceGrid) -> WindowCache:
        readers: PerThread[RasterReader] = self._stack.enter_context(PerThread(grid.open))
        block = _block_size(grid)
        return WindowCache(lambda window: grid.read(readers.get(), window), (grid.info.width, grid.info.height), block, self._pool)

    def _cache_labels(self, labels: Labels, schema: ClassSchema) -> WindowCache:
        is_known = np.zeros(LARGEST_VALUE + 2, bool)
        is_known[[UNLABELLED, *schema.values]] = True

        def load(window: Window) -> Arrays:
            label, blocks = (labels.get() if isinstance(labels, PerThread) else labels).burn(window)
            if not is_known[label].all():
                raise ToolboxError(_describe_unknown(int(label[~is_known[label]].min()), schema))
            return label, blocks

        return WindowCache(load, (self._parts.grid.info.width, self._parts.grid.info.height), LABEL_BLOCK, self._pool)

    def export(self) -> Iterator[float]:
        """Writes all chips; yields the share of the places done, often.

        Raises:
            ToolboxError: A class value that the class list lacks, or a damaged file.
        """
        groups, total = self._plan()
        limit = self._in_flight_limit()
        preparing: deque[Future[Prepared]] = deque()
        writing: deque[Future[ChipRecord]] = deque()
        for number, (places, claims, next_top) in enumerate(self._choose_ahead(groups)):
            for place, future in enumerate(self._submit(places, claims)):
                preparing.append(future)
                if len(preparing) > limit:
                    self._collect(preparing.popleft(), writing, limit)
                yield (number + place / len(places)) / total
            self._forget(places, next_top)
            yield (number + 1) / total
        while preparing:
            self._collect(preparing.popleft(), writing, limit)
            yield 1.0
        while writing:
            self._collected.records.append(writing.popleft().result())
            yield 1.0

    def _plan(self) -> tuple[Iterable[list[Place]], int]:
        """The groups of places, and their number."""
        settings, window = self._settings, self._parts.grid.window
        panel = self._panel_width()
        if self._vector is not None and settings.metadata_format in names.PER_FEATURE:
            grid = self._parts.grid.info
            groups, oversized = feature_places(settings, self._vector, grid.width, grid.height, panel)
            self._collected.oversized += oversized
            return groups, max(len(groups), 1)
        columns, rows = count_chips(settings, window)
        if columns * rows * len(settings.angles) > MOST_PLACES:
            raise ToolboxError(
                f"{self._parts.grid.name} has {columns:,} × {rows:,} places for chips, each turned {len(settings.angles)} times, more "
                f"than {MOST_PLACES:,} in all; choose a larger STRIDE, TILE_SIZE or CELL_SIZE, or an EXTENT."
            )
        return grid_places(settings, window, panel, self._may_be_wanted), count_groups(settings, window, panel)

    def _may_be_wanted(self, footprint: Footprint) -> bool:
        """Whether a label may lie in a rectangle, found without reading any pixel."""
        if self._vector is None or self._settings.empty_tiles:
            return True
        layers = [layer for layer in (self._vector, self._parts.instances) if layer is not None]
        return any(layer.touch(np.array([footprint])).any() for layer in layers)

    def _panel_width(self) -> int:
        """Columns of a panel: what fits into the memory, or all where the file's own blocks are that wide."""
        grids = [grid for grid in (self._parts.grid, self._parts.second) if grid is not None]
        info = self._parts.grid.info
        rows = self._settings.tile_size_y + 2 * max(_block_size(grid)[1] for grid in grids)
        pixel = sum(len(grid.bands) * np.dtype(grid.info.dtype).itemsize + 1 for grid in grids) + LABEL_BYTES
        if any(grid.info.block_shape[1] >= info.width for grid in grids):
            return info.width + self._settings.tile_size_x + self._settings.stride_x
        return max(PANEL_BYTES // (rows * pixel), self._settings.tile_size_x)

    def _in_flight_limit(self) -> int:
        """Chips that may be on their way at once."""
        grid, threads = self._parts.grid, self._pool._max_workers
        pixels = self._settings.tile_size_x * self._settings.tile_size_y
        chip = pixels * (2 * len(grid.bands) * np.dtype(grid.info.dtype).itemsize + 16)
        return min(max(IN_FLIGHT_BYTES // chip, threads), 8 * threads)

    def _choose_ahead(self, groups: Iterable[list[Place]]) -> Iterator[tuple[list[Place], list[Claim | None], int]]:
        """Of each group the places that may be wanted, the claims of their labels, and the first row of the next group.

        Works one group ahead, so that its labels are burned while the chips of this one are written.
        """
        ready: tuple[list[Place], list[Claim | None]] | None = None
        for group in groups:
            chosen = self._choose(group)
            claims = [self._claim_labels(place) for place in chosen]
            if ready is not None:
                yield *ready, min((place.footprint[1] for place in group), default=0)
            ready = chosen, claims
        if ready is not None:
            yield *ready, 0

    def _choose(self, group: list[Place]) -> list[Place]:
        """The places that may hold labels and lie inside the mask, found without reading any pixel."""
        if group and self._vector is not None and not self._settings.empty_tiles:
            touched = self._vector.touch(np.array([place.footprint for place in group]))
            if self._parts.instances is not None:
                touched |= self._parts.instances.touch(np.array([place.footprint for place in group]))
            group = [place for place, is_touched in zip(group, touched.tolist(), strict=True) if is_touched]
        if group and self._parts.mask is not None:
            group = [place for place, inside in zip(group, self._parts.mask.holds(group).tolist(), strict=True) if inside]
        return group

    def _claim_labels(self, place: Place) -> Claim | None:
        """The labels of a place; None without labels and where they are burned for the chip alone."""
        return None if self._labels is None or place.feature is not None else self._labels.claim(place.window)

    def _submit(self, places: list[Place], claims: list[Claim | None]) -> Iterator[Future[Prepared]]:
        """Has the chips of a group prepared whose labels are wanted."""
        wanted = []
        for place, claim in zip(places, claims, strict=True):
            labels = claim and claim.cut(self._label_fill)
            instances = self._instances and self._instances.claim(place.window).cut(self._label_fill)
            if self._may_hold(labels, instances):
                wanted.append((place, labels, instances))
        # All blocks first: a preparation that waits for its blocks must find them under way.
        images = [self._images.claim(place.window) for place, _, _ in wanted]
        images2 = [self._images2 and self._images2.claim(place.window) for place, _, _ in wanted]
        for (place, labels, instances), image, image2 in zip(wanted, images, images2, strict=True):
            self._collected.places += 1
            yield self._pool.submit(self._prepare, place, image, image2, labels, instances, self._collected.places)

    def _may_hold(self, labels: Arrays | None, instances: Arrays | None) -> bool:
        if labels is None or self._settings.empty_tiles or (self._form.USES_OBJECTS and self._vector is not None):
            return True
        return bool(labels[0].any()) or (instances is not None and bool(instances[0].any()))

    def _prepare(
        self, place: Place, image: Claim, image2: Claim | None, labels: Arrays | None, instances: Arrays | None, number: int
    ) -> Prepared:
        cut = CutArrays(image.cut(self._fill), image2 and image2.cut(self._fill2), labels, instances)
        limits = self._collected.statistics.key_limit, self._collected.statistics2.key_limit
        return self._maker.prepare(place, cut, number, limits)

    def _collect(self, future: Future[Prepared], writing: deque[Future[ChipRecord]], limit: int) -> None:
        """Counts a prepared chip and has it written under the next name."""
        prepared, collected = future.result(), self._collected
        collected.ground.add(prepared.ground)
        if prepared.chip is None:
            return
        collected.statistics.merge(_physical(prepared.summary, self._parts.grid))
        if self._parts.second is not None:
            collected.statistics2.merge(_physical(prepared.summary2, self._parts.second))
        writing.append(self._pool.submit(self._write, prepared.chip, f"{collected.next_number:0{NAME_DIGITS}d}"))
        collected.next_number += 1
        if len(writing) > limit:
            collected.records.append(writing.popleft().result())

    def _write(self, chip: Chip, name: str) -> ChipRecord:
        """Writes the files of a chip."""
        writer, writer2 = self._writers
        place, under = chip.place, self._parts.subfolder
        image = writer.image_path(under + self._form.image_folder(chip), name)
        mask = writer.write_image(image, place.to_grid, chip.image)
        image2 = None
        if chip.image2 is not None and writer2 is not None:
            image2 = writer2.image_path(f"{under}images2", name)
            writer2.write_image(image2, place.to_grid, chip.image2)
        files = self._form.write(chip, name, place.to_grid, image, writer)
        return ChipRecord(
            name=name,
            image=image,
            label=files.label,
            blocks=files.blocks,
            window=(place.left, place.top, place.width, place.height),
            bounds=self._bounds(place),
            class_pixels=count_values(chip.label),
            valid_pixels=int(np.count_nonzero(chip.image.valid)),
            source=self._parts.number,
            angle=place.angle,
            features=tuple(self._form.list_features(chip, self._maker.cell_area)),
            image2=image2,
            mask=mask,
            labels=files.labels,
        )

    def _bounds(self, place: Place) -> tuple[float, float, float, float]:
        """The chip's bounds in the folder's CRS."""
        placed = self._parts.grid.placed
        xs, ys = zip(*(placed.transform * corner for corner in place.corners), strict=True)
        bounds = min(xs), min(ys), max(xs), max(ys)
        if self._folder_crs is None or placed.crs_wkt is None or placed.crs_wkt == self._folder_crs:
            return bounds
        return transform_bounds(CRS.from_wkt(placed.crs_wkt), CRS.from_wkt(self._folder_crs), *bounds)

    def _forget(self, places: list[Place], next_top: int) -> None:
        """Gives up the blocks that no later place needs."""
        caches = [cache for cache in (self._images, self._images2, self._labels, self._instances) if cache is not None]
        starts_over = bool(places) and next_top < min(place.footprint[1] for place in places)
        for cache in caches:
            if starts_over:  # the next panel
                cache.clear()
            else:
                cache.drop_above(next_top)


def _block_size(grid: SourceGrid) -> tuple[int, int]:
    """(columns, rows) of what is read at once: whole blocks of the file, of a handy size."""
    rows, columns = grid.info.block_shape
    if columns >= grid.info.width:
        return grid.info.width, rows * math.ceil(ROWS_OF_STRIPED_FILES / rows)
    return columns * math.ceil(SMALLEST_BLOCK / columns), rows * math.ceil(SMALLEST_BLOCK / rows)


def _image_fill(grid: SourceGrid) -> Arrays:
    """Beyond the raster: zeros, invalid."""
    return np.zeros((len(grid.bands), 1, 1), grid.info.dtype), np.zeros((1, 1), bool)


def _physical(summary: WindowSummary | None, grid: SourceGrid) -> WindowSummary | None:
    """Figures after scale and offset."""
    scale, offset = (np.array([values[band - 1] for band in grid.bands]) for values in (grid.info.scales, grid.info.offsets))
    if summary is None or ((scale == 1).all() and (offset == 0).all()):
        return summary
    return summary.rescaled(scale, offset)


def _describe_unknown(value: int, schema: ClassSchema) -> str:
    return (
        f"The labels hold the class value {value}, but the class list only {', '.join(map(str, schema.values))}; "
        "add it to the classes of the request."
    )
