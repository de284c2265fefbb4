# SPDX-License-Identifier: GPL-2.0-or-later
"""Circles from their centre."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qgis.core import QgsPointXY

from .drag import DragTool

CORNERS = 64


class CircleTool(DragTool):
    """A circle, in the canvas's coordinates, around the point where the drag began."""

    def outline(self) -> Sequence[QgsPointXY]:
        if self.start is None or self.end is None:
            return []
        radius = self.start.distance(self.end)
        angles = [2 * math.pi * number / CORNERS for number in range(CORNERS)]
        return [QgsPointXY(self.start.x() + radius * math.cos(a), self.start.y() + radius * math.sin(a)) for a in angles]
