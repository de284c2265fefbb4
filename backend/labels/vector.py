# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled features burned into label windows, or cut to a chip.

Enters: the GeoPackage that the algorithm wrote (a layer with the fields ``value`` and ``name``, features in feature-id order,
coordinates of the raster). Leaves, for any window, the class value and the block of each pixel. A polygon burns the pixels whose
centre lies inside it, a line or point the cells it touches; where features overlap, the later one wins.

Geometries are kept in pixels of the raster (column, row), so that every window sees the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.features import rasterize
from rasterio.windows import Window

from ..errors import ToolboxError
from .schema import check_value

LAYER = "labels"
POLYGON_DIMENSION = 2
SHOWN_FEATURES = 5


@dataclass(frozen=True)
class ClippedFeatures:
    """The features in a rectangle; arrays hold one entry per feature, in feature order.

    Attributes:
        places: Position of each feature in the layer, from 0.
        geometries: Cut to the rectangle, in its pixels from its upper left corner.
        shares: Share of the feature that lies inside, 0 to 1: of its area, of a line's length, of the number of points.
    """

    places: NDArray[np.intp]
    geometries: NDArray[np.object_]
    shares: NDArray[np.float64]

    def keep(self, which: NDArray[np.bool_]) -> ClippedFeatures:
        """Some of them."""
        return ClippedFeatures(self.places[which], self.geometries[which], self.shares[which])


