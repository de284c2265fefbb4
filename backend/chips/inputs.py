# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens what an export reads: the rasters on their grids, and the labels, instances and mask on each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rasterio.crs import CRS

from ..errors import ToolboxError
from ..imagery.per_thread import PerThread
from ..imagery.raster import RasterInfo, describe
from ..labels.classified import RasterLabels
from ..labels.schema import ClassSchema
from ..labels.vector import SHOWN_FEATURES, VectorLabels
from ..runtime.protocol import Event, info, progress, warning
from . import names
from .exporter import Labels, SourceParts
from .formats.cyclegan import KINDS
from .placement import MaskPolygons
from .settings import ExportSettings
from .source_grid import SourceGrid, move_extent, open_grid, open_second

PROGRESS_SECONDS = 0.3
UNNAMED = "Band "  # begins the name of a band that has none of its own
SAME_SCALING = 1e-9  # relative; a file may hold a rounded number
BLOCK_CHIPS = 2  # side of a block of a label raster, in chips


def open_grids(settings: ExportSettings, folder: Path) -> Generator[Event, None, list[SourceGrid]]:
    """The grids of all rasters that meet the extent.

    Args:
        settings: The request.
        folder: For virtual copies.

    Raises:
        ToolboxError: A raster that cannot be used, alone or with the first, or none that meets the extent.
    """
    first = open_grid(settings.raster, settings, folder, 0, settings.extent)
    yield info(f"Raster: {first.info.width} × {first.info.height} pixels, {len(first.bands)} bands, {first.info.dtype}.")
    grids = [first]
    for number, source in enumerate(settings.more_rasters, start=1):
        whole = open_grid(source, settings, folder, number, None)
        extent = move_extent(settings.extent, first.info, whole.info)
        if extent is not None:
            try:
                whole = open_grid(source, settings, folder, number, extent)
            except ToolboxError as outside:
                if "EXTENT" not in str(outside):
                    raise
                yield warning(f"{source} lies outside EXTENT and is left out.")
                continue
        difference = find_difference(describe_bands(first), describe_bands(whole)) or find_crs_difference(
            first.placed.crs_wkt, whole.placed.crs_wkt
        )
        if not difference and settings.cell_size > 0 and _unit(first) != _unit(whole):
            difference = f"CELL_SIZE counts {_unit(first)} there and {_unit(whole)} here, so reproject one of them"
        if difference:
            raise ToolboxError(f"{source} cannot be cut into the same folder as {settings.raster}: {difference}.")
        yield info(f"Raster {number + 1}: {whole.info.width} × {whole.info.height} pixels, {source}.")
        grids.append(whole)
    if fault := names.picture_fault(settings.chip_format, len(first.bands), [first.info.dtype]):
        raise ToolboxError(fault)
    return grids


@dataclass(frozen=True)
class UsedBands:
    """The bands that are cut from a raster.

    Attributes:
        dtype: Type of the stored values.
        names: Names.
        scaling: (scale, offset) of each, by which stored values become physical ones.
    """

    dtype: str
    names: list[str]
    scaling: list[tuple[float, float]]


def describe_bands(grid: SourceGrid) -> UsedBands:
    """The bands of a raster that are used."""
    places = [band - 1 for band in grid.bands]
    scaling = [(grid.info.scales[place], grid.info.offsets[place]) for place in places]
    return UsedBands(grid.info.dtype, [grid.info.band_names[place] for place in places], scaling)


def find_difference(one: UsedBands, other: UsedBands) -> str:
    """What the bands of two rasters differ in, as a part of a sentence; empty when nothing matters.

    A band without a name of its own, which is called Band 1, Band 2 …, fits any.
    """
    if len(one.names) != len(other.names):
        return f"it has {len(other.names)} bands instead of {len(one.names)} ({', '.join(other.names)}; {', '.join(one.names)})"
    if one.dtype != other.dtype:
        return f"its values are {other.dtype} instead of {one.dtype}"
    for place, (name, wanted) in enumerate(zip(other.names, one.names, strict=True), start=1):
        if name != wanted and not name.startswith(UNNAMED) and not wanted.startswith(UNNAMED):
            return f"its band {place} is “{name}” instead of “{wanted}”"
    for place, (found, wanted) in enumerate(zip(other.scaling, one.scaling, strict=True), start=1):
        if not all(math.isclose(a, b, rel_tol=SAME_SCALING) for a, b in zip(found, wanted, strict=True)):
            return f"its band {place} has scale and offset {found[0]:g}, {found[1]:g} instead of {wanted[0]:g}, {wanted[1]:g}"
    return ""


def find_crs_difference(one: str | None, other: str | None) -> str:
    """Why chips with these CRS (WKT) cannot lie in one folder, as a part of a sentence: one has none; empty otherwise."""
    if (one is None) == (other is None):
        return ""
    found, wanted = ("no", "one") if other is None else ("a", "none")
    return f"it has {found} coordinate system and the other has {wanted}; assign it (Raster > Projections > Assign Projection)"


