# SPDX-License-Identifier: GPL-2.0-or-later
"""The dock “Label Objects”: layer and image above, the classes below them, then objects and export. It shows and emits only."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsMapLayerProxyModel
from qgis.gui import QgsDockWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QActionGroup,
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTabWidget,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .accept_bar import AcceptBar
from .export_tab import ExportTab
from .notice import Notice
from .objects_table import ObjectsTable
from .schema_tree import SchemaTree
from .texts import tr

ICON = 20  # pixels


class LabelDock(QgsDockWidget):
    """What the labeller sees.

    Signals:
        new_clicked, open_clicked, save_clicked, undo_clicked, redo_clicked: Buttons.
    """

    new_clicked = pyqtSignal()
    open_clicked = pyqtSignal()
    save_clicked = pyqtSignal()
    undo_clicked = pyqtSignal()
    redo_clicked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Label objects"), parent)
        self.setObjectName("DeepLearningToolboxLabels")  # QGIS restores its place by this name
        self.schema = SchemaTree()
        self.objects = ObjectsTable()
        self.export = ExportTab()
        self.notice = Notice()
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.only_unlabelled = QCheckBox(tr("Only unlabelled"))
        self.only_unlabelled.setToolTip(tr("Covers what is labelled already, so that the eye finds what is left."))
        self.preview = QPushButton()
        self.preview.setToolTip(tr("Learns from the labels so far, within seconds, and shows the classes of what is in view."))
        self.tabs = QTabWidget()
        self.tabs.addTab(self.objects, tr("Labelled objects"))
        self.tabs.addTab(self.export, tr("Export"))
        self.tabs.setTabToolTip(1, tr("Export training data"))
        upper = QWidget()
        layout = QVBoxLayout(upper)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.schema)
        layout.addWidget(self.hint)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(upper)
        splitter.addWidget(self.tabs)
        splitter.setChildrenCollapsible(False)
        body = QWidget()
        self.body = QVBoxLayout(body)
        self.body.setContentsMargins(6, 6, 6, 6)
        self.body.addLayout(self._build_input())
        self.body.addWidget(self.notice)
        self.body.addWidget(self._build_tools())
        self.body.addWidget(self._build_segments())
        self.guidance = QWidget()
        guidance = QHBoxLayout(self.guidance)
        guidance.setContentsMargins(0, 0, 0, 0)
        guidance.addWidget(self.only_unlabelled, 1)
        guidance.addWidget(self.preview)
        self.accept = AcceptBar()
        self.body.addWidget(self.guidance)
        self.body.addWidget(self.accept)
        self.body.addWidget(splitter, 1)
        self.setWidget(body)

    def add_section(self, widget: QWidget, before: QWidget | None = None) -> None:
        """Puts a widget below the tools, or before another one."""
        place = self.body.indexOf(before if before is not None else self.guidance)
        self.body.insertWidget(place, widget)

    def add_tab(self, widget: QWidget, title: str) -> None:
        """Adds a tab below the classes; what it shows stays at its top."""
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.addWidget(widget)
        layout.addStretch(1)
        self.tabs.addTab(page, title)

    def show_unsaved(self, unsaved: bool, may_undo: bool, may_redo: bool) -> None:
        """Which buttons have something to do."""
        self.save.setEnabled(unsaved)
        self.undo.setEnabled(may_undo)
        self.redo.setEnabled(may_redo)

    def _build_input(self) -> QFormLayout:
        self.layer = QgsMapLayerComboBox()
        self.layer.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.layer.setAllowEmptyLayer(True, tr("(none)"))
        self.layer.setMinimumContentsLength(10)
        self.layer.setCurrentIndex(0)  # not setLayer(None), which shows a blank line instead of that text
        self.imagery = QgsMapLayerComboBox()
        self.imagery.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.imagery.setAllowEmptyLayer(True)
        self.imagery.setMinimumContentsLength(10)
        self.imagery.setCurrentIndex(0)
        self.imagery.setToolTip(tr("The image that is labelled; its name is kept with each label."))
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.layer, 1)
        self.new = self._button(row, "mActionNewGeoPackageLayer.svg", tr("New label layer…"), self.new_clicked)
        self.open = self._button(row, "mActionFileOpen.svg", tr("Open labels…"), self.open_clicked)
        self.save = self._button(row, "mActionSaveEdits.svg", tr("Save labels"), self.save_clicked)
        form = QFormLayout()
        form.addRow(tr("Labels"), row)
        form.addRow(tr("Image"), self.imagery)
        return form

    def _build_tools(self) -> QWidget:
        self.tools = QToolBar()
        self.tools.setIconSize(QSize(ICON, ICON))
        self.tool_group = QActionGroup(self.tools)
        outer = QWidget()
        row = QHBoxLayout(outer)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.tools, 1)
        self.undo = self._button(row, "mActionUndo.svg", tr("Undo"), self.undo_clicked)
        self.redo = self._button(row, "mActionRedo.svg", tr("Redo"), self.redo_clicked)
        self.show_unsaved(False, False, False)
        return outer

    def _build_segments(self) -> QWidget:
        """Which layer the tool for segments takes them from; hidden while another tool draws."""
        self.segments = QgsMapLayerComboBox()
        self.segments.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.segments.setAllowEmptyLayer(True)
        self.segments.setLayer(None)
        self.segments.setToolTip(tr("Made with the tool “Segment image”."))
        self.segment_row = QWidget()
        row = QHBoxLayout(self.segment_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel(tr("Segments")))
        row.addWidget(self.segments, 1)
        self.segment_row.hide()
        return self.segment_row

    def _button(self, row: QHBoxLayout, icon: str, text: str, signal: object) -> QToolButton:
        button = QToolButton()
        button.setIcon(QgsApplication.getThemeIcon(f"/{icon}"))
        button.setIconSize(QSize(ICON, ICON))
        button.setToolTip(text)
        button.setAutoRaise(True)
        button.clicked.connect(lambda _checked=False: signal.emit())
        row.addWidget(button)
        return button
