# SPDX-License-Identifier: GPL-2.0-or-later
"""Edits of the class schema: what the tree wants is tried on schema and labels, and is made in both or in neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QMenu, QMessageBox

from ...algorithms.label_schema import LabelClass, LabelSchema
from ...algorithms.schema_files import read_schema_file
from ...backend.errors import ToolboxError
from .editor import LabelEditor
from .schema_source import classes_of_layer
from .schema_tree import SchemaTree
from .texts import tr

FILTER, READ_FILTER = "Class schema (*.json)", "Class schema (*.json *.ecs)"


def ask(parent: SchemaTree, text: str) -> bool:
    """A question that is answered with yes or no."""
    return QMessageBox.question(parent, tr("Label objects"), text) == QMessageBox.StandardButton.Yes


class SchemaEdits(QObject):
    """Connects the tree to the editor's schema.

    Args:
        tree: What the user edits.
        editor: Holds the schema and changes labels.
        project: Its layers offer their classes.
        confirm: Asks the user.

    Signals:
        edited: The schema is another one.
        failed: Why it is not.
    """

    edited = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(
        self, tree: SchemaTree, editor: LabelEditor, project: QgsProject, confirm: Callable[[SchemaTree, str], bool] = ask
    ) -> None:
        super().__init__(tree)
        self._tree, self._editor, self._project, self._confirm = tree, editor, project, confirm
        tree.add_wanted.connect(self.add)
        tree.change_wanted.connect(self.change)
        tree.remove_wanted.connect(self.remove)
        tree.order_wanted.connect(lambda values: self._take(lambda schema: schema.with_order(values)))
        tree.rename_wanted.connect(lambda name: self._take(lambda schema: replace(schema, name=name)))
        tree.refused.connect(self.failed)
        menu = tree.menu.menu()
        menu.addAction(tr("New"), self.start_anew)
        menu.addAction(tr("Open…"), self.open)
        menu.addAction(tr("Save as…"), self.save_as)
        self._layers: QMenu = menu.addMenu(tr("Add classes of layer"))
        self._layers.aboutToShow.connect(self._list_layers)

    def add(self) -> None:
        """Adds a class, chosen and ready to be named."""
        entry = self._editor.schema.next_class(tr("Class"))
        if self._take(lambda schema: schema.with_class(entry), entry.value):
            self._tree.edit_current()

    def change(self, value: int, entry: LabelClass) -> None:
        """Makes a class another, in its labels, too."""
        before = self._editor.schema.get(value)
        try:
            schema = self._editor.schema.with_changed(value, entry)
        except ToolboxError as failure:
            self._refuse(str(failure))
            return
        in_labels = (before.value, before.name, before.class_code) != (entry.value, entry.name, entry.class_code)
        if in_labels and self._editor.labels_of(value) and not self._editor.rewrite_class(value, entry):
            self._refuse("")
            return
        self._set(schema, entry.value if self._editor.current == value else self._editor.current)

    def remove(self, value: int) -> None:
        """Deletes a class, and its labels after a question."""
        entry, used = self._editor.schema.get(value), self._editor.labels_of(value)
        if used:
            text = tr("{} labels are of the class “{}”. Delete the class and these labels?").format(len(used), entry.name)
            if not self._confirm(self._tree, text) or not self._editor.delete(used):
                return
        schema = self._editor.schema.without(value)
        rest = [known.value for known in schema.classes]
        self._set(schema, self._editor.current if self._editor.current in rest else next(iter(rest), None))

    def start_anew(self) -> None:
        """Begins an empty schema; classes that labels use stay."""
        used = [entry for entry in self._editor.schema.classes if self._editor.labels_of(entry.value)]
        self._set(LabelSchema(tuple(used)), used[0].value if used else None)

    def open(self) -> None:
        """Adds the classes of a schema file."""
        path, _ = QFileDialog.getOpenFileName(self._tree, tr("Open class schema"), "", READ_FILTER)
        if path:
            self.read(path)

    def read(self, path: str) -> None:
        """Takes the schema in a file, after a question where it names classes in use anew; those that it lacks are kept."""
        try:
            schema = read_schema_file(path)
            used = [entry for entry in self._editor.schema.classes if self._editor.labels_of(entry.value)]
            schema = schema.with_missing(LabelSchema(tuple(used)).definitions())
        except ToolboxError as failure:
            self._refuse(str(failure))
            return
        if not self._rename([(entry, schema.get(entry.value)) for entry in used]):
            self._refuse("")
            return
        self._set(schema, next((entry.value for entry in schema.classes), None))

    def _rename(self, pairs: list[tuple[LabelClass, LabelClass]]) -> bool:
        """Writes other names and codes of classes into their labels, if the user agrees; returns whether labels and classes fit."""
        others = [(old, new) for old, new in pairs if (old.name, old.class_code) != (new.name, new.class_code)]
        named = [f"“{old.name}” → “{new.name}”" for old, new in others if old.name != new.name]
        if named:
            text = tr("In this file classes that labels use have other names ({}). Give these labels the names of the file?")
            if not self._confirm(self._tree, text.format(", ".join(named))):
                return False
        return all(self._editor.rewrite_class(old.value, new) for old, new in others)

    def save_as(self) -> None:
        """Writes the schema into a file."""
        path, _ = QFileDialog.getSaveFileName(self._tree, tr("Save class schema"), "", FILTER)
        if not path:
            return
        try:
            self._editor.schema.write(path if path.lower().endswith(".json") else f"{path}.json")
        except ToolboxError as failure:
            self.failed.emit(str(failure))

    def take_from(self, layer: QgsMapLayer) -> None:
        """Adds the classes of a layer that are not there yet."""
        try:
            classes = classes_of_layer(layer)
        except ToolboxError as failure:
            self._refuse(str(failure))
            return
        self._take(lambda schema: schema.with_missing(classes), classes[0].value if self._editor.current is None else None)

    def _list_layers(self) -> None:
        self._layers.clear()
        for node in self._project.layerTreeRoot().findLayers():
            layer = node.layer()
            if isinstance(layer, (QgsVectorLayer, QgsRasterLayer)) and layer is not self._editor.layer:
                self._layers.addAction(layer.name(), lambda layer=layer: self.take_from(layer))

    def _take(self, change: Callable[[LabelSchema], LabelSchema], current: int | None = None) -> bool:
        try:
            schema = change(self._editor.schema)
        except ToolboxError as failure:
            self._refuse(str(failure))
            return False
        self._set(schema, self._editor.current if current is None else current)
        return True

    def _set(self, schema: LabelSchema, current: int | None) -> None:
        self._editor.schema, self._editor.current = schema, current
        self.edited.emit()

    def _refuse(self, text: str) -> None:
        """Tells why not, and shows the schema as it is."""
        if text:
            self.failed.emit(text)
        self._tree.show_schema(self._editor.schema, self._editor.current)
        self.edited.emit()
