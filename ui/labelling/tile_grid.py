# SPDX-License-Identifier: GPL-2.0-or-later
"""The tiles in which an area is labelled, one after the other, and which of them are done; kept as text."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from qgis.core import QgsGeometry, QgsRectangle

from ...backend.errors import ToolboxError
from .texts import tr

MOST = 100_000  # tiles; more are a mistake in the size, and a list of them would be slow


@dataclass
class TileGrid:
    """Tiles of an area.

    Attributes:
        crs: Definition of the coordinates (an authority's code or WKT).
        tiles: Lower left and upper right corners, in the order of work.
        done: Numbers, from 0, of the tiles that are finished.
        current: Number of the tile in work.
    """

    crs: str
    tiles: list[tuple[float, float, float, float]]
    done: set[int] = field(default_factory=set)
    current: int = 0

    @property
    def rectangle(self) -> QgsRectangle:
        """The tile in work."""
        return QgsRectangle(*self.tiles[self.current])

    def next_open(self) -> int | None:
        """Number of the next tile that is not done, from the start again at the end; None when all others are done."""
        count = len(self.tiles)
        order = ((self.current + step) % count for step in range(1, count))
        return next((number for number in order if number not in self.done), None)

    def to_text(self) -> str:
        """All of it as JSON."""
        return json.dumps({"crs": self.crs, "tiles": self.tiles, "done": sorted(self.done), "current": self.current})

    @classmethod
    def from_text(cls, text: str) -> TileGrid | None:
        """The grid in a text of `to_text`; None when it is none, as projects are edited by hand, too."""
        try:
            entry: dict[str, Any] = json.loads(text)
            tiles = [tuple(float(side) for side in tile) for tile in entry["tiles"]]
            done = {int(number) for number in entry["done"]}
            grid = cls(str(entry["crs"]), tiles, done, int(entry["current"]))
        except (ValueError, TypeError, KeyError):
            return None
        is_whole = tiles and all(len(tile) == 4 and all(map(math.isfinite, tile)) for tile in tiles)
        return grid if is_whole and all(0 <= number < len(tiles) for number in {*done, grid.current}) else None


def make_grid(area: QgsGeometry, size: float, crs: str) -> TileGrid:
    """Tiles that cover an area from its upper left corner, row by row and to and fro, so that each lies beside the last.

    Args:
        area: Extent or mask; tiles that it does not touch are left out, those at its lower and right border are cut off there.
        size: Width and height of a tile in the units of the coordinates.
        crs: Definition of the coordinates.

    Raises:
        ToolboxError: There is no area, or the size is not above 0 or gives too many tiles.
    """
    box = area.boundingBox()
    if area.isEmpty() or box.isEmpty():
        raise ToolboxError(tr("There is no area to cut into tiles; choose a view or a layer with an extent."))
    if not (math.isfinite(size) and size > 0):
        raise ToolboxError(tr("The size of a tile is {0}; give a number above 0.").format(size))
    columns = max(1, math.ceil(box.width() / size - 1e-9))  # 300 units in tiles of 100 are three, whatever the last digit says
    rows = max(1, math.ceil(box.height() / size - 1e-9))
    if columns * rows > MOST:
        text = tr("Tiles of {0} would be {1} in number (at most {2}); give a larger size.")
        raise ToolboxError(text.format(size, columns * rows, MOST))
    valid = area if area.isGeosValid() else area.makeValid()  # the engine refuses masks that touch or cross themselves
    engine = QgsGeometry.createGeometryEngine(valid.constGet())
    engine.prepareGeometry()
    tiles = []
    for row in range(rows):
        order = range(columns) if row % 2 == 0 else range(columns - 1, -1, -1)
        for column in order:
            left, top = box.xMinimum() + column * size, box.yMaximum() - row * size
            tile = QgsRectangle(left, max(top - size, box.yMinimum()), min(left + size, box.xMaximum()), top)
            shape = QgsGeometry.fromRect(tile)
            if engine.intersects(shape.constGet()) and not engine.touches(shape.constGet()):
                tiles.append((tile.xMinimum(), tile.yMinimum(), tile.xMaximum(), tile.yMaximum()))
    if not tiles:
        raise ToolboxError(tr("There is no area to cut into tiles; choose a view or a layer with an extent."))
    return TileGrid(crs, tiles)
