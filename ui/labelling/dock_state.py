# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows in the dock what is so: the classes and their sums, the current class, what is unsaved, and what is selected."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...backend.errors import ToolboxError
from .class_defaults import set_defaults
from .classes_in_file import ClassesInFile
from .dock import LabelDock
from .editor import LabelEditor
from .guidance import find_scarce
from .label_index import LabelIndex
from .schema_source import classes_of_vector
from .texts import tr
from .tool_switch import ToolSwitch


class DockState(QObject):
    """Reads from editor and index, writes into the dock.

    Attributes:
        index: The labels of the layer in work; None while there is none.

    Signals:
        failed: A sentence for the user.
    """

    failed = pyqtSignal(str)

    def __init__(self, dock: LabelDock, editor: LabelEditor, switch: ToolSwitch, classes: ClassesInFile) -> None:
        super().__init__(dock)
        self._dock, self._editor, self._switch, self._classes = dock, editor, switch, classes
        self.index: LabelIndex | None = None

    def show_schema(self) -> None:
        """The classes are others."""
        self._dock.schema.show_schema(self._editor.schema, self._editor.current)
        self._dock.objects.show_schema(self._editor.schema)
        self.show_class()

    def show_class(self) -> None:
        """Lets our tools and QGIS's draw the current class."""
        editor = self._editor
        self._switch.show_color()
        if editor.layer is not None and editor.store.may_edit:
            set_defaults(editor.store, editor.schema.get(editor.current or 0), editor.imagery)

    def show_sums(self) -> None:
        """Counts or areas are others."""
        sums, total = (self.index.sums, self.index.total_area) if self.index is not None else ({}, 0.0)
        self._add_unknown(set(sums) - {None, *(entry.value for entry in self._editor.schema.classes)})
        self._dock.schema.show_sums(sums, total)
        self._dock.export.show_state(self._dock.imagery.currentLayer(), self._editor.schema, sums)
        scarce = find_scarce(self._editor.schema, sums)
        self._dock.hint.setText(tr("Draw more of: {}").format(", ".join(scarce)) if scarce else "")
        self._dock.hint.setVisible(bool(scarce))

    def show_unsaved(self, *_state: object) -> None:
        """Which of the buttons to save, undo and redo have something to do."""
        layer = self._editor.layer
        modified = layer is not None and (layer.isModified() or not self._classes.are_stored)
        stack = layer.undoStack() if layer is not None else None
        self._dock.show_unsaved(modified, stack is not None and stack.canUndo(), stack is not None and stack.canRedo())

    def show_selection(self, *_ids: object) -> None:
        """Other labels are selected in the layer."""
        if self._editor.layer is not None:
            self.index.catch_up()
            self._dock.objects.show_selection(self._editor.layer.selectedFeatureIds())

    def _add_unknown(self, values: set[int]) -> None:
        """Adds classes that labels have come to have without the schema, e.g. by undoing an edit of a class."""
        if not values or not self._editor.schema.classes:
            return
        try:
            self._editor.schema = self._editor.schema.with_missing(classes_of_vector(self._editor.layer)[0])
        except ToolboxError as failure:
            self.failed.emit(str(failure))
            return
        self.show_schema()
