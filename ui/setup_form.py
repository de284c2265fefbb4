# SPDX-License-Identifier: GPL-2.0-or-later
"""The widgets of the set-up dialog and how they are filled; they start nothing."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import QCoreApplication, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..backend.runtime.interpreter import PYTHON_VARIABLE
from ..backend.runtime.setup.encoder_files import list_encoders
from ..backend.runtime.setup.marker import EnvironmentState
from .setup_findings import Wish

BACKBONE = "resnet34"  # the default of trainmodel
_SHOWN_ROWS = ("System", "QGIS", "Graphics", "Free disk space", "Network", "Environment", f"Variable {PYTHON_VARIABLE}")


class Tone(enum.Enum):
    """Colours of the headline's bar; the words say the same."""

    GOOD = "#2a9d3a"
    WARN = "#d9901a"
    BAD = "#c0392b"
    BUSY = "#3b6ea5"


class SetupForm(QObject):
    """Lays itself out in a dialog.

    Signals:
        changed: One of the choices did.
    """

    changed = pyqtSignal()

    def __init__(self, dialog: QDialog) -> None:
        super().__init__(dialog)
        self._dialog = dialog
        layout = QVBoxLayout(dialog)
        layout.addWidget(self._make_headline())
        layout.addWidget(self._make_findings())
        layout.addWidget(self._make_choices())
        layout.addLayout(self._make_progress())
        layout.addWidget(self._make_log(), 1)
        layout.addLayout(self._make_buttons())
        dialog.setMinimumWidth(640)
        self.set_busy(False)
        self._show_source()

    def tr(self, text: str) -> str:
        """The text in QGIS's language."""
        return QCoreApplication.translate("DeepLearningToolbox", text)

    # What the user has chosen

    def wish(self) -> Wish:
        """What decides about the build and the place."""
        folder, python = self._folder.filePath(), self._python.filePath()
        return Wish(str(self._device.currentData()), Path(folder) if folder else None, Path(python) if python else None)

    def choose(self, device: str, folder: str) -> None:
        """Fills in choices made before."""
        self._device.setCurrentIndex(max(self._device.findData(device), 0))
        self._folder.setFilePath(folder)

    def find_gap(self) -> str:
        """What has to be filled in for the chosen source, empty when nothing."""
        if self._source.currentData() == "net" or self._place.filePath():
            return ""
        if self._source.currentData() == "wheels":
            return self.tr("Choose the folder of wheels.")
        return self.tr("Choose the Python to use.")

    def parameters(self, action: str) -> dict[str, Any]:
        """The parameters of `installbackend` for what is chosen; ``action`` is install or repair."""
        source = self._source.currentData()
        if source == "use":
            return {"ACTION": "use", "PYTHON": self._place.filePath()}
        chosen = {
            "ACTION": action,
            "DEVICE": self._device.currentData(),
            "FOLDER": self._folder.filePath(),
            "PYTHON": self._python.filePath(),
        }
        if source == "wheels":
            return {**chosen, "WHEELS": self._place.filePath()}
        return {**chosen, "ENCODERS": self._encoders.currentData()}

    # What is shown

    def say(self, tone: Tone, headline: str, text: str) -> None:
        """Fills the headline."""
        self._headline.setText(headline)
        self._subline.setText(text)
        self._subline.setVisible(bool(text))
        self._banner.setStyleSheet(f"QFrame#banner {{ border: none; border-left: 6px solid {tone.value}; }}")
        self._fit()

    def show_findings(self, rows: dict[str, str]) -> None:
        """Fills the list of what was found."""
        for name, label in self._rows.items():
            label.setText(rows.get(name, ""))
            for widget in (label, self._findings.labelForField(label)):
                widget.setVisible(bool(rows.get(name)))
        self._fit()

    def show_plan(self, text: str, command: str) -> None:
        """Says what would be installed, and how a folder of wheels is made."""
        self._plan.setText(text)
        hint = self.tr(
            "Made by this command on a computer of the same system that has a network, this Python, and a copy of the plugin's folder:"
        )
        self._hint.setText(f"{hint}<br><code>{command}</code>")
        self._fit()

    def show_state(self, state: EnvironmentState, has_setting: bool) -> None:
        """Lets the buttons fit what there is: an environment, or the setting of another Python."""
        self.install.setText(self.tr("Update") if state is EnvironmentState.OUTDATED else self.tr("Install"))
        self.repair.setEnabled(state is not EnvironmentState.ABSENT)
        self.remove.setEnabled(state is not EnvironmentState.ABSENT or has_setting)

    def set_busy(self, is_busy: bool, is_installing: bool = True) -> None:
        """Shows the progress, or gives the choices free again."""
        for widget in (self._choices, self.install, self.repair, self.remove):
            widget.setEnabled(not is_busy)
        self.cancel.setVisible(is_busy)
        self.cancel.setEnabled(True)
        self._bar.setVisible(is_busy)
        self._bar.setRange(0, 1000 if is_installing else 0)
        self._bar.setValue(0)
        self.show_step("", "")
        self._elapsed.clear()

    def show_step(self, text: str, detail: str) -> None:
        """Says what is being done."""
        self._step.setText(text)
        self.show_detail(detail)

    def show_detail(self, text: str) -> None:
        """Shows the numbers that run within a step."""
        self._detail.setText(text)

    def show_progress(self, percent: float) -> None:
        """Moves the bar."""
        self._bar.setValue(round(10 * percent))

    def show_elapsed(self, seconds: float) -> None:
        """Shows how long it has been going on."""
        self._elapsed.setText(f"{int(seconds) // 60}:{int(seconds) % 60:02d}")

    def _fit(self) -> None:
        """Makes the dialog high enough for texts that got longer: a layout by itself cuts wrapped lines off."""
        layout = self._dialog.layout()
        if layout is None:
            return
        layout.activate()
        needed = layout.totalHeightForWidth(self._dialog.width())
        screen = self._dialog.screen().availableGeometry().height() if self._dialog.screen() else needed
        self._dialog.resize(self._dialog.width(), min(max(self._dialog.height(), needed), screen))

    # How it is made

    def _make_headline(self) -> QFrame:
        self._banner = QFrame()
        self._banner.setObjectName("banner")
        self._headline, self._subline = _make_label(), _make_label()
        font = self._headline.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.2)
        self._headline.setFont(font)
        layout = QVBoxLayout(self._banner)
        layout.addWidget(self._headline)
        layout.addWidget(self._subline)
        return self._banner

    def _make_findings(self) -> QGroupBox:
        group = QGroupBox(self.tr("This computer"))
        layout = self._findings = QFormLayout(group)
        self._rows = {name: _make_label() for name in _SHOWN_ROWS}
        for name, label in self._rows.items():
            layout.addRow(f"{name}:", label)
        return group

    def _make_choices(self) -> QGroupBox:
        self._choices = QGroupBox(self.tr("Installation"))
        column = QVBoxLayout(self._choices)
        self._layout = QFormLayout()
        column.addLayout(self._layout)
        self._source = _make_combo(
            {
                self.tr("Environment of its own, from the internet"): "net",
                self.tr("Environment of its own, from a folder of wheels"): "wheels",
                self.tr("Use a Python that has everything"): "use",
            }
        )
        self._given = QWidget()  # one row for both, since an empty row would leave a gap
        self._place, self._hint = QgsFileWidget(), _make_label()
        given = QVBoxLayout(self._given)
        given.setContentsMargins(0, 0, 0, 0)
        given.addWidget(self._place)
        given.addWidget(self._hint)
        self._device = _make_combo(
            {self.tr("Automatic"): "auto", self.tr("NVIDIA graphics card (CUDA)"): "cuda", self.tr("CPU only"): "cpu"}
        )
        self._encoders = _make_combo({self.tr("none"): "", **{name: name for name in list_encoders()}})
        self._encoders.setCurrentText(BACKBONE)  # with it, a training needs fewer labels
        self._folder = QgsFileWidget()
        self._folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self._folder.lineEdit().setPlaceholderText(self.tr("in your user data"))
        self._python = QgsFileWidget()
        self._python.setFilter(self.tr("Programs (*)"))
        self._python.lineEdit().setPlaceholderText(self.tr("the one of QGIS, if it is 3.10 or later"))
        self._plan = _make_label()
        for text, widget in (
            (self.tr("Libraries:"), self._source),
            ("", self._given),
            (self.tr("Build for:"), self._device),
            (self.tr("Pretrained encoder:"), self._encoders),
            (self.tr("Folder:"), self._folder),
            (self.tr("Build on Python:"), self._python),
        ):
            self._layout.addRow(text, widget)
        column.addWidget(self._plan)
        self._source.currentIndexChanged.connect(self._show_source)
        self._device.currentIndexChanged.connect(self.changed)
        for widget in (self._folder, self._python):
            widget.fileChanged.connect(self.changed)
        return self._choices

    def _make_progress(self) -> QVBoxLayout:
        self._bar, self._step, self._detail, self._elapsed = QProgressBar(), _make_label(), _make_label(), QLabel()
        line = QHBoxLayout()
        line.addWidget(self._step, 1)
        line.addWidget(self._elapsed, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout()
        layout.addWidget(self._bar)
        layout.addLayout(line)
        layout.addWidget(self._detail)
        return layout

    def _make_log(self) -> QgsCollapsibleGroupBox:
        self.log_group = QgsCollapsibleGroupBox(self.tr("Log"))
        self.log_group.setCollapsed(True)
        self.log_group.collapsedStateChanged.connect(self._fit)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.log.setMinimumHeight(140)
        layout = QVBoxLayout(self.log_group)
        layout.addWidget(self.log)
        return self.log_group

    def _make_buttons(self) -> QHBoxLayout:
        self.copy = QPushButton(self.tr("Copy diagnostics"))
        self.repair = QPushButton(self.tr("Repair"))
        self.remove = QPushButton(self.tr("Remove…"))
        self.cancel = QPushButton(self.tr("Cancel"))
        self.install = QPushButton(self.tr("Install"))
        self.install.setDefault(True)
        self.close = QPushButton(self.tr("Close"))
        layout = QHBoxLayout()
        for button in (self.copy, self.repair, self.remove):
            layout.addWidget(button)
        layout.addStretch(1)
        for button in (self.cancel, self.install, self.close):
            layout.addWidget(button)
        return layout

    def _show_source(self) -> None:
        """Shows the fields that the chosen source needs."""
        source = self._source.currentData()
        mode = QgsFileWidget.StorageMode
        self._place.setStorageMode(mode.GetFile if source == "use" else mode.GetDirectory)
        self._place.setFilter(self.tr("Programs (*)") if source == "use" else "")
        self._place.lineEdit().setPlaceholderText(
            self.tr("interpreter, e.g. bin/python of an environment") if source == "use" else self.tr("folder of wheels")
        )
        for widget, is_shown in (
            (self._given, source != "net"),
            (self._hint, source == "wheels"),
            (self._device, source != "use"),
            (self._encoders, source == "net"),
            (self._folder, source != "use"),
            (self._python, source != "use"),
            (self._plan, source == "net"),
        ):
            widget.setVisible(is_shown)
            label = self._layout.labelForField(widget)
            if label is not None:
                label.setVisible(is_shown)
        self.changed.emit()


def _make_label() -> QLabel:
    """A label for text of any length, which can be copied."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _make_combo(entries: dict[str, str]) -> QComboBox:
    """A choice among texts that stand for words."""
    combo = QComboBox()
    for text, word in entries.items():
        combo.addItem(text, word)
    return combo
