# SPDX-License-Identifier: GPL-2.0-or-later
"""The mouse over the canvas of a `LabelDesk`, and the real tools for it."""

from qgis.core import QgsPointXY
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis_helpers import LEFT, TOP

LEFT_BUTTON, RIGHT_BUTTON, SHIFT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.KeyboardModifier.ShiftModifier
PLAIN = Qt.KeyboardModifier.NoModifier


def real_tools(canvas):
    from deep_learning_toolbox.ui.labelling.tools import make_tools

    return make_tools(canvas)


def mover(canvas):
    from deep_learning_toolbox.ui.labelling.tools.transform import MoveRotateTool

    return MoveRotateTool(canvas)


class Hand:
    """The mouse over the canvas, in pixels (column, row) of the scene."""

    def __init__(self, desk):
        self.desk, self.view = desk, desk.canvas.viewport()

    def place(self, column, row):
        point = self.desk.canvas.getCoordinateTransform().transform(QgsPointXY(LEFT + column * 10, TOP - row * 10))
        return QPoint(round(point.x()), round(point.y()))

    def move(self, column, row, buttons=LEFT_BUTTON, modifiers=PLAIN):
        place = QPointF(self.place(column, row))
        event = QMouseEvent(QEvent.Type.MouseMove, place, Qt.MouseButton.NoButton, buttons, modifiers)
        QApplication.sendEvent(self.view, event)

    def click(self, column, row, button=LEFT_BUTTON):
        self.move(column, row, Qt.MouseButton.NoButton)
        QTest.mouseClick(self.view, button, PLAIN, self.place(column, row))
        self.desk.process()

    def drag(self, *places, modifiers=PLAIN):
        QTest.mousePress(self.view, LEFT_BUTTON, modifiers, self.place(*places[0]))
        for place in places[1:]:
            self.move(*place, modifiers=modifiers)
        QTest.mouseRelease(self.view, LEFT_BUTTON, modifiers, self.place(*places[-1]))
        self.desk.process()
