# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``segment``: an image in, polygons around alike pixels out. Runs in the worker; imports no PyTorch.

Steps: learn from a sample what distinguishes pixels, cluster tile by tile in threads, trace the outlines strip by strip, write them in
batches. Memory: the tiles under way, one strip of segment numbers, one batch of polygons; it does not depend on the image's height.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from ...errors import ToolboxError
from ...imagery.extent import choose_window
from ...imagery.overwriting import refuse_overwriting
from ...imagery.per_thread import PerThread
from ...imagery.raster import RasterInfo, RasterReader
from ...runtime.output_files import OutputFiles
from ...runtime.protocol import Event, info, progress, result
from ..vector import move
from ..vector_file import LayerWriter, outline_style
from .grid import CellGrid, Tile
from .likeness import Likeness, learn_likeness
from .outlines import OutlineTracer
from .settings import SegmentSettings
from .slic import cluster

BATCH = 20_000  # polygons
MOST_SEGMENTS = 20_000_000
MOST_THREADS = 8


def segment_image(settings: SegmentSettings, job_id: str) -> Iterator[Event]:
    """Segments an image.

    Yields:
        Events; the result's outputs are OUTPUT (path) and SEGMENTS (their number).

    Raises:
        ToolboxError: The image cannot be read or has no valid pixel, or the output cannot be written.
    """
    with RasterReader(settings.raster, settings.bands) as reader:
        image = reader.info
        refuse_overwriting(settings.output, [settings.raster, *reader.files])
        window = choose_window(image, settings.extent)
        likeness = learn_likeness(reader, window)
        bands = reader.bands
    grid = CellGrid.cover(int(window.width), int(window.height), settings.segment_size)
    if grid.down.cells * grid.across.cells > MOST_SEGMENTS:
        raise ToolboxError(
            f"This would give about {grid.down.cells * grid.across.cells:,} segments, more than the {MOST_SEGMENTS:,} that a layer "
            "should hold; choose a larger SEGMENT_SIZE or an EXTENT."
        )
    yield info(f"{int(window.width):,} x {int(window.height):,} pixels, about {grid.down.cells * grid.across.cells:,} segments.")
    worker = TileSegmenter(settings.raster, bands, window, likeness, grid, settings.compactness)
    to_map = _to_map(image, window, settings.has_georeference)
    written = 0
    with OutputFiles([settings.output], job_id) as files, worker:
        path = files.partial(settings.output)
        writer = LayerWriter(path, "Polygon", image.crs_wkt)
        for batch in _batches(_trace(worker, grid)):
            if not isinstance(batch, list):
                yield batch
                continue
            written += _write(writer, batch, written, to_map)
        if not written:
            raise ToolboxError("The raster is nodata everywhere within the extent; check the raster, its nodata value and EXTENT.")
        path.with_suffix(".qml").write_bytes(outline_style())
        files.publish()
    yield info(f"{written:,} segments were written.")
    yield progress(1.0)
    yield result({"OUTPUT": settings.output, "SEGMENTS": written})


class TileSegmenter:
    """Reads and clusters tiles. A context manager; `segment` may be called in several threads, which must end before it is left."""

    def __init__(
        self, source: str, bands: list[int], window: Window, likeness: Likeness, grid: CellGrid, compactness: float
    ) -> None:
        self._readers = PerThread(lambda: RasterReader(source, bands))
        self._window, self._likeness, self._grid, self._compactness = window, likeness, grid, compactness

    def __enter__(self) -> TileSegmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self._readers.__exit__()

    def segment(self, tile: Tile) -> NDArray[np.int32]:
        """Segment numbers (rows, columns) of the tile's core, unique in the whole image; 0 = nodata."""
        read = tile.window
        place = Window(read.col_off + self._window.col_off, read.row_off + self._window.row_off, read.width, read.height)
        values, valid = self._readers.get().read(place)
        if not valid[tile.core_slices].any():
            return np.zeros((int(tile.core.height), int(tile.core.width)), np.int32)
        labels = cluster(self._likeness.apply(values), valid, tile.rows, tile.columns, self._compactness)[tile.core_slices]
        across = int(tile.columns[-1] - tile.columns[0]) + 1
        rows, columns = np.divmod(labels - 1, across)
        numbers = (rows + int(tile.rows[0])) * self._grid.across.cells + columns + int(tile.columns[0]) + 1
        return np.where(labels > 0, numbers, 0).astype(np.int32)


def _trace(worker: TileSegmenter, grid: CellGrid) -> Iterator[Event | shapely.Polygon]:
    """Outlines in pixels of the window, with progress events between."""
    tracer = OutlineTracer()
    rows = list(grid.rows_of_tiles())
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS), thread_name_prefix="segments")
    try:
        for number, tiles in enumerate(rows):
            parts = []
            for done, part in enumerate(pool.map(worker.segment, tiles), start=1):
                parts.append(part)
                yield progress((number + done / len(tiles)) / len(rows), "Segmenting")
            yield from (polygon for _, polygon in tracer.add(np.concatenate(parts, axis=1)))
        yield from (polygon for _, polygon in tracer.finish())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _batches(items: Iterable[Event | shapely.Polygon]) -> Iterator[Event | list[shapely.Polygon]]:
    """The events as they come, the polygons in lists."""
    batch: list[shapely.Polygon] = []
    for item in items:
        if not isinstance(item, shapely.Geometry):
            yield item
            continue
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _to_map(image: RasterInfo, window: Window, has_georeference: bool) -> Affine:
    """From pixels of the window to the coordinates in which QGIS shows the image."""
    place = Affine.translation(window.col_off, window.row_off)
    return image.transform * place if has_georeference else Affine.scale(1, -1) * place


def _write(writer: LayerWriter, polygons: list[shapely.Polygon], written: int, to_map: Affine) -> int:
    """Writes a batch; returns how many."""
    numbers = np.arange(written + 1, written + 1 + len(polygons), dtype=np.int64)
    pixels = np.round(shapely.area(polygons)).astype(np.int64)
    writer.add({"segment": numbers, "pixels": pixels}, move(np.array(polygons, object), to_map))
    return len(polygons)
