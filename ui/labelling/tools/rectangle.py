# SPDX-License-Identifier: GPL-2.0-or-later
"""Rectangles, upright on the screen also where the canvas is rotated."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsPointXY

from .drag import DragTool


class RectangleTool(DragTool):
    """A rectangle between two opposite corners."""

    def outline(self) -> Sequence[QgsPointXY]:
        if self.start is None or self.end is None:
            return []
        (left, top), (right, bottom) = self.to_screen(self.start), self.to_screen(self.end)
        return [self.start, self.to_map(right, top), self.end, self.to_map(left, bottom)]
