# SPDX-License-Identifier: GPL-2.0-or-later
"""The class schema as a tree: name, value, key, and how much is labelled.

It shows, and tells what the user wants; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qgis.core import QgsApplication
from qgis.gui import QgsColorDialog
from qgis.PyQt.QtCore import QPoint, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...algorithms.label_schema import LabelClass, LabelSchema
from ...backend.errors import ToolboxError
from .label_index import ClassSum
from .texts import tr

NAME, VALUE, KEY, COUNT, SHARE = range(5)  # columns
SWATCH = 14  # pixels
CLASS_ROLE = Qt.ItemDataRole.UserRole


class SchemaTree(QWidget):
    """The classes below the schema's name.

    Signals:
        chosen: Value of the class to draw.
        add_wanted: A new class.
        change_wanted: Value of a class, and what it should be.
        remove_wanted: Value of a class.
        order_wanted: The values in a new order.
        rename_wanted: The schema's new name.
        refused: Why an entry cannot be.
    """

    chosen = pyqtSignal(int)
    add_wanted = pyqtSignal()
    change_wanted = pyqtSignal(int, object)
    remove_wanted = pyqtSignal(int)
    order_wanted = pyqtSignal(list)
    rename_wanted = pyqtSignal(str)
    refused = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._schema = LabelSchema()
        self._showing = False
        self.tree = self._build_tree()
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(2)
        self.add = self._button("symbologyAdd.svg", tr("Add class"), self.add_wanted.emit)
        self.remove = self._button("symbologyRemove.svg", tr("Delete class"), self._remove)
        self.color = self._button("mIconColorPicker.svg", tr("Colour…"), self._pick_color)
        self.up = self._button("mActionArrowUp.svg", tr("Up"), lambda: self._move(-1))
        self.down = self._button("mActionArrowDown.svg", tr("Down"), lambda: self._move(1))
        self.buttons.addStretch(1)
        self.menu = QToolButton()
        self.menu.setText(tr("Schema"))
        self.menu.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu.setMenu(QMenu(self.menu))
        self.buttons.addWidget(self.menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        layout.addLayout(self.buttons)

    def show_schema(self, schema: LabelSchema, current: int | None) -> None:
        """Shows these classes with the current one chosen."""
        self._schema, self._showing = schema, True
        self.tree.clear()
        root = QTreeWidgetItem(self.tree, [schema.name or tr("New schema")])
        root.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsEditable)
        root.setFirstColumnSpanned(True)
        for entry in schema.classes:
            item = QTreeWidgetItem(root, [entry.name, str(entry.value), entry.shortcut])
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            item.setIcon(NAME, swatch(entry.color))
            item.setData(NAME, CLASS_ROLE, entry.value)
            for column in (VALUE, KEY, COUNT, SHARE):
                item.setTextAlignment(column, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter))
        root.setExpanded(True)
        self._showing = False
        self.show_current(current)

    def show_current(self, value: int | None) -> None:
        """Chooses a class without telling anybody."""
        self._showing = True
        for item in self._items():
            if item.data(NAME, CLASS_ROLE) == value:
                self.tree.setCurrentItem(item)
        self._showing = False
        is_class = self._current() is not None
        for button in (self.remove, self.color, self.up, self.down):
            button.setEnabled(is_class)

    def show_sums(self, sums: Mapping[Any, ClassSum], total: float) -> None:
        """Shows the number of labels and the share of the labelled pixels of each class."""
        self._showing = True
        for item in self._items():
            value = item.data(NAME, CLASS_ROLE)
            entry = sums.get(value) or ClassSum()
            item.setText(COUNT, f"{entry.count:,}")
            item.setText(SHARE, f"{100 * entry.area / total:.1f} %" if total > 0 and entry.count else "–")
        self._showing = False

    def edit_current(self) -> None:
        """Lets the user type the name of the current class."""
        if self.tree.currentItem() is not None:
            self.tree.editItem(self.tree.currentItem(), NAME)

    def _build_tree(self) -> QTreeWidget:
        tree = QTreeWidget()
        tree.setHeaderLabels([tr("Class"), tr("Value"), tr("Key"), tr("Labels"), tr("Pixels")])
        tree.header().setStretchLastSection(False)
        tree.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        tree.header().setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        tree.setRootIsDecorated(False)
        tree.setIndentation(12)
        tree.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        tree.customContextMenuRequested.connect(self._show_menu)
        tree.currentItemChanged.connect(self._choose)
        tree.itemChanged.connect(self._edited)
        return tree

    def _button(self, icon: str, text: str, run: Any) -> QToolButton:
        button = QToolButton()
        button.setIcon(QgsApplication.getThemeIcon(f"/{icon}"))
        button.setToolTip(text)
        button.setAutoRaise(True)
        button.clicked.connect(lambda _checked=False: run())
        self.buttons.addWidget(button)
        return button

    def _items(self) -> list[QTreeWidgetItem]:
        root = self.tree.topLevelItem(0)
        return [root.child(place) for place in range(root.childCount())] if root is not None else []

    def _current(self) -> LabelClass | None:
        item = self.tree.currentItem()
        value = item.data(NAME, CLASS_ROLE) if item is not None else None
        return self._schema.get(value) if value is not None else None

    def _choose(self, *_items: object) -> None:
        entry = self._current()
        for button in (self.remove, self.color, self.up, self.down):
            button.setEnabled(entry is not None)
        if entry is not None and not self._showing:
            self.chosen.emit(entry.value)

    def _edited(self, item: QTreeWidgetItem, column: int) -> None:
        """The user has typed a name, value or key."""
        if self._showing:
            return
        text, value = item.text(column).strip(), item.data(NAME, CLASS_ROLE)
        if value is None:
            self.rename_wanted.emit(text)
            return
        entry = self._schema.get(value)
        try:
            if column == NAME:
                changed = replace(entry, name=text)
            elif column == VALUE:
                if not text.isdecimal():
                    raise ToolboxError(tr("The class value “{}” is no whole number; type one from 1 to 65,534.").format(text))
                changed = replace(entry, value=int(text))
            elif column == KEY:
                changed = replace(entry, shortcut=text)
            else:
                changed = entry
        except ToolboxError as failure:
            self.refused.emit(str(failure))
            self.show_schema(self._schema, value)
            return
        self.change_wanted.emit(value, changed)

    def _remove(self) -> None:
        entry = self._current()
        if entry is not None:
            self.remove_wanted.emit(entry.value)

    def _pick_color(self) -> None:
        entry = self._current()
        if entry is None:
            return
        color = QgsColorDialog.getColor(QColor(*entry.color), self, tr("Colour of {}").format(entry.name))
        if color.isValid():
            self.change_wanted.emit(entry.value, replace(entry, color=(color.red(), color.green(), color.blue())))

    def _move(self, by: int) -> None:
        entry = self._current()
        values = [known.value for known in self._schema.classes]
        if entry is None or not 0 <= values.index(entry.value) + by < len(values):
            return
        place = values.index(entry.value)
        values[place], values[place + by] = values[place + by], values[place]
        self.order_wanted.emit(values)

    def _show_menu(self, point: QPoint) -> None:
        menu = QMenu(self)
        menu.addAction(tr("Add class"), self.add_wanted.emit)
        if self._current() is not None:
            menu.addAction(tr("Rename"), self.edit_current)
            menu.addAction(tr("Colour…"), self._pick_color)
            menu.addAction(tr("Delete class"), self._remove)
        menu.popup(self.tree.viewport().mapToGlobal(point))


def swatch(color: tuple[int, int, int]) -> QIcon:
    """A square of a colour."""
    pixmap = QPixmap(SWATCH, SWATCH)
    pixmap.fill(QColor(*color))
    return QIcon(pixmap)
