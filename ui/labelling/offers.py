# SPDX-License-Identifier: GPL-2.0-or-later
"""What the dock offers where something stands in the way: no layer yet, a file of others, labels not saved or discarded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from qgis.core import QgsMapLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...backend.errors import ToolboxError
from .editor import LabelEditor
from .layer_files import LayerFiles
from .notice import Notice
from .store import LabelStore
from .texts import tr


class Desk(Protocol):
    """What the labelling needs of QGIS's windows."""

    def open_tool(self, name: str, parameters: dict[str, Any]) -> None:
        """Opens the dialog of a tool, filled in."""

    def set_active_layer(self, layer: QgsMapLayer) -> None:
        """Makes a layer the one that QGIS's own tools edit and select."""


class Offers(QObject):
    """Notices with buttons.

    Args:
        notice: Where they are shown.
        editor: Its layer is spoken of.
        desk: Opens tools.
        files: Makes and opens layers.
        save: Saves the labels.

    Signals:
        failed: Why an offer could not be kept.
    """

    failed = pyqtSignal(str)

    def __init__(self, notice: Notice, editor: LabelEditor, desk: Desk, files: LayerFiles, save: Callable[[], None]) -> None:
        super().__init__(notice)
        self._notice, self._editor, self._desk, self._files, self._save = notice, editor, desk, files, save

    def begin(self, text: str = "") -> None:
        """There is no label layer yet."""
        text = text or tr("Make a label layer for your image, or open labels that you have.")
        self._notice.tell(text, (tr("New label layer…"), self._files.ask_new), (tr("Open labels…"), self._files.ask_open))

    def meet(self, store: LabelStore) -> None:
        """A layer was chosen: brings labels back that a crash kept from being saved, and asks before a foreign file is edited."""
        try:
            unsaved = store.unsaved()
            count = store.restore(unsaved) if unsaved is not None else 0
        except ToolboxError as failure:
            self.failed.emit(str(failure))
            return
        if count:
            self.tell_recovered(count)
        elif not store.may_edit:
            self._offer_ways(store)

    def tell_recovered(self, count: int) -> None:
        """Labels of an earlier session are back in the editor's layer."""
        stack = self._editor.layer.undoStack()
        place = stack.index()

        def take_out() -> None:
            if stack.index() == place:
                stack.undo()
            else:
                self.failed.emit(tr("Other edits followed; take the labels out with “Undo”, after those."))

        text = tr("Labels that were not saved when QGIS ended are back: {}.").format(count)
        self._notice.tell(text, (tr("Save them"), self._save), (tr("Take them out again"), take_out))

    def refuse(self, text: str) -> None:
        """An edit was not made: offers what makes it possible, or tells why."""
        if self._editor.layer is None:
            self.begin(text)
        elif not self._editor.store.may_edit:
            self._offer_ways(self._editor.store)
        else:
            self.failed.emit(text)

    def bring_back(self, is_possible: bool) -> None:
        """The edits were rolled back."""
        if is_possible:
            store = self._editor.store
            self._notice.tell(tr("Unsaved labels were discarded."), (tr("Bring them back"), lambda: self._try(store.bring_back)))

    def _offer_ways(self, store: LabelStore) -> None:
        layer = store.layer
        text = tr("“{}” was not made by this dock; it stays as it is until you say otherwise.").format(layer.name())
        copy = (tr("Copy to a label layer…"), lambda: self._desk.open_tool("convertlabels", {"INPUT": layer}))
        self._notice.tell(text, (tr("Edit it as it is"), lambda: self._try(store.allow_editing)), copy)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except ToolboxError as failure:
            self.failed.emit(str(failure))
