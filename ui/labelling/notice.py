# SPDX-License-Identifier: GPL-2.0-or-later
"""One line in the dock that says what is the matter, with buttons for what can be done about it."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget


class Notice(QFrame):
    """Hidden while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.buttons: list[QPushButton] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(6, 4, 6, 4)
        self._layout.addWidget(self.text)
        self.hide()

    def tell(self, text: str, *choices: tuple[str, Callable[[], None]]) -> None:
        """Shows a text with a button for each choice; any of them ends the notice."""
        self.clear()
        self.text.setText(text)
        for label, run in choices:
            button = QPushButton(label)
            button.clicked.connect(lambda _checked=False, run=run: self._choose(run))
            self._layout.addWidget(button)
            self.buttons.append(button)
        self.show()

    def clear(self) -> None:
        """Nothing to say any more."""
        for button in self.buttons:
            button.hide()
            button.deleteLater()
        self.buttons = []
        self.hide()

    def _choose(self, run: Callable[[], None]) -> None:
        self.clear()
        run()
