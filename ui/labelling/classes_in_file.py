# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the classes of the label layer into its file, a moment after they were edited."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ...backend.errors import ToolboxError
from .class_defaults import set_defaults
from .editor import LabelEditor
from .schema_source import apply_schema, store_style

DELAY = 400  # milliseconds; writing takes tens of them, and several edits follow each other


class ClassesInFile(QObject):
    """The classes of the editor's layer, in the layer and in its file.

    Signals:
        stored: They were written, or the attempt failed; see `are_stored`.
        failed: Why they were not.
    """

    stored = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(self, editor: LabelEditor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._editor = editor
        self.are_stored = True
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.store)

    def apply(self) -> bool:
        """Lets the layer carry the edited classes, and its file a moment later; returns whether the layer may be edited."""
        store = self._editor.store
        if self._editor.layer is None or not store.may_edit:
            return False
        apply_schema(store.layer, self._editor.schema)
        if store.is_own:
            self.are_stored = False
            self._later.start(DELAY)
        return True

    def store(self) -> None:
        """Writes them now; while that fails, they count as not stored."""
        self._later.stop()
        store = self._editor.store
        if self.are_stored or self._editor.layer is None or not store.is_own:
            return
        try:
            set_defaults(store, None, "")  # they are of this moment, and do not belong into the file
            store_style(store.layer)
            self.are_stored = True
        except ToolboxError as failure:
            self.failed.emit(str(failure))
        self.stored.emit()

    def leave(self) -> None:
        """Writes them before another layer is labelled."""
        self.store()
        self.are_stored = True
