# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of the table of labelled objects, sorted and filtered.

They come from the index, so that ten thousand labels cost no more than those in view.
"""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qgis.PyQt.QtWidgets import QWidget

from ...algorithms.label_schema import LabelSchema
from .label_index import LabelIndex, LabelRow
from .schema_tree import swatch
from .texts import tr

CLASS, AREA, SHARE, IMAGERY = range(4)  # columns
SORT_ROLE = Qt.ItemDataRole.UserRole
NO_PARENT = QModelIndex()
MANY = 50  # rows; one after the other, each removal would number all later rows anew


class ObjectsModel(QAbstractTableModel):
    """The rows of an index in the order in which the labels came."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._index: LabelIndex | None = None
        self._classes: dict[str, tuple[str, Any]] = {}  # name and swatch by value as text
        self.fids: list[int] = []
        self._places: dict[int, int] = {}

    def show_index(self, index: LabelIndex | None) -> None:
        """Shows another layer's labels."""
        self._index = index
        if index is not None:
            index.reset.connect(self._reset)
            index.added.connect(self._add)
            index.removed.connect(self._remove)
            index.updated.connect(self._update)
        self._reset()

    def show_schema(self, schema: LabelSchema) -> None:
        """Shows names and colours of these classes; after a change of colours alone the view is only to be painted anew."""
        before = {value: name for value, (name, _swatch) in self._classes.items()}
        self._classes = {str(entry.value): (entry.name, swatch(entry.color)) for entry in schema.classes}
        # Telling that all rows are others would sort ten thousand of them.
        if self.fids and before != {value: name for value, (name, _swatch) in self._classes.items()}:
            self.dataChanged.emit(self.index(0, CLASS), self.index(len(self.fids) - 1, CLASS))

    def row_of(self, fid: int) -> int | None:
        """Place of a label; None when it is not there."""
        return self._places.get(fid)

    def rowCount(self, parent: QModelIndex = NO_PARENT) -> int:
        return 0 if parent.isValid() else len(self.fids)

    def columnCount(self, parent: QModelIndex = NO_PARENT) -> int:
        return 0 if parent.isValid() else 4

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return (tr("Class"), tr("Area"), tr("Pixels"), tr("Imagery"))[section]
        return None

    def data(self, place: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self._index.rows.get(self.fids[place.row()]) if self._index is not None else None
        if row is None:
            return None
        column = place.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == SORT_ROLE:
            return (str(self._text(row, CLASS)).casefold(), row.area, row.area, row.imagery.casefold())[column]
        if role == Qt.ItemDataRole.DecorationRole and column == CLASS:
            return self._classes.get(str(row.value), ("", None))[1]
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (AREA, SHARE):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def _text(self, row: LabelRow, column: int) -> str:
        if column == CLASS:
            return self._classes.get(str(row.value), (str(row.value) if row.value is not None else tr("(no class)"), None))[0]
        if column == AREA:
            return format_area(row.area)
        if column == SHARE:
            total = self._index.total_area
            return f"{100 * row.area / total:.2f} %" if total > 0 else "–"
        return row.imagery

    def _reset(self) -> None:
        self.beginResetModel()
        self.fids = list(self._index.rows) if self._index is not None else []
        self._places = {fid: place for place, fid in enumerate(self.fids)}
        self.endResetModel()

    def _add(self, fids: list[int]) -> None:
        first = len(self.fids)
        self.beginInsertRows(NO_PARENT, first, first + len(fids) - 1)
        self.fids += fids
        self._places.update({fid: first + place for place, fid in enumerate(fids)})
        self.endInsertRows()

    def _remove(self, fids: list[int]) -> None:
        if len(fids) > MANY:
            self._reset()
            return
        for fid in fids:
            place = self._places.pop(fid)
            self.beginRemoveRows(NO_PARENT, place, place)
            del self.fids[place]
            for later in range(place, len(self.fids)):
                self._places[self.fids[later]] = later
            self.endRemoveRows()

    def _update(self, fids: list[int]) -> None:
        places = [self._places[fid] for fid in fids]
        self.dataChanged.emit(self.index(min(places), 0), self.index(max(places), IMAGERY))


class ObjectsFilter(QSortFilterProxyModel):
    """Shows the labels whose class or imagery holds a text, perhaps of one image only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSortRole(SORT_ROLE)
        self.setDynamicSortFilter(True)
        self._text, self._imagery = "", ""

    def set_filter(self, text: str, imagery: str) -> None:
        """Takes a text to look for and the name of the only image; each may be empty."""
        self._text, self._imagery = text.casefold(), imagery
        self.invalidateFilter()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        if not self._text and not self._imagery:
            return True
        model = self.sourceModel()
        name, imagery = (str(model.data(model.index(row, column))) for column in (CLASS, IMAGERY))
        if self._imagery and imagery != self._imagery:
            return False
        return self._text in name.casefold() or self._text in imagery.casefold()


def format_area(area: float) -> str:
    """An area in a unit that fits it."""
    if area >= 1e8:
        return f"{area / 1e6:,.2f} km²"
    if area >= 1e4:
        return f"{area / 1e4:,.2f} ha"
    return f"{area:,.0f} m²" if area >= 100 else f"{area:,.1f} m²"
