# SPDX-License-Identifier: GPL-2.0-or-later
"""The class raster as polygons: one for each connected region of a class, or for each class, with the fields of a label layer.

The raster is traced in strips, so that memory holds the regions on the border of two strips and a batch of finished ones; for a
polygon of each class, all regions.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import numpy as np
import rasterio
import shapely
from rasterio.windows import Window

from ..errors import ToolboxError
from ..labels.segments.outlines import OutlineTracer
from ..labels.vector import move
from ..labels.vector_file import LayerWriter, categorised_style
from ..runtime.disk import checked_writing
from ..runtime.output_files import STALE
from ..runtime.output_folder import partial_name
from .areas import CellAreas
from .sidecars import LegendEntry

STRIP_ROWS = 512
BATCH = 5000
# Share done, and what is complete by then: class value, and outline in pixels.
Traced: TypeAlias = Iterator[tuple[float, Iterator[tuple[int, shapely.Polygon | shapely.MultiPolygon]]]]


class PolygonOutput:
    """The polygons under way. A context manager that removes what is not finished.

    Args:
        path: Final name, ending in .gpkg.
        job_id: Names the partial folder.
        legend: The classes.
        cells: Areas of the raster's cells; None = unknown.
        per_class: One multipolygon for each class.
    """

    def __init__(self, path: Path, job_id: str, legend: list[LegendEntry], cells: CellAreas | None, per_class: bool = False) -> None:
        self.path = path.absolute()
        self._partial = self.path.parent / f"{partial_name(job_id)}-{self.path.name}"
        self._legend, self._cells = legend, cells
        self._per_class = per_class
        self.written = 0
        self._made: list[Path] = []

    def __enter__(self) -> PolygonOutput:
        """Makes the partial folder, empty; raises ToolboxError when it cannot be written."""
        if self.path.is_dir():
            raise ToolboxError(f"OUTPUT_POLYGONS {self.path} is a folder; give the name of a file ending in .gpkg.")
        self._made = [folder for folder in self.path.parents if not folder.exists()]
        try:
            shutil.rmtree(self._partial, ignore_errors=True)  # of a run that was killed
            self._partial.mkdir(parents=True)
        except OSError as failure:
            raise ToolboxError(f"The output {self.path} cannot be written ({failure.strerror}); choose another folder.") from failure
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        for folder in self._made:
            with contextlib.suppress(OSError):  # not empty: it holds the result
                folder.rmdir()

    def trace(self, raster: Path) -> Iterator[float]:
        """Traces a class raster; yields the share done."""
        names = {entry.value: entry.name for entry in self._legend}
        made = self._partial / f"{self.path.stem}.gpkg"
        with checked_writing(self._partial), rasterio.open(raster) as source:
            writer = LayerWriter(made, "MultiPolygon" if self._per_class else "Polygon", source.crs.to_wkt() if source.crs else None)
            for share, regions in _join_classes(_regions(source)) if self._per_class else _regions(source):
                while part := list(islice(regions, BATCH)):
                    self._write(writer, part, source.transform, names)
                yield share
            if not self.written:  # nothing but nodata is refused earlier; an empty layer is still a layer
                self._write(writer, (), source.transform, names)
        categories = [(str(entry.value), entry.name, entry.color) for entry in self._legend]
        made.with_suffix(".qml").write_bytes(categorised_style("Classvalue", categories, "Polygon"))

    def _write(
        self, writer: LayerWriter, regions: Iterable[tuple[int, shapely.Geometry]], transform: rasterio.Affine, names: dict[int, str]
    ) -> None:
        values = np.array([value for value, _ in regions], np.int32)
        outlines = np.array([polygon for _, polygon in regions], object)
        pixels = np.round(shapely.area(outlines)).astype(np.int64) if len(outlines) else np.zeros(0, np.int64)
        areas = self._cells.of_outlines(outlines) if self._cells else np.full(len(pixels), np.nan)
        fields = {
            "Classname": np.array([names[value] for value in values.tolist()], object),
            "Classvalue": values,
            "Pixels": pixels,
            "Area_m2": areas,
        }
        writer.add(fields, move(outlines, transform))
        self.written += len(outlines)

    def plan_moves(self) -> list[tuple[Path, Path]]:
        """What `writer.publish` moves: a previous layer aside, the new one in."""
        made = [(self._partial / f"{self.path.stem}{ending}", self.path.with_suffix(ending)) for ending in (".qml", ".gpkg")]
        aside = self._partial / "previous"
        aside.mkdir()
        previous = [target for _, target in made] + [Path(f"{self.path}{ending}") for ending in STALE]
        return [*((target, aside / target.name) for target in previous if target.exists()), *made]


def _join_classes(traced: Traced) -> Traced:
    """As `_regions`, but a multipolygon for each class, with the last share. Regions of one class touch at corners only."""
    found: dict[int, list[shapely.Polygon]] = {}
    share = 0.0
    for share, regions in traced:
        for value, outline in regions:
            found.setdefault(value, []).append(outline)
        yield share, iter(())
    yield share, ((value, shapely.MultiPolygon(found[value])) for value in sorted(found))


def _regions(source: rasterio.DatasetReader) -> Traced:
    """The connected regions, strip by strip."""
    tracer = OutlineTracer()
    for top in range(0, source.height, STRIP_ROWS):
        rows = min(STRIP_ROWS, source.height - top)
        values = source.read(1, window=Window(0, top, source.width, rows)).astype(np.int32)
        # One more than the class value, since 0, a background, is a class here and nothing to the tracer.
        numbers = np.where(values == source.nodata, 0, values + 1)
        yield (top + rows) / source.height, ((number - 1, outline) for number, outline in tracer.add(numbers))
    yield 1.0, ((number - 1, outline) for number, outline in tracer.finish())
