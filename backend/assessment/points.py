# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``accuracy_points``: draws the points at which a person will say what is really there. Runs in the worker.

Enters: a class raster. Steps: count the pixels of each class, decide how many points each gets, draw, look the drawn pixels up in a
second pass, shuffle, write. Leaves: a GeoPackage of points at pixel centres with ArcGIS's fields ``Classified`` and ``GrndTruth``
(−1 = not answered), the size of the stratum each was drawn from, and the fields of the review dock.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely
from rasterio.windows import Window

from ..errors import ToolboxError
from ..imagery.raster import RasterInfo
from ..labels.vector import VectorLabels
from ..labels.vector_file import categorised_style, write_layer
from ..runtime.disk import checked_writing
from ..runtime.output_files import OutputFiles
from ..runtime.protocol import Event, info, progress, result, warning
from .allocation import RANDOM, allocate, expected_margin, read_expected_accuracy, sample_size
from .classes import ShownClass, read_legend
from .draw import ALL, ClassCounter, Pixel, PixelDraw, keep_apart
from .maps import ClassMap, read_strips, strip_windows
from .pairs import NOTHING, Classes, widen
from .settings import PointsSettings
from .ticker import Ticker

UNANSWERED = -1
FEW_POINTS = 10  # per class, below which its user's accuracy says little
# The words that the review dock writes.
STATUS_COLORS = {
    "open": (255, 200, 0),
    "skipped": (150, 150, 150),
    "answered": (40, 150, 60),
    "disputed": (214, 39, 40),
    "decided": (31, 119, 180),
}


class MaskedMap:
    """A map without classes outside of polygons; no mask = everywhere."""

    def __init__(self, classes: ClassMap, mask: str | None) -> None:
        self._classes = classes
        self._mask = VectorLabels(Path(mask), classes.info.transform) if mask else None

    def read(self, window: Window) -> Classes:
        """Class values (rows, columns)."""
        values = self._classes.read(window)
        if self._mask is not None:
            values = widen(values)
            values[self._mask.burn(window)[0] == 0] = NOTHING
        return values


def draw_points(settings: PointsSettings, job_id: str) -> Iterator[Event]:
    """Draws accuracy assessment points.

    Args:
        settings: The request.
        job_id: Names the partial folder.

    Yields:
        Events; the result's outputs are OUTPUT (path) and POINTS (number).

    Raises:
        ToolboxError: The raster holds no class, or settings, raster or output cannot be used.
    """
    with ClassMap(settings.raster, "INPUT") as classes, OutputFiles([settings.output], job_id) as files:
        source = MaskedMap(classes, settings.mask)
        sizes = yield from _count(classes.info, source)
        legend = read_legend(settings.raster, sizes)
        points = yield from _plan(settings, sizes, legend)
        pixels = yield from _draw(settings, classes.info, source, sizes, points)
        yield from _tell(settings, sizes, points, pixels, legend)
        generator = np.random.default_rng(settings.seed)
        shuffled = [pixel for stratum in sorted(pixels) for pixel in pixels[stratum]]
        generator.shuffle(shuffled)
        partial = files.partial(settings.output)
        with checked_writing(partial):
            _write(partial, settings, classes.info, shuffled, sizes)
        yield progress(1.0)
        files.publish()
        yield result({"OUTPUT": settings.output, "POINTS": len(shuffled)})


def _count(raster: RasterInfo, source: MaskedMap) -> Generator[Event, None, dict[int, int]]:
    """Pixels of each class; raises ToolboxError when there are none."""
    windows = strip_windows(raster)
    counter, ticker = ClassCounter(), Ticker(0.0, 0.5, "counting the pixels of each class")
    for done, strip in enumerate(read_strips(windows, [source]), start=1):
        counter.add(strip.values[0])
        yield from ticker.tell(done / len(windows))
    if not counter.sizes:
        raise ToolboxError("The raster has no pixel with a class where points may be drawn; check its nodata value and MASK.")
    return counter.sizes


