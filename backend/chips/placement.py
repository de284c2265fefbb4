# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the chips of one raster lie: on a grid or one per feature, each turned by every angle.

Places come in groups of about one chip's height, from top to bottom of a panel, a range of columns narrow enough that one group's
pixels fit into the memory. A raster that fits in whole is one panel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from affine import Affine
from rasterio.windows import Window

from ..labels.vector import VectorLabels, move
from . import names
from .grid import chip_count, chip_starts, own_spans
from .settings import LARGEST_TILE, ExportSettings

RESAMPLING_MARGIN = 1  # pixels around a turned chip that its border is interpolated from
Footprint = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the raster

ON_THE_LINE = 1e-6  # pixels by which a chip may overshoot a mask that runs along the grid


@dataclass(frozen=True)
class Place:
    """Where one chip lies on the grid of its raster.

    Attributes:
        left: Column of its left edge before it is turned.
        top: Row of its upper edge before it is turned.
        width: Columns of the chip.
        height: Rows of the chip.
        angle: Degrees by which it is turned around its centre, from the x axis (columns) towards the y axis (rows).
        feature: Position of the feature that it is made for; None on a grid.
        own: (columns, rows) from the upper left corner that no other chip counts as its ground; (0, 0) for turned chips.
    """

    left: int
    top: int
    width: int
    height: int
    angle: float = 0.0
    feature: int | None = None
    own: tuple[int, int] = (0, 0)

    @property
    def to_grid(self) -> Affine:
        """From (column, row) of the chip to (column, row) of the raster."""
        if self.angle == 0:
            return Affine.translation(self.left, self.top)
        half = self.width / 2, self.height / 2
        centre = Affine.translation(self.left + half[0], self.top + half[1])
        return centre * Affine.rotation(self.angle) * Affine.translation(-half[0], -half[1])

    @property
    def corners(self) -> list[tuple[float, float]]:
        """The four corners on the grid of the raster."""
        return [self.to_grid * corner for corner in ((0, 0), (self.width, 0), (self.width, self.height), (0, self.height))]

    @property
    def footprint(self) -> Footprint:
        """That of `window`."""
        if self.angle == 0:
            return self.left, self.top, self.left + self.width, self.top + self.height
        window = self.window
        return int(window.col_off), int(window.row_off), int(window.col_off + window.width), int(window.row_off + window.height)

    @property
    def window(self) -> Window:
        """The pixels of the raster that the chip is made of."""
        if self.angle == 0:
            return Window(self.left, self.top, self.width, self.height)
        xs, ys = zip(*self.corners, strict=True)
        left, top = math.floor(min(xs)) - RESAMPLING_MARGIN, math.floor(min(ys)) - RESAMPLING_MARGIN
        right, bottom = math.ceil(max(xs)) + RESAMPLING_MARGIN, math.ceil(max(ys)) + RESAMPLING_MARGIN
        return Window(left, top, right - left, bottom - top)


def grid_places(
    settings: ExportSettings, window: Window, panel_width: int, may_hold: Callable[[Footprint], bool]
) -> Iterator[list[Place]]:
    """Groups of places on the grid: the chips of one row of one panel, each turned by all angles.

    Args:
        settings: The request.
        window: The part of the raster that is cut.
        panel_width: Columns that one group may span, if more than a chip.
        may_hold: Whether a rectangle of the raster may hold anything wanted; groups where it does not are empty. Most of a large
            grid with few labels is passed over by it, without a thought for each chip.
    """
    begin, end = (int(window.col_off), int(window.row_off)), (int(window.width), int(window.height))
    columns = chip_starts(end[0], settings.tile_size_x, settings.stride_x)
    rows = chip_starts(end[1], settings.tile_size_y, settings.stride_y)
    widths, heights = own_spans(columns, end[0]), own_spans(rows, end[1])
    across, margin = _chips_across(settings, panel_width), _turning_margin(settings)
    for first in range(0, len(columns), across):
        panel = slice(first, first + across)
        left_edge = begin[0] + columns[panel][0] - margin
        right_edge = begin[0] + columns[panel][-1] + settings.tile_size_x + margin
        holds = may_hold((left_edge, begin[1] - margin, right_edge, begin[1] + rows[-1] + settings.tile_size_y + margin))
        for top, own_height in zip(rows, heights, strict=True):
            upper, lower = begin[1] + top - margin, begin[1] + top + settings.tile_size_y + margin
            group: list[Place] = []
            if holds and may_hold((left_edge, upper, right_edge, lower)):
                for left, own_width in zip(columns[panel], widths[panel], strict=True):
                    own = own_width, own_height
                    place = Place(begin[0] + left, begin[1] + top, settings.tile_size_x, settings.tile_size_y, own=own)
                    group += turn(place, settings.angles)
            yield group


