# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong as a layer: points or regions with the class of the map and the true one, coloured by the truth.

The layer has the fields of a label layer (``Classvalue``, ``Classname``, ``Classcode``, ``Imagery``), filled with the truth, so that
it can be used as labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely.affinity import scale

from ..labels.vector_file import categorised_style, write_layer
from ..runtime.protocol import Event, info, warning
from .classes import ShownClass
from .conclude import Findings
from .point_reference import PointReference


def write_errors(
    path: Path, findings: Findings, classes: Sequence[ShownClass], crs_wkt: str | None, has_georeference: bool
) -> Iterator[Event]:
    """Writes the layer and its style; yields lines for the log.

    Args:
        path: GeoPackage to write.
        findings: What was gathered.
        classes: The classes of map and reference.
        crs_wkt: CRS of the map.
        has_georeference: False when QGIS shows row r of the map at y = −r.
    """
    kind, mapped, truth, geometries, pixels = _list_wrong(findings)
    if not has_georeference:
        geometries = [scale(geometry, 1, -1, origin=(0, 0)) for geometry in geometries]
    names = {entry.value: entry.name for entry in classes}
    fields = {
        "Classvalue": np.array(truth, np.int32),
        "Classname": np.array([names[value] for value in truth], object),
        "Classcode": np.array([str(value) for value in truth], object),
        "Imagery": np.array([findings.settings.raster] * len(truth), object),
        "Classified": np.array(mapped, np.int32),
        "GrndTruth": np.array(truth, np.int32),
        "Confusion": np.array([f"{names[one]} → {names[other]}" for one, other in zip(mapped, truth, strict=True)], object),
        "Pixels": np.array(pixels, np.int64),
    }
    write_layer(path, fields, geometries, kind, crs_wkt)
    categories = [(str(entry.value), f"is {entry.name}", entry.color) for entry in classes if entry.value in set(truth)]
    path.with_suffix(".qml").write_bytes(categorised_style("Classvalue", categories, kind))
    yield info(f"The error layer holds {len(truth):,} {'points' if kind == 'Point' else 'regions'}.")
    if findings.regions is not None and sum(pixels) < findings.regions.wrong_pixels:
        share = 100 * sum(pixels) / findings.regions.wrong_pixels
        yield warning(f"The error layer holds the larger regions only, with {share:.3g} % of the wrong pixels.")


def _list_wrong(findings: Findings) -> tuple[str, list[int], list[int], list[shapely.Geometry], list[int]]:
    """Kind of geometry; class on the map, true class, geometry and pixels of each error."""
    if isinstance(findings.reference, PointReference):
        sample = findings.reference.finish(needs_design=findings.settings.area_weighted)
        wrong = sample.mapped != sample.reference
        points = list(shapely.points(sample.x[wrong], sample.y[wrong]))
        return "Point", sample.mapped[wrong].tolist(), sample.reference[wrong].tolist(), points, [1] * len(points)
    regions = findings.regions.finish() if findings.regions is not None else []
    return (
        "Polygon",
        [region.mapped for region in regions],
        [region.reference for region in regions],
        [region.polygon for region in regions],
        [region.pixels for region in regions],
    )