def _plan(settings: PointsSettings, sizes: dict[int, int], legend: dict[int, ShownClass]) -> Generator[Event, None, dict[int, int]]:
    """Points wanted of each stratum."""
    count = settings.count
    expected = read_expected_accuracy(settings.expected_accuracy, sorted(sizes))
    if count == 0:
        count = sample_size(sizes, expected, settings.margin, settings.sampling)
        yield info(f"{count:,} points are needed for an overall accuracy within ± {settings.margin:g} (95 %).")
    total = sum(sizes.values())
    if count > total:
        yield warning(f"{count:,} points are asked for, but there are only {total:,} pixels; each becomes a point.")
    if settings.sampling == RANDOM:
        points = {ALL: min(count, total)}
        shares = {value: points[ALL] * size / total for value, size in sizes.items()}
    else:
        points = allocate(count, sizes, settings.sampling, settings.min_per_class)
        shares = points
        small = [legend[value].name for value, size in sizes.items() if size < settings.min_per_class]
        if small:
            yield warning(f"Fewer pixels than MIN_PER_CLASS {settings.min_per_class} have: {', '.join(small)}; all become points.")
    margin = expected_margin(sizes, expected, shares)
    yield info(f"If the expected accuracies hold, the overall accuracy will be known within ± {margin:.3f} (95 %).")
    return points


def _draw(
    settings: PointsSettings, raster: RasterInfo, source: MaskedMap, sizes: dict[int, int], points: dict[int, int]
) -> Generator[Event, None, dict[int, list[Pixel]]]:
    """The drawn pixels of each stratum."""
    generator = np.random.default_rng(settings.seed)
    strata = {ALL: sum(sizes.values())} if ALL in points else sizes
    draw = PixelDraw(strata, points, settings.min_distance > 0, generator)
    windows = strip_windows(raster)
    ticker = Ticker(0.5, 1.0, "looking up the drawn pixels")
    for done, strip in enumerate(read_strips(windows, [source]), start=1):
        draw.add(int(strip.window.row_off), strip.values[0])
        yield from ticker.tell(done / len(windows))
    pixels = draw.pixels()
    return keep_apart(pixels, points, settings.min_distance, raster.cell_size) if settings.min_distance > 0 else pixels


def _tell(
    settings: PointsSettings,
    sizes: dict[int, int],
    points: dict[int, int],
    pixels: dict[int, list[Pixel]],
    legend: dict[int, ShownClass],
) -> Iterator[Event]:
    """Lines for the log: points of each class, and what could not be had."""
    drawn = dict.fromkeys(sizes, 0)
    for chosen in pixels.values():
        for pixel in chosen:
            drawn[pixel.value] += 1
    total = sum(sizes.values())
    for value, size in sorted(sizes.items()):
        yield info(f"  {value}  {legend[value].name}: {drawn[value]} points, {size:,} pixels ({100 * size / total:.2f} %)")
    short = {stratum: points[stratum] - len(chosen) for stratum, chosen in pixels.items() if len(chosen) < points[stratum]}
    for stratum, missing in sorted(short.items()):
        of = "" if stratum == ALL else f" of {legend[stratum].name}"
        yield warning(
            f"{missing} points{of} could not be placed {settings.min_distance:g} apart from the others; lower MIN_DISTANCE or COUNT."
        )
    few = [legend[value].name for value in sorted(sizes) if drawn[value] < FEW_POINTS]
    if few:
        yield warning(f"Fewer than {FEW_POINTS} points: {', '.join(few)}. Little can be said of these classes; raise MIN_PER_CLASS.")


def _write(path: Path, settings: PointsSettings, raster: RasterInfo, pixels: Sequence[Pixel], sizes: dict[int, int]) -> None:
    """The points and their style, which does not show the class: it would sway whoever looks."""
    rows = np.array([pixel.row for pixel in pixels]) + 0.5
    columns = np.array([pixel.column for pixel in pixels]) + 0.5
    x, y = raster.transform * (columns, rows)
    count = len(pixels)
    fields = {
        "Classified": np.array([pixel.value for pixel in pixels], np.int32),
        "GrndTruth": np.full(count, UNANSWERED, np.int32),
        "StratumPix": np.array([sizes[pixel.value] for pixel in pixels], np.int64),
        "Status": np.full(count, "open", object),
        "Comment": np.full(count, None, object),
    }
    write_layer(path, fields, shapely.points(x, y if settings.has_georeference else -y), "Point", raster.crs_wkt)
    categories = [(status, status, color) for status, color in STATUS_COLORS.items()]
    path.with_suffix(".qml").write_bytes(categorised_style("Status", categories, "Point"))