def _unit(grid: SourceGrid) -> str:
    """Unit of a raster's coordinates, such as metre or degree; empty without CRS."""
    return CRS.from_wkt(grid.info.crs_wkt).units_factor[0] if grid.info.crs_wkt else ""


class InputOpener:
    """Opens the labels of each raster. Their files are closed with the stack.

    Args:
        settings: The request.
        first_block: Added to the block numbers.
        stack: Closes what was opened.
    """

    def __init__(self, settings: ExportSettings, first_block: int, stack: ExitStack) -> None:
        self._settings = settings
        self._next_block = first_block
        self._stack = stack

    def open(self, grid: SourceGrid, number: int, folder: Path, source: int) -> Generator[Event, None, SourceParts]:
        """All that lies on one grid.

        Args:
            grid: The raster.
            number: Of its layers in the GeoPackage, and of the raster in the request.
            folder: For virtual copies.
            source: Number of the raster in the index.
        """
        settings = self._settings
        second = None
        if settings.raster2 is not None and settings.metadata_format != names.CYCLEGAN:
            second = open_second(settings.raster2, grid, folder, number)
            if fault := names.picture_fault(settings.chip_format, len(second.bands), [second.info.dtype]):
                raise ToolboxError(f"INPUT2: {fault}")
        labels = yield from self._open_labels(grid, number)
        instances = mask = None
        if settings.instances is not None:
            layer = names.layer_name(names.INSTANCES_LAYER, number)
            instances = VectorLabels(Path(settings.instances), grid.info.transform, layer, may_be_empty=True)
            yield from _warn_unusable(instances, "instances")
        if settings.mask is not None:
            layer = names.layer_name(names.MASK_LAYER, number)
            polygons = VectorLabels(Path(settings.mask), grid.info.transform, layer, may_be_empty=True)
            yield from _warn_unusable(polygons, "mask polygons")
            mask = MaskPolygons(polygons)
        return SourceParts(source, grid, second, labels, instances, mask, "A/" if settings.metadata_format == names.CYCLEGAN else "")

    def _open_labels(self, grid: SourceGrid, number: int) -> Generator[Event, None, Labels | None]:
        settings = self._settings
        if settings.labels is not None:
            many = bool(settings.more_rasters)
            layer = names.layer_name(names.LABELS_LAYER, number)
            # A feature has one number in all rasters, so the first block is the same for all.
            labels = VectorLabels(Path(settings.labels), grid.info.transform, layer, many, self._next_block)
            yield from _warn_unusable(labels, "labels")
            return labels
        if settings.label_raster is None:
            return None
        first = self._next_block
        self._next_block += _block_count(grid.info, _block_side(settings))
        return self._stack.enter_context(PerThread(self._label_opener(grid.info, first)))

    def _label_opener(self, raster: RasterInfo, first_block: int) -> Callable[[], RasterLabels]:
        return lambda: RasterLabels(str(self._settings.label_raster), raster, _block_side(self._settings), first_block)


def open_other_kind(settings: ExportSettings, folder: Path, first: RasterInfo, source: int) -> SourceParts:
    """The second raster of CycleGAN, which is cut on its own grid; the extent is in the coordinates of the first."""
    own = replace(settings, bands=[])
    extent = move_extent(settings.extent, first, describe(str(settings.raster2), allow_rotation=True))
    grid = open_grid(str(settings.raster2), own, folder, source, extent)
    if fault := names.picture_fault(settings.chip_format, len(grid.bands), [grid.info.dtype]):
        raise ToolboxError(f"INPUT2: {fault}")
    return SourceParts(source, grid, None, None, None, None, f"{KINDS[1]}/")


def read_schema(settings: ExportSettings, grid: SourceGrid) -> Generator[Event, None, ClassSchema]:
    """The classes of the request, else those of the whole class raster; yields while reading, so that it can be cancelled."""
    if settings.classes or settings.label_raster is None:
        return ClassSchema.from_dicts(settings.classes)
    values: set[int] = set()
    told = time.monotonic()
    with RasterLabels(settings.label_raster, grid.info, _block_side(settings)) as labels:
        for found in labels.find_values():
            values |= found
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                yield progress(0.0, "reading the classes of the label raster")
        return labels.build_schema(values, settings.legend)


def _block_side(settings: ExportSettings) -> int:
    return BLOCK_CHIPS * max(settings.tile_size_x, settings.tile_size_y)


def _block_count(raster: RasterInfo, side: int) -> int:
    """Squares of a label raster's blocks that a raster has."""
    return -(-raster.width // side) * -(-raster.height // side)


def _warn_unusable(labels: VectorLabels, what: str) -> Iterator[Event]:
    """Tells of features that hold nothing to burn."""
    if labels.unusable:
        listed = ", ".join(map(str, labels.unusable[:SHOWN_FEATURES]))
        more = f" and {len(labels.unusable) - SHOWN_FEATURES} more" if len(labels.unusable) > SHOWN_FEATURES else ""
        yield warning(
            f"The {what} {listed}{more} (in the order of their ids) have a geometry that is empty or beyond repair; left out."
        )
