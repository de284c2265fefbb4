# SPDX-License-Identifier: GPL-2.0-or-later
"""The searchable list of spectral indices, in which those that the image cannot give are greyed out."""

from __future__ import annotations

import html
import re

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..algorithms.texts import tr
from ..backend.imagery.indices.catalogue import IndexDefinition, load_catalogue
from ..backend.imagery.indices.inputs import InputFinder, describe_name

NAME_ROLE = Qt.ItemDataRole.UserRole
COLUMN_WIDTHS = (120, 380, 90)  # pixels; the last column takes the rest


class IndexPicker(QDialog):
    """Shows the catalogue; `selection` is the new value of the parameter INDICES.

    Args:
        selection: The current value; its own formulas stay as they are.
        finder: Finds inputs in the image; None when there is no image yet, then nothing is greyed out.
        remark: One line about the image, shown on top.
        parent: The window it belongs to.
    """

    def __init__(self, selection: str, finder: InputFinder | None, remark: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("IndexPicker")
        self.setWindowTitle(tr("Spectral indices"))
        self.resize(820, 620)
        self._finder = finder
        entries = [entry.strip() for entry in re.split(r"[;,\n]+", selection) if entry.strip()]
        named = [_known_name(entry) for entry in entries]
        self._chosen = list(dict.fromkeys(name for name in named if name))  # in the order in which they were chosen
        self._kept = list(dict.fromkeys(entry for entry, name in zip(entries, named) if not name))
        self._build(remark)
        self._fill()
        self._filter()
        self._show_first()

    def _build(self, remark: str) -> None:
        self.search = QgsFilterLineEdit(self)
        self.search.setPlaceholderText(tr("Search names, titles, formulas, …"))
        self.search.setShowSearchIcon(True)
        self.search.textChanged.connect(self._filter)
        self.domain = QComboBox(self)
        self.domain.addItem(tr("All domains"), "")
        for domain in sorted({entry.domain for entry in load_catalogue().indices.values()}):
            self.domain.addItem(domain, domain)
        self.domain.currentIndexChanged.connect(self._filter)
        self.only_possible = QCheckBox(tr("Only what the image can give"), self)
        self.only_possible.setEnabled(self._finder is not None)
        self.only_possible.toggled.connect(self._filter)
        self.tree = QTreeWidget(self)
        self.tree.setHeaderLabels([tr("Name"), tr("Title"), tr("Domain"), tr("Needs")])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.currentItemChanged.connect(self._show_details)
        self.tree.itemChanged.connect(self._take_check)
        self.details = QTextBrowser(self)
        self.details.setOpenExternalLinks(True)
        self.details.setMaximumHeight(150)
        self.chosen_label = QLabel(self)
        self.chosen_label.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel, self)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        top = QHBoxLayout()
        top.addWidget(self.search, 1)
        top.addWidget(self.domain)
        layout = QVBoxLayout(self)
        note = QLabel(remark, self)
        note.setWordWrap(True)
        layout.addWidget(note)
        layout.addLayout(top)
        layout.addWidget(self.only_possible)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.details)
        layout.addWidget(self.chosen_label)
        layout.addWidget(buttons)

    def _fill(self) -> None:
        """One row per index; a row that the image cannot give is disabled and says in its tooltip what is missing."""
        self.tree.blockSignals(True)
        for name, entry in load_catalogue().indices.items():
            item = QTreeWidgetItem([name, entry.title, entry.domain, ", ".join(entry.parse().names)])
            item.setData(0, NAME_ROLE, name)
            item.setCheckState(0, Qt.CheckState.Checked if name in self._chosen else Qt.CheckState.Unchecked)
            missing = self._missing(entry)
            if missing:
                for column in range(self.tree.columnCount()):
                    item.setToolTip(column, tr("The image lacks {}.").format(missing))
                    item.setForeground(column, self.palette().mid())
            self._set_checkable(item)
            self.tree.addTopLevelItem(item)
        for column, width in enumerate(COLUMN_WIDTHS):
            self.tree.setColumnWidth(column, width)
        self.tree.blockSignals(False)
        self._show_chosen()

    def _set_checkable(self, item: QTreeWidgetItem) -> None:
        """A row that the image cannot give can be selected, to read its formula, but ticked only to be unticked again."""
        name = item.data(0, NAME_ROLE)
        if name not in self._chosen and not self.is_possible(name):
            item.setData(0, Qt.ItemDataRole.CheckStateRole, None)
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsUserCheckable)

    def _missing(self, entry: IndexDefinition) -> str:
        """What the image lacks for an index, described; empty when nothing, or when there is no image."""
        return ", ".join(map(describe_name, self._finder.find(entry).missing)) if self._finder else ""

    def is_possible(self, name: str) -> bool:
        """Whether the image has what an index needs."""
        return not self._missing(load_catalogue().indices[name])

    def _show_first(self) -> None:
        """Leads to the first chosen row, else to the first one, so that its formula is shown."""
        row = next((item for item in self._items() if item.data(0, NAME_ROLE) in self._chosen), self.tree.topLevelItem(0))
        self.tree.setCurrentItem(row)
        self.tree.scrollToItem(row)

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.tree.topLevelItem(row) for row in range(self.tree.topLevelItemCount())]

    def visible_names(self) -> list[str]:
        """Names of the rows that the search shows."""
        return [item.data(0, NAME_ROLE) for item in self._items() if not item.isHidden()]

    def _filter(self, *_: object) -> None:
        """Shows the rows that hold every word of the search."""
        words = self.search.text().casefold().split()
        domain = self.domain.currentData()
        for item in self._items():
            entry = load_catalogue().indices[item.data(0, NAME_ROLE)]
            text = " ".join((entry.name, entry.title, entry.domain, entry.formula, *entry.platforms)).casefold()
            is_shown = all(word in text for word in words) and domain in ("", entry.domain)
            is_wanted = not self.only_possible.isChecked() or entry.name in self._chosen or self.is_possible(entry.name)
            item.setHidden(not (is_shown and is_wanted))

    def _take_check(self, item: QTreeWidgetItem, _column: int) -> None:
        name = item.data(0, NAME_ROLE)
        is_checked = item.checkState(0) == Qt.CheckState.Checked
        if is_checked and name not in self._chosen:
            self._chosen.append(name)
        elif not is_checked and name in self._chosen:
            self._chosen.remove(name)
            self.tree.blockSignals(True)
            self._set_checkable(item)
            self.tree.blockSignals(False)
        self._show_chosen()

    def _show_chosen(self) -> None:
        lines = [tr("Chosen: {}").format(self.selection() or "–")]
        impossible = [name for name in self._chosen if not self.is_possible(name)]
        if impossible:
            lines.append(tr("Untick what the image cannot give, or choose another sensor: {}").format(", ".join(impossible)))
        self.chosen_label.setText("\n".join(lines))

    def _show_details(self, item: QTreeWidgetItem | None, _previous: object = None) -> None:
        """Formula, inputs, constants and reference of the current row."""
        if item is None:
            self.details.clear()
            return
        entry = load_catalogue().indices[item.data(0, NAME_ROLE)]
        constants = load_catalogue().constants
        defaults = [
            f"{name} = {constants[name].default:g} ({constants[name].title})"
            for name in entry.parse().names
            if name in constants and constants[name].default is not None
        ]
        missing = self._missing(entry)
        lines = [f"<b>{html.escape(entry.name)}</b> {html.escape(entry.title)}, {html.escape(entry.domain)}"]
        lines.append(f"<code>{html.escape(entry.formula)}</code>")
        lines += [html.escape(tr("Constants: {}").format("; ".join(defaults)))] if defaults else []
        lines += [html.escape(tr("The image lacks {}.").format(missing))] if missing else []
        lines.append(html.escape(tr("Made for: {}").format(", ".join(entry.platforms) or "–")))
        address = html.escape(entry.reference, quote=True)
        lines.append(f'<a href="{address}">{address}</a>' if re.match(r"https?://", entry.reference) else address)
        self.details.setHtml("<br>".join(lines))

    def selection(self) -> str:
        """The value of INDICES: the chosen names, then own formulas."""
        return ";".join([*self._chosen, *self._kept])


def _known_name(entry: str) -> str:
    """The catalogue's spelling of a name; empty for own formulas, unknown names, and those that two names have in other cases."""
    indices = load_catalogue().indices
    if entry in indices:
        return entry
    alike = [name for name in indices if name.casefold() == entry.casefold()]
    return alike[0] if len(alike) == 1 else ""