class VectorLabels:
    """The labelled features of one raster. Geometries are held in memory and found through an R-tree.

    Args:
        path: The GeoPackage.
        transform: Pixel-to-map matrix of the raster.
        layer: Layer of the GeoPackage.
        may_be_empty: Take a layer without features, which labels nothing.
        first_block: Added to the blocks' numbers.

    Attributes:
        values: Class value of each feature.
        numbers: Block of each feature: the field ``block``, by which a feature is known in several rasters, else 1, 2, 3 …
        unusable: Feature numbers, from 1, whose geometry cannot be repaired or is empty.

    Raises:
        ToolboxError: Unreadable, without features, or a class value that is not allowed.
    """

    kind = "polygons"

    def __init__(self, path: Path, transform: Affine, layer: str = LAYER, may_be_empty: bool = False, first_block: int = 0) -> None:
        geometry, self.values, numbers = _read_features(path, layer, may_be_empty)
        self.numbers = numbers + np.uint32(first_block)
        self.geometries, self.unusable = _repair(geometry, ~transform)
        self._parts, self._owners = shapely.get_parts(self.geometries, return_index=True)
        self._is_area = shapely.get_dimensions(self._parts) == POLYGON_DIMENSION
        self._tree = shapely.STRtree(self._parts)
        self._value_of = np.concatenate([[np.uint16(0)], self.values])
        self._number_of = np.concatenate([[np.uint32(0)], self.numbers])

    def burn(self, window: Window) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
        """Labels of a window.

        Returns:
            Class value (rows, columns), 0 = unlabelled; block (rows, columns), 0 = unlabelled.
        """
        shape = int(window.height), int(window.width)
        box = shapely.box(window.col_off, window.row_off, window.col_off + shape[1], window.row_off + shape[0])
        places = np.zeros(shape, np.uint32)
        self._burn(np.sort(self._tree.query(box)), Affine.translation(window.col_off, window.row_off), places)
        return self._value_of[places], self._number_of[places]

    def burn_feature(self, place: int, to_pixels: Affine, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """The pixels of one feature, whatever lies above it.

        Args:
            place: Position of the feature, from 0.
            to_pixels: From pixels of the result to those of the raster; may turn.
            shape: Rows and columns of the result.
        """
        places = np.zeros(shape, np.uint32)
        parts = np.flatnonzero(self._owners == place)
        self._burn(parts, Affine.identity(), places, lambda found: move(self._parts[found], ~to_pixels))
        return places > 0

    def _burn(
        self, found: NDArray[np.intp], transform: Affine, places: NDArray[np.uint32], get: Callable[[NDArray], NDArray] | None = None
    ) -> None:
        """Burns parts in this order into ``places``, as position of the feature + 1."""
        geometries = self._parts[found] if get is None else get(found)
        triples = zip(self._is_area[found].tolist(), geometries, (self._owners[found] + 1).tolist(), strict=True)
        # One call per run of equal rules keeps the order of the features, which decides who wins.
        for is_area, group in groupby(triples, key=lambda triple: triple[0]):
            with rasterio.Env():
                rasterize(
                    [(geometry, number) for _, geometry, number in group], out=places, transform=transform, all_touched=not is_area
                )

    def touch(self, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rectangles (n, 4: left, top, right, bottom in pixels) may hold a label: those that a feature's bounding box meets."""
        touched = np.zeros(len(boxes), bool)
        touched[self._tree.query(shapely.box(*np.asarray(boxes, float).T))[0]] = True
        return touched

    def clip(self, to_pixels: Affine, width: float, height: float) -> ClippedFeatures:
        """The features in a rectangle of pixels.

        Args:
            to_pixels: From pixels of the rectangle to those of the raster; may turn.
            width: Of the rectangle in pixels.
            height: Of the rectangle in pixels.
        """
        outline = move(np.array([shapely.box(0, 0, width, height)]), to_pixels)[0]
        places = np.unique(self._owners[self._tree.query(outline, predicate="intersects")])
        whole = move(self.geometries[places], ~to_pixels)
        cut = shapely.clip_by_rect(whole, 0, 0, width, height)
        used = ~shapely.is_empty(cut)
        shares = _measure(cut[used]) / np.maximum(_measure(whole[used]), np.finfo(float).tiny)
        return ClippedFeatures(places[used], cut[used], shares)


def move(geometries: NDArray[np.object_], transform: Affine) -> NDArray[np.object_]:
    """Geometries with every point (x, y) brought to ``transform * (x, y)``."""
    a, b, c, d, e, f, *_ = transform
    return shapely.transform(geometries, lambda xy: np.stack([xy @ (a, b) + c, xy @ (d, e) + f], axis=1))


def _read_features(path: Path, layer: str, may_be_empty: bool) -> tuple[NDArray, NDArray[np.uint16], NDArray[np.uint32]]:
    """WKB, class value and block of each feature."""
    try:
        columns = set(pyogrio.read_info(path, layer=layer)["fields"]) & {"value", "block"}
        meta, _, geometry, fields = pyogrio.raw.read(path, layer=layer, columns=sorted(columns))
    except (DataSourceError, DataLayerError) as failure:
        raise ToolboxError(f"The labels {path} cannot be read ({failure}); export again.") from failure
    by_name = dict(zip(meta["fields"], fields, strict=True))
    if geometry is None or (len(geometry) == 0 and not may_be_empty):
        raise ToolboxError("There are no labels within the raster; check the label layer, its selection and both extents.")
    if "value" not in by_name or by_name["value"].dtype.kind not in "iuf":
        raise ToolboxError(f"The labels {path} have no numeric field “value”; export again from the label layer.")
    values = np.array([check_value(float(value)) for value in by_name["value"]], np.uint16)
    numbers = by_name.get("block", np.arange(1, len(values) + 1))
    if numbers.dtype.kind not in "iu" or (len(numbers) and not 0 < numbers.min() <= numbers.max() < 2**32):
        raise ToolboxError(f"The field “block” of the labels {path} holds no feature numbers; export again from the label layer.")
    return geometry, values, numbers.astype(np.uint32)


def _repair(wkb: NDArray, to_pixels: Affine) -> tuple[NDArray[np.object_], list[int]]:
    """Valid geometries in pixels, and the numbers, from 1, of those that hold nothing to burn (None in the first)."""
    geometries = shapely.from_wkb(wkb, on_invalid="ignore")
    coordinates, owners = shapely.get_coordinates(geometries, return_index=True)
    endless = np.unique(owners[~np.isfinite(coordinates).all(axis=1)])
    geometries[endless] = None
    geometries = move(shapely.make_valid(shapely.force_2d(geometries)), to_pixels)
    for place in np.flatnonzero(shapely.get_type_id(geometries) == shapely.GeometryType.GEOMETRYCOLLECTION):
        # Repairing may leave lines beside a polygon; they are no part of what was drawn.
        parts = shapely.get_parts(shapely.get_parts(geometries[place]))
        dimensions = shapely.get_dimensions(parts)
        geometries[place] = shapely.union_all(parts[dimensions == dimensions.max(initial=-1)])
    empty = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    geometries[empty] = None
    return geometries, (np.flatnonzero(empty) + 1).tolist()


def _measure(geometries: NDArray[np.object_]) -> NDArray[np.float64]:
    """Area of polygons, length of lines, number of points."""
    dimensions = shapely.get_dimensions(geometries)
    sizes = np.where(dimensions == POLYGON_DIMENSION, shapely.area(geometries), shapely.length(geometries))
    return np.where(dimensions == 0, shapely.get_num_geometries(geometries), sizes)
