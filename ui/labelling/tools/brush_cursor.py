# SPDX-License-Identifier: GPL-2.0-or-later
"""A cursor that shows how large the brush is before it paints."""

from __future__ import annotations

from qgis.PyQt.QtCore import QPointF, Qt
from qgis.PyQt.QtGui import QColor, QCursor, QPainter, QPen, QPixmap

LARGEST = 64  # pixels, radius; some systems show no larger cursors
MARGIN = 2  # pixels around the circle, for its line


def brush_cursor(radius: float, ratio: float = 1.0) -> QCursor:
    """A circle of a radius in pixels of the canvas, bright and dark so that it is seen on any image; a cross where it is too large.

    Args:
        radius: Pixels.
        ratio: Pixels of the screen to one of the canvas.
    """
    if radius > LARGEST:
        return QCursor(Qt.CursorShape.CrossCursor)
    side = 2 * (round(radius) + MARGIN) + 1
    picture = QPixmap(round(side * ratio), round(side * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(QColor(0, 0, 0, 0))
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for color, width in ((QColor(0, 0, 0, 160), 3.0), (QColor(255, 255, 255), 1.2)):
        painter.setPen(QPen(color, width))
        painter.drawEllipse(QPointF(side / 2, side / 2), radius, radius)
    painter.end()
    return QCursor(picture, side // 2, side // 2)
