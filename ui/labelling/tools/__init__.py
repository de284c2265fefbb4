# SPDX-License-Identifier: GPL-2.0-or-later
"""Map tools that draw labels. They know no label layer: they give geometries, in the coordinates of the canvas."""

from __future__ import annotations

from qgis.gui import QgsMapCanvas

from .base import LabelTool
from .brush import BrushTool
from .circle import CircleTool
from .freehand import FreehandTool
from .polygon import PolygonTool
from .rectangle import RectangleTool
from .segment import SegmentTool

__all__ = ["LabelTool", "make_tools"]


def make_tools(canvas: QgsMapCanvas) -> dict[str, LabelTool]:
    """A tool of each kind by its name, in the order of a toolbar; they belong to the canvas, see `LabelTool.remove`."""
    return {
        "rectangle": RectangleTool(canvas),
        "polygon": PolygonTool(canvas),
        "circle": CircleTool(canvas),
        "freehand": FreehandTool(canvas),
        "segment": SegmentTool(canvas),
        "brush": BrushTool(canvas),
    }
