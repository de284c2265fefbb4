# SPDX-License-Identifier: GPL-2.0-or-later
"""The row below the labelled objects that leads from one doubtful label to the next."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from .texts import tr


class CheckBar(QWidget):
    """Hidden until a check was asked for.

    Signals:
        forward, back, end: Buttons.
    """

    forward = pyqtSignal()
    back = pyqtSignal()
    end = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, 1)
        self.previous = self._button(row, "‹", tr("The one before"), self.back)
        self.next = self._button(row, "›", tr("The next one"), self.forward)
        self.close_button = self._button(row, "×", tr("End the check"), self.end)
        self.hide()

    def tell(self, text: str, may_step: bool) -> None:
        """Shows a text, and whether there is somewhere to go."""
        self.text.setText(text)
        self.previous.setVisible(may_step)
        self.next.setVisible(may_step)
        self.show()

    def _button(self, row: QHBoxLayout, sign: str, text: str, signal: object) -> QToolButton:
        button = QToolButton()
        button.setText(sign)
        button.setToolTip(text)
        button.clicked.connect(lambda _checked=False: signal.emit())
        row.addWidget(button)
        return button
