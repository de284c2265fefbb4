# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that belong to a review while it runs, although QGIS has shortcuts of the same keys (S switches snapping).

Two shortcuts of one key would disable each other in Qt. So the keys are taken before any shortcut sees them: Qt asks the focused
widget first, and its parents, whether it wants a key for itself. Text fields want letters and get them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from qgis.PyQt.QtCore import QEvent, QObject, Qt
from qgis.PyQt.QtWidgets import QWidget


class ReviewKeys(QObject):
    """Takes keys of some widgets and what lies in them, until `remove`.

    Args:
        widgets: Where the keys work.
        actions: What to do, by key (a number as in ``Qt.Key``; that of a letter or digit is its code).
        parent: Owner.
    """

    def __init__(self, widgets: Iterable[QWidget], actions: Mapping[int, Callable[[], None]], parent: QObject) -> None:
        super().__init__(parent)
        self._widgets, self._actions = list(widgets), dict(actions)
        for widget in self._widgets:
            widget.installEventFilter(self)

    def remove(self) -> None:
        """Gives the keys back."""
        for widget in self._widgets:
            widget.removeEventFilter(self)
        self._widgets.clear()
        self.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress) or event.key() not in self._actions:
            return False
        # On some keyboards digits need Shift.
        others = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
        if event.modifiers() & others:
            return False
        event.accept()
        if event.type() == QEvent.Type.KeyPress and not event.isAutoRepeat():
            self._actions[event.key()]()
        return True
