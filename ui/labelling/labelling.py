# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the labelling: connects dock, canvas, tools and keys with the label layer of the moment.

A layer keeps its store, and so its journal, until it leaves the project, also while another layer is labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qgis.core import QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QObject

from ...algorithms.label_schema import LabelSchema
from ...backend.errors import ToolboxError
from .accept import AcceptAreas
from .check import LabelCheck
from .class_defaults import set_defaults
from .class_keys import ClassKeys
from .classes_in_file import ClassesInFile
from .dock import LabelDock
from .dock_state import DockState
from .editor import LabelEditor
from .guidance import cover_labelled
from .label_index import LabelIndex
from .layer_files import LayerFiles
from .offers import Desk, Offers
from .open_stores import OpenStores
from .passing_layers import PassingLayers
from .preview import Preview
from .schema_edits import SchemaEdits
from .schema_source import classes_of_vector, schema_of_layer
from .sections import Sections
from .store import LabelStore
from .suggestions import likely_image, likely_labels
from .texts import tr
from .tool_switch import ToolSwitch

if TYPE_CHECKING:
    from .tools.base import LabelTool
    from .tools.transform import MoveRotateTool


class Labelling(QObject):
    """The labelling of one layer at a time.

    Args:
        dock: What the user sees; it belongs to whoever made it.
        canvas: Where it is drawn.
        messages: Where it is told what happened.
        project: Whose layers are labelled.
        desk: Ways to the rest of QGIS.
        tools: Drawing tools by name.
        mover: Moves and rotates labels.
    """

    def __init__(
        self,
        dock: LabelDock,
        canvas: QgsMapCanvas,
        messages: QgsMessageBar,
        project: QgsProject,
        desk: Desk,
        tools: Mapping[str, LabelTool],
        mover: MoveRotateTool | None = None,
    ) -> None:
        super().__init__(dock)
        self._dock, self._canvas, self._messages, self._project, self._desk = dock, canvas, messages, project, desk
        self._stores, self._passing = OpenStores(self), PassingLayers(project)
        self._links: list[tuple[Any, Callable[..., None]]] = []
        self._stopped = False
        self._keys: ClassKeys | None = None
        self.editor = LabelEditor(project, self)
        self.schema_edits = SchemaEdits(dock.schema, self.editor, project)
        self.switch = ToolSwitch(dock, canvas, self.editor, tools, mover)
        self.classes = ClassesInFile(self.editor, self)
        self.state = DockState(dock, self.editor, self.switch, self.classes)
        self.files = LayerFiles(dock, project)
        self.sections = Sections(dock, canvas, project)
        self.preview = Preview(dock.preview, canvas, project)
        self.accept = AcceptAreas(dock.accept, self.preview, self.switch, self.editor, canvas)
        self.check = LabelCheck(dock.objects.check_bar, self.editor, canvas)
        self.offers = Offers(dock.notice, self.editor, desk, self.files, self.save)
        self._connect()
        self.state.show_schema()
        self._take_imagery(dock.imagery.currentLayer())
        self.resume()

    # The dock's life.

    def resume(self) -> None:
        """Takes the keys; called when the dock is shown again."""
        if self._keys is None:
            widgets = (self._canvas, self._dock, self._dock.schema.tree, self._dock.objects.view)
            self._keys = ClassKeys(widgets, self.choose_key, self.switch.repeat, self)

    def pause(self) -> None:
        """Gives canvas and keys back while the dock is closed; labels and journal stay."""
        if self._keys is not None:
            self._keys.remove()
            self._keys = None
        self._dock.accept.accept.setChecked(False)
        self.switch.stop()
        self._dock.only_unlabelled.setChecked(False)

    def stop(self) -> None:
        """Lets everything go, before the dock is taken away; a second time does no harm."""
        if self._stopped:
            return
        self._stopped = True
        self.pause()
        self._leave_layer()
        self.preview.remove()
        self.switch.remove()
        self.sections.remove()
        self._stores.close()
        self._passing.remove()
        self._project.layersWillBeRemoved.disconnect(self._forget_removed)

    def suggest(self) -> None:
        """Chooses an image and a label layer of the project, where none is chosen."""
        for box, likely in ((self._dock.imagery, likely_image), (self._dock.layer, likely_labels)):
            found = likely(self._project) if box.currentLayer() is None else None
            if found is not None:
                box.setLayer(found)
        if self.editor.layer is None:
            self.offers.begin()

    # What the user asks for.

    def use_layer(self, layer: QgsVectorLayer | None) -> None:
        """Labels this layer from now on."""
        if layer is self.editor.layer:
            return
        self._leave_layer()
        if layer is None:
            self.offers.begin()
            return
        try:
            store = self._stores.of(layer)
            self.editor.store = store
            self.editor.schema = self._read_schema(layer)
            self.state.index = LabelIndex(store, self._project, self)
        except ToolboxError as failure:
            self._leave_layer()
            self._warn(str(failure))
            return
        self.editor.current = next((entry.value for entry in self.editor.schema.classes), None)
        self._follow(store, layer)
        self.state.show_schema()
        self.switch.show_layer()
        self.sections.show_layer(layer)
        self._dock.objects.model.show_index(self.state.index)
        self.state.show_sums()
        self.state.show_unsaved()
        self._desk.set_active_layer(layer)
        self.offers.meet(store)

    def save(self) -> None:
        """Writes all edits, and the classes, into the file."""
        store = self.editor.store
        if self.editor.layer is None:
            return
        try:
            store.save()
        except ToolboxError as failure:
            self._warn(str(failure))
        else:
            self.classes.store()
        self.state.show_unsaved()

    def choose(self, value: int) -> None:
        """Draws this class from now on."""
        self.editor.current = value
        self._dock.schema.show_current(value)
        self.state.show_class()

    def choose_key(self, digit: str) -> bool:
        """Draws the class of this key from now on; returns whether there is one."""
        entry = self.editor.schema.by_shortcut(digit)
        if entry is not None:
            self.choose(entry.value)
        return entry is not None

    def zoom_to(self, fids: list[int]) -> None:
        """Shows these labels on the canvas."""
        if self.editor.layer is not None and fids:
            self._canvas.zoomToFeatureIds(self.editor.layer, fids)

    def toggle_preview(self) -> None:
        """Shows at once what the labels so far teach, or stops that."""
        image, layer = self._dock.imagery.currentLayer(), self.editor.layer
        if self.preview.is_running:
            self.preview.stop()
        elif image is None or layer is None:
            self._warn(tr("Choose an image and a label layer first."))
        else:
            self.preview.start(image, layer, self.editor.store.fields)

    def export(self) -> None:
        """Opens the export tool, filled in."""
        image, layer = self._dock.imagery.currentLayer(), self.editor.layer
        if image is not None and layer is not None:
            self._desk.open_tool("exporttrainingdata", self._dock.export.parameters(image, layer, self.editor.store.fields))

    # What happens.

    def _connect(self) -> None:
        dock, edit = self._dock, self.editor
        dock.layer.layerChanged.connect(self.use_layer)
        dock.imagery.layerChanged.connect(self._take_imagery)
        for signal, slot in (
            (dock.new_clicked, self.files.ask_new),
            (dock.open_clicked, self.files.ask_open),
            (self.files.made, self._take_new),
            (self.files.failed, self._warn),
            (dock.save_clicked, self.save),
            (dock.undo_clicked, lambda: edit.layer is not None and edit.layer.undoStack().undo()),
            (dock.redo_clicked, lambda: edit.layer is not None and edit.layer.undoStack().redo()),
            (dock.schema.chosen, self.choose),
            (dock.objects.selected, lambda fids: edit.layer is not None and edit.layer.selectByIds(fids)),
            (dock.objects.zoom_wanted, self.zoom_to),
            (dock.objects.delete_wanted, edit.delete),
            (dock.objects.class_wanted, edit.set_class),
            (dock.objects.check.clicked, lambda _checked: self.check.start(self.state.index)),
            (dock.export.export_clicked, self.export),
            (dock.only_unlabelled.toggled, lambda on: cover_labelled(self._canvas, edit.layer, on)),
            (dock.closedStateChanged, lambda closed: self.pause() if closed else self.resume()),
            (self.schema_edits.edited, self._schema_edited),
            (self.schema_edits.failed, self._warn),
            (edit.refused, self.offers.refuse),
            (edit.told, self._tell),
            (self.offers.failed, self._warn),
            (self.preview.failed, self._warn),
            (self.classes.failed, self._warn),
            (self.classes.stored, self.state.show_class),
            (self.classes.stored, self.state.show_unsaved),
            (self.state.failed, self._warn),
            (self.sections.failed, self._warn),
            (dock.preview.clicked, lambda _checked: self.toggle_preview()),
        ):
            signal.connect(slot)
        self._project.layersWillBeRemoved.connect(self._forget_removed)

    def _follow(self, store: LabelStore, layer: QgsVectorLayer) -> None:
        self._links = [
            (layer.selectionChanged, self.state.show_selection),
            (layer.undoStack().indexChanged, self.state.show_unsaved),
            (layer.editingStarted, self.state.show_unsaved),
            (layer.editingStopped, self.state.show_unsaved),
            (store.saved, self._dock.notice.clear),
            (store.saved, self.state.show_unsaved),
            (store.discarded, self.offers.bring_back),
            (store.discarded, self.state.show_unsaved),
            (store.recovered, self.offers.tell_recovered),
            (store.failed, self._warn),
            (self.state.index.summed, self.state.show_sums),
        ]
        for signal, slot in self._links:
            signal.connect(slot)

    def _leave_layer(self) -> None:
        """Ends the work on the layer; its store goes on keeping the journal."""
        cover_labelled(self._canvas, None, False)
        self.check.end()
        self.classes.leave()
        store = self.editor.store
        if self.state.index is not None:
            if store.is_alive:
                set_defaults(store, None, "")
                for signal, slot in self._links:
                    signal.disconnect(slot)
            self._dock.objects.model.show_index(None)
            self.state.index.close()
            self.state.index.deleteLater()
            self.state.index = None
        self._links = []
        self.editor.store = None
        self.switch.show_layer()
        self.sections.show_layer(None)
        self._dock.notice.clear()
        self.state.show_sums()
        self.state.show_unsaved()

    def _take_new(self, layer: QgsVectorLayer) -> None:
        """Labels a new layer with the present classes."""
        schema = self.editor.schema
        self._dock.layer.setLayer(layer)
        self._dock.schema.tree.setFocus()  # the button that was pressed is gone; the next digit is not meant for the search
        if schema.classes and self.editor.layer is layer:
            self.editor.schema, self.editor.current = schema, schema.classes[0].value
            self._schema_edited()
            self.classes.store()

    def _forget_removed(self, ids: list[str]) -> None:
        if self.editor.layer is not None and self.editor.layer.id() in ids:
            self._leave_layer()
            self._dock.layer.setCurrentIndex(0)  # the box would show a neighbour, which is not labelled
        self._stores.forget(ids)

    def _read_schema(self, layer: QgsVectorLayer) -> LabelSchema:
        """The layer's schema; a layer whose classes are not usable is shown with none and the reason."""
        try:
            self.editor.store.codes = classes_of_vector(layer)[1]
            return schema_of_layer(layer)
        except ToolboxError as failure:
            self._warn(str(failure))
            return LabelSchema()

    def _take_imagery(self, layer: QgsMapLayer | None) -> None:
        self.editor.imagery = layer.name() if layer is not None else ""
        self._dock.objects.show_imagery(self.editor.imagery)
        self.sections.show_image(layer)
        self.state.show_class()
        self.state.show_sums()

    def _schema_edited(self) -> None:
        """Shows the schema, and lets the layer carry it."""
        self.state.show_schema()
        self.state.show_sums()
        if self.classes.apply():
            cover_labelled(self._canvas, self.editor.layer, self._dock.only_unlabelled.isChecked())
            self.state.show_unsaved()

    def _warn(self, text: str) -> None:
        self._messages.pushWarning(self._dock.windowTitle(), text)

    def _tell(self, text: str) -> None:
        self._messages.clearWidgets()  # the last hint is past when the next shape is drawn
        self._messages.pushInfo(self._dock.windowTitle(), text)
