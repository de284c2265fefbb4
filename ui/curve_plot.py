# SPDX-License-Identifier: GPL-2.0-or-later
"""Curves over epochs, painted by Qt alone, since QGIS's Python may lack plotting libraries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from qgis.PyQt.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

# Told apart by people who do not see red and green alike (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
WANTED_TICKS = 4
GAP = 6  # pixels between things
POINT = 2.5  # radius of a value's dot, pixels
MOST_DOTS = 60  # epochs up to which each value has a dot


def find_ticks(low: float, high: float, wanted: int = WANTED_TICKS) -> list[float]:
    """Round numbers between two, about as many as wanted: 0.13 to 0.92 gives 0.2, 0.4, 0.6, 0.8."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= wanted + 1)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


class CurvePlot(QWidget):
    """One chart.

    Args:
        title: Shown above.
        parent: Qt parent.
    """

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._curves: list[tuple[str, list[tuple[int, float]]]] = []
        self._epochs, self._values = (0, 1), (0.0, 1.0)  # what the axes show
        self._marked: int | None = None
        self._pointed: int | None = None
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(340, 170)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 120)

    def show_curves(self, curves: Mapping[str, Sequence[tuple[int, float]]], marked: int | None) -> None:
        """Shows curves, each a list of (epoch, value) by epoch, and a mark at one epoch."""
        self._curves = [(name, list(points)) for name, points in curves.items() if points]
        self._marked = marked
        epochs = [epoch for _, points in self._curves for epoch, _ in points] or [0]
        self._epochs = min(epochs), max(max(epochs), min(epochs) + 1)
        values = [value for _, points in self._curves for _, value in points] or [0.0]
        low, high = min(values), max(values)
        margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.1
        self._values = low - margin, high + margin
        self.update()

    def describe(self) -> str:
        """The values at the epoch pointed at, else at the last one, in a line."""
        epochs = [epoch for _, points in self._curves for epoch, _ in points]
        if not epochs:
            return ""
        epoch = self._pointed if self._pointed in epochs else max(epochs)
        values = [f"{name} {value:.3f}" for name, points in self._curves for place, value in points if place == epoch]
        return f"{epoch}: {', '.join(values)}"

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        area, (first, last) = self._area(), self._epochs
        share = (_position(event) - area.left()) / max(1.0, area.width())
        self._pointed = round(first + share * (last - first)) if 0 <= share <= 1 else None
        self.setToolTip(self.describe() if self._pointed is not None else "")
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._pointed = None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Base))
        text = self.palette().color(QPalette.ColorRole.Text)
        painter.setPen(text)
        line = self.fontMetrics().height()
        painter.drawText(QRectF(GAP, 2, self.width() - 2 * GAP, line), Qt.AlignmentFlag.AlignLeft, self._title)
        self._paint_legend(painter, line)
        if self._curves:
            self._paint_axes(painter, text)
            for number, (_, points) in enumerate(self._curves):
                self._paint_curve(painter, points, QColor(COLOURS[number % len(COLOURS)]))
        painter.end()

    def _area(self) -> QRectF:
        """Where the curves are, without title, legend and numbers."""
        line = self.fontMetrics().height()
        labels = max((self.fontMetrics().horizontalAdvance(f"{tick:g}") for tick in find_ticks(*self._values)), default=0)
        left, top = labels + 2 * GAP, 2 * line + GAP
        return QRectF(left, top, self.width() - left - 2 * GAP, self.height() - top - line - GAP)

    def _place(self, area: QRectF, epoch: float, value: float) -> QPointF:
        (first, last), (low, high) = self._epochs, self._values
        x = area.left() + (epoch - first) / (last - first) * area.width()
        return QPointF(x, area.bottom() - (value - low) / (high - low) * area.height())

    def _paint_legend(self, painter: QPainter, line: int) -> None:
        left, advance = float(GAP), self.fontMetrics().horizontalAdvance
        for number, entry in enumerate(self._list_legend()):
            painter.setPen(QPen(QColor(COLOURS[number % len(COLOURS)]), 3))
            painter.drawLine(QPointF(left, 1.5 * line + 2), QPointF(left + 12, 1.5 * line + 2))
            painter.setPen(self.palette().color(QPalette.ColorRole.Text))
            width = advance(entry)
            painter.drawText(QRectF(left + 16, line + 2, width + GAP, line), Qt.AlignmentFlag.AlignLeft, entry)
            left += 16 + width + 2 * GAP

    def _list_legend(self) -> list[str]:
        """Name and value of each curve at the epoch pointed at, else at its last, as exactly as there is room for."""
        values = [next((value for epoch, value in points if epoch == self._pointed), points[-1][1]) for _, points in self._curves]
        for digits in (3, 2):
            entries = [f"{name} {value:.{digits}f}" for (name, _), value in zip(self._curves, values)]
            if sum(self.fontMetrics().horizontalAdvance(entry) + 16 + 2 * GAP for entry in entries) <= self.width():
                break
        return entries

    def _paint_axes(self, painter: QPainter, text: QColor) -> None:
        area, line = self._area(), self.fontMetrics().height()
        faint = QColor(text)
        faint.setAlpha(40)
        for tick in find_ticks(*self._values):
            y = self._place(area, 0, tick).y()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(text)
            painter.drawText(QRectF(0, y - line / 2, area.left() - GAP, line), Qt.AlignmentFlag.AlignRight, f"{tick:g}")
        for tick in [tick for tick in find_ticks(*self._epochs, 6) if tick == int(tick)]:
            x = self._place(area, tick, 0).x()
            painter.drawText(QRectF(x - 30, area.bottom() + 2, 60, line), Qt.AlignmentFlag.AlignHCenter, f"{int(tick)}")
        for epoch, style in ((self._marked, Qt.PenStyle.DashLine), (self._pointed, Qt.PenStyle.DotLine)):
            if epoch is not None:
                x = self._place(area, epoch, 0).x()
                painter.setPen(QPen(text, 1, style))
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _paint_curve(self, painter: QPainter, points: Sequence[tuple[int, float]], colour: QColor) -> None:
        area = self._area()
        places = [self._place(area, epoch, value) for epoch, value in points]
        painter.setPen(QPen(colour, 1.8))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(places))
        if len(places) <= MOST_DOTS:
            painter.setBrush(colour)
            for place in places:
                painter.drawEllipse(place, POINT, POINT)


def _position(event: QMouseEvent) -> float:
    """Where the mouse is, from the left; Qt 6 names it otherwise."""
    return float(event.position().x() if hasattr(event, "position") else event.x())