def count_groups(settings: ExportSettings, window: Window, panel_width: int) -> int:
    """Number of groups that `grid_places` yields."""
    columns, rows = count_chips(settings, window)
    return math.ceil(columns / _chips_across(settings, panel_width)) * rows


def count_chips(settings: ExportSettings, window: Window) -> tuple[int, int]:
    """Columns and rows of chips on the grid."""
    across = chip_count(int(window.width), settings.tile_size_x, settings.stride_x)
    return across, chip_count(int(window.height), settings.tile_size_y, settings.stride_y)


def _turning_margin(settings: ExportSettings) -> int:
    """Pixels by which turned chips may reach beyond where they lie unturned."""
    if len(settings.angles) == 1:
        return 0
    return math.ceil(math.hypot(settings.tile_size_x, settings.tile_size_y) / 2) + RESAMPLING_MARGIN


def _chips_across(settings: ExportSettings, panel_width: int) -> int:
    """Chips beside each other in a panel."""
    return max(1, (panel_width - settings.tile_size_x) // settings.stride_x + 1)


def feature_places(
    settings: ExportSettings, labels: VectorLabels, width: int, height: int, panel_width: int
) -> tuple[list[list[Place]], int]:
    """Groups of places, one chip per feature and angle, and the number of features that are too large for a chip.

    Args:
        settings: The request.
        labels: The features.
        width: Columns of the raster.
        height: Rows of the raster.
        panel_width: Columns that one group may span, if more than a chip.
    """
    places, too_large = [], 0
    for feature, bounds in enumerate(shapely.bounds(labels.geometries)):
        if np.isnan(bounds).any() or bounds[0] >= width or bounds[1] >= height or bounds[2] <= 0 or bounds[3] <= 0:
            continue
        place = _place_feature(settings, feature, bounds, width, height)
        if max(place.width, place.height) > LARGEST_TILE:
            too_large += 1
        else:
            places.append(place)
    groups: dict[tuple[int, int], list[Place]] = {}
    step = max(settings.tile_size_y, _step(places))
    for place in sorted(places, key=lambda place: (place.top, place.left)):
        key = (max(place.left, 0) // panel_width, max(place.top, 0) // step)
        groups.setdefault(key, []).extend(turn(place, settings.angles))
    return [groups[key] for key in sorted(groups)], too_large


def _step(places: Sequence[Place]) -> int:
    """Rows of one group: the median height of the chips."""
    return int(np.median([place.height for place in places])) if places else 1


def _place_feature(settings: ExportSettings, feature: int, bounds: np.ndarray, width: int, height: int) -> Place:
    if settings.crop_mode == names.BOUNDING_BOX:
        left, top = max(math.floor(bounds[0]), 0), max(math.floor(bounds[1]), 0)
        right, bottom = min(math.ceil(bounds[2]), width), min(math.ceil(bounds[3]), height)
        return Place(left, top, max(right - left, 1), max(bottom - top, 1), feature=feature)
    centre = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    left, top = (round(middle - size / 2) for middle, size in zip(centre, (settings.tile_size_x, settings.tile_size_y), strict=True))
    return Place(left, top, settings.tile_size_x, settings.tile_size_y, feature=feature)


def turn(place: Place, angles: Sequence[float]) -> list[Place]:
    """The place turned by every angle."""
    return [place if angle == 0 else replace(place, angle=angle, own=(0, 0)) for angle in angles]


class MaskPolygons:
    """The area that chips must lie in completely.

    Args:
        polygons: The mask's features.
    """

    def __init__(self, polygons: VectorLabels) -> None:
        self._area = shapely.union_all(polygons.geometries[~shapely.is_missing(polygons.geometries)])
        shapely.prepare(self._area)

    def holds(self, places: Sequence[Place]) -> np.ndarray:
        """Which of the places lie inside."""
        outlines = []
        for place in places:
            inner = shapely.box(ON_THE_LINE, ON_THE_LINE, place.width - ON_THE_LINE, place.height - ON_THE_LINE)
            outlines.append(move(np.array([inner]), place.to_grid)[0])
        return shapely.covers(self._area, np.array(outlines, object)) if outlines else np.zeros(0, bool)
