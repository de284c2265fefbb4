# SPDX-License-Identifier: GPL-2.0-or-later
"""A picture that fits the width it is given and never grows beyond its own pixels."""

from __future__ import annotations

from qgis.PyQt.QtCore import QRectF, QSize
from qgis.PyQt.QtGui import QPainter, QPaintEvent, QPixmap
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget


class Picture(QWidget):
    """Shows a pixmap, smaller where there is less room.

    Args:
        pixmap: What to show.
        parent: Qt parent.
    """

    def __init__(self, pixmap: QPixmap, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pixmap = pixmap
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        """Height in pixels that keeps the picture's shape."""
        return max(1, round(self.pixmap.height() * min(1.0, width / max(1, self.pixmap.width()))))

    def sizeHint(self) -> QSize:
        return self.pixmap.size()

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.heightForWidth(120))

    def paintEvent(self, event: QPaintEvent) -> None:
        width = min(self.width(), self.pixmap.width())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawPixmap(QRectF(0, 0, width, self.heightForWidth(width)), self.pixmap, QRectF(self.pixmap.rect()))
        painter.end()
