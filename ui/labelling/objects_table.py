# SPDX-License-Identifier: GPL-2.0-or-later
"""The labelled objects as a table in step with the layer's selection."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QItemSelection, QItemSelectionModel, QPoint, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QPushButton,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...algorithms.label_schema import LabelSchema
from .check_bar import CheckBar
from .objects_model import IMAGERY, ObjectsFilter, ObjectsModel
from .schema_tree import swatch
from .texts import tr

WIDTHS = (90, 70, 60)  # pixels; the last column takes the rest


class ObjectsTable(QWidget):
    """The table with its filter and buttons.

    Signals:
        selected: Ids of the labels that the user selected.
        zoom_wanted, delete_wanted: Ids.
        class_wanted: Ids, and the value of their new class.
    """

    selected = pyqtSignal(list)
    zoom_wanted = pyqtSignal(list)
    delete_wanted = pyqtSignal(list)
    class_wanted = pyqtSignal(list, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._showing, self._imagery, self._schema = False, "", LabelSchema()
        self.model, self.proxy = ObjectsModel(self), ObjectsFilter(self)
        # A deleted label leaves the selection, but not because the user selected others. Before the filter hears of it.
        self.model.rowsAboutToBeRemoved.connect(lambda *_rows: self._set_showing(True))
        self.model.rowsRemoved.connect(lambda *_rows: self._set_showing(False))
        self.proxy.setSourceModel(self.model)
        self.view = self._build_view()
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Class or image"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.only_image = QCheckBox(tr("This image only"))
        self.only_image.toggled.connect(self._filter)
        self.change = QToolButton()
        self.change.setText(tr("Change class"))
        self.change.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.change.setMenu(QMenu(self.change))
        self.change.menu().aboutToShow.connect(lambda: self._fill_classes(self.change.menu()))
        row = QHBoxLayout()
        row.addWidget(self.search, 1)
        row.addWidget(self.only_image)
        buttons = QHBoxLayout()
        self.zoom = self._button("mActionZoomToSelected.svg", tr("Zoom to the selected labels"), self.zoom_wanted)
        self.delete = self._button("mActionDeleteSelected.svg", tr("Delete the selected labels"), self.delete_wanted)
        for button in (self.zoom, self.change, self.delete):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self.check = QPushButton(tr("Check"))
        self.check.setToolTip(tr("Looks for labels that overlap and for outlines that cross themselves, and leads to them."))
        buttons.addWidget(self.check)
        self.check_bar = CheckBar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 4, 2, 2)
        layout.addLayout(row)
        layout.addWidget(self.view)
        layout.addLayout(buttons)
        layout.addWidget(self.check_bar)

    def show_schema(self, schema: LabelSchema) -> None:
        """Shows these classes by name and colour."""
        self._schema = schema
        self.model.show_schema(schema)
        self.view.viewport().update()

    def show_imagery(self, name: str) -> None:
        """The image that “This image only” means."""
        self._imagery = name
        self._filter()

    def show_selection(self, fids: list[int]) -> None:
        """Selects the rows of these labels and brings the first into view, without telling anybody."""
        self._showing = True
        selection = QItemSelection()
        rows = sorted(place for place in map(self.model.row_of, fids) if place is not None)
        for first, last in _runs(rows):
            selection.select(self.model.index(first, 0), self.model.index(last, IMAGERY))
        mapped = self.proxy.mapSelectionFromSource(selection)
        self.view.selectionModel().select(mapped, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if len(rows) == 1 and mapped.count():
            self.view.scrollTo(mapped.indexes()[0])
        self._showing = False

    def selected_fids(self) -> list[int]:
        """Ids of the labels selected in the table."""
        rows = self.view.selectionModel().selectedRows()
        return [self.model.fids[self.proxy.mapToSource(place).row()] for place in rows]

    def _build_view(self) -> QTableView:
        view = QTableView()
        view.setModel(self.proxy)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSortingEnabled(True)
        view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # in the order of drawing
        view.verticalHeader().hide()
        view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # measuring ten thousand rows would take seconds
        view.verticalHeader().setDefaultSectionSize(22)
        view.horizontalHeader().setStretchLastSection(True)
        for column, width in enumerate(WIDTHS):
            view.setColumnWidth(column, width)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._show_menu)
        view.doubleClicked.connect(lambda _place: self.zoom_wanted.emit(self.selected_fids()))
        view.selectionModel().selectionChanged.connect(self._tell_selection)
        return view

    def _button(self, icon: str, text: str, signal: Any) -> QToolButton:
        button = QToolButton()
        button.setIcon(QgsApplication.getThemeIcon(f"/{icon}"))
        button.setToolTip(text)
        button.setAutoRaise(True)
        button.clicked.connect(lambda _checked=False: signal.emit(self.selected_fids()))
        return button

    def _set_showing(self, showing: bool) -> None:
        self._showing = showing

    def _tell_selection(self, *_selections: object) -> None:
        if not self._showing:
            self.selected.emit(self.selected_fids())

    def _filter(self, *_state: object) -> None:
        self.proxy.set_filter(self.search.text(), self._imagery if self.only_image.isChecked() else "")

    def _fill_classes(self, menu: QMenu) -> None:
        menu.clear()
        for entry in self._schema.classes:
            action = menu.addAction(swatch(entry.color), entry.name)
            action.triggered.connect(lambda _checked=False, value=entry.value: self.class_wanted.emit(self.selected_fids(), value))

    def _show_menu(self, point: QPoint) -> None:
        menu = QMenu(self)
        menu.addAction(tr("Zoom to"), lambda: self.zoom_wanted.emit(self.selected_fids()))
        self._fill_classes(menu.addMenu(tr("Change class")))
        menu.addAction(tr("Delete"), lambda: self.delete_wanted.emit(self.selected_fids()))
        menu.popup(self.view.viewport().mapToGlobal(point))


def _runs(places: list[int]) -> list[tuple[int, int]]:
    """Ascending numbers as first and last of each unbroken run; a selection of ranges is quick, of single rows it is not."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs
