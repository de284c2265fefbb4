# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of labelling: digits choose classes, a tap on Space takes up the last tool and class again.

They work while canvas or dock has the focus; text fields keep them. On the canvas QGIS pans as long as Space is held and the mouse
moves; that stays so: only a Space that is released where it was pressed counts as a tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qgis.PyQt.QtCore import QEvent, QObject, QPoint, Qt
from qgis.PyQt.QtGui import QCursor
from qgis.PyQt.QtWidgets import QWidget

from ...algorithms.label_schema import SHORTCUTS

STILL = 3  # pixels that a hand moves the mouse while it taps a key


class ClassKeys(QObject):
    """Takes the keys of some widgets, until `remove`.

    Args:
        widgets: Where the keys work.
        choose: Called with the digit; returns whether a class has it, else the key goes its usual way.
        repeat: Called when Space is tapped.
        parent: Owner.
    """

    def __init__(self, widgets: Iterable[QWidget], choose: Callable[[str], bool], repeat: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._widgets, self._choose, self._repeat = list(widgets), choose, repeat
        self._pressed: QPoint | None = None
        for widget in self._widgets:
            widget.installEventFilter(self)

    def remove(self) -> None:
        """Gives the keys back."""
        for widget in self._widgets:
            widget.removeEventFilter(self)
        self._widgets.clear()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress, QEvent.Type.KeyRelease) or event.isAutoRepeat():
            return False
        # On some keyboards digits need Shift.
        others = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
        if event.modifiers() & others:
            return False
        if event.key() == Qt.Key.Key_Space:
            return self._take_space(kind)
        digit = chr(event.key()) if event.key() < 128 else ""
        if not digit or digit not in SHORTCUTS or kind == QEvent.Type.KeyRelease:
            return False
        if kind == QEvent.Type.ShortcutOverride:
            event.accept()  # a shortcut of QGIS would never let the key through
            return True
        return self._choose(digit)

    def _take_space(self, kind: QEvent.Type) -> bool:
        if kind == QEvent.Type.KeyPress:
            self._pressed = QCursor.pos()
        elif kind == QEvent.Type.KeyRelease and self._pressed is not None:
            still = (QCursor.pos() - self._pressed).manhattanLength() <= STILL
            self._pressed = None
            if still:
                self._repeat()
        return False
