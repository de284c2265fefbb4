# SPDX-License-Identifier: GPL-2.0-or-later
"""The training monitor: follows the trainings of this computer by the files in their jobs' folders, and ends them by such files.

It knows no threads: a timer looks every half second while the dock is visible. So it shows a training whoever started it: a dialog,
a model, another QGIS, or a QGIS that is gone. Closing the dock, or unloading the plugin, ends no training.
"""

from __future__ import annotations

import time
from pathlib import Path

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QTimer, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QMessageBox

from ..backend.runtime.jobs import list_jobs
from ..backend.runtime.protocol import CANCEL_FILE, STOP_FILE
from .training_dock import TrainingDock, tr
from .training_run import State, TrainingRun, describe_run, peek_state

STAGE = "train"
OPENS = "deep_learning_toolbox/monitor_opens"
INTERVAL = 500  # milliseconds between two looks
CATCHING_UP = 20  # milliseconds, while there is more to read


def opens_by_itself() -> bool:
    """Whether the user wants the monitor to open when a training starts."""
    return bool(QgsSettings().value(OPENS, True, type=bool))


class TrainingMonitor:
    """Drives the dock.

    Args:
        dock: Made for it; belongs to the caller.
    """

    def __init__(self, dock: TrainingDock) -> None:
        self.dock = dock
        self.run: TrainingRun | None = None
        self._folders: list[Path] = []
        self._timer = QTimer(dock)
        self._timer.timeout.connect(self.look)
        dock.run_chosen.connect(self._choose)
        dock.stop_clicked.connect(self._stop)
        dock.cancel_clicked.connect(self._cancel)
        dock.report_clicked.connect(self._open_report)
        dock.opens.setChecked(opens_by_itself())
        dock.opens_changed.connect(lambda wanted: QgsSettings().setValue(OPENS, wanted))
        dock.visibilityChanged.connect(self._follow_visibility)

    def open(self, folder: Path | None = None) -> None:
        """Shows a training: the given one, else the one shown, else the newest that runs, else the newest."""
        self._list()
        if folder is None and self.run is not None and self.run.folder in self._folders and not self.run.is_over:
            folder = self.run.folder
        if folder is None:
            running = [other for other in self._folders if peek_state(other) is State.RUNNING]
            folder = next(iter([*running, *self._folders]), None)
        if folder is not None and folder not in self._folders:
            self._folders.insert(0, folder)
        self._show_list(folder)
        self._follow(folder)
        self._timer.start(INTERVAL)

    def stop(self) -> None:
        """Stops looking, before the plugin is unloaded."""
        self._timer.stop()

    def look(self) -> None:
        """Reads what is new and shows it."""
        if self.run is None:
            self._timer.stop()
            return
        if not self.run.folder.is_dir():
            self._leave()
            return
        before = self.run.state
        self.run.look()
        self.dock.show_run(self.run, time.time(), (self.run.folder / STOP_FILE).exists())
        self._timer.setInterval(CATCHING_UP if self.run.is_behind else INTERVAL)
        if self.run.state is not before:  # now its request is there, or it has ended
            self._show_list(self.run.folder)
        if self.run.is_over and not self.run.is_behind:
            self._timer.stop()

    def _leave(self) -> None:
        """The folder of the training shown was removed."""
        self.run = None
        self._list()
        self._show_list(None)
        self.dock.show_nothing()
        self._timer.stop()

    def _list(self) -> None:
        # A folder without a request is of a job that failed before it began.
        self._folders = [folder for folder in list_jobs(STAGE) if (folder / "request.json").is_file()]

    def _show_list(self, chosen: Path | None) -> None:
        words = {
            State.STARTING: tr("starting"),
            State.DONE: tr("finished"),
            State.FAILED: tr("failed"),
            State.CANCELLED: tr("cancelled"),
            State.LOST: tr("interrupted"),
        }
        names = []
        for folder in self._folders:
            state = self.run.state if self.run is not None and self.run.folder == folder else peek_state(folder)
            names.append(f"{describe_run(folder)}  ({words.get(state, tr('running'))})")
        self.dock.show_runs(names, self._folders.index(chosen) if chosen in self._folders else -1)

    def _choose(self, place: int) -> None:
        if 0 <= place < len(self._folders):
            self._follow(self._folders[place])
            self._timer.start(INTERVAL)

    def _follow(self, folder: Path | None) -> None:
        """Shows another training from its first event on."""
        if folder is None:
            self.run = None
            self.dock.show_nothing()
        else:
            if self.run is None or self.run.folder != folder:
                self.run = TrainingRun(folder)
            self.look()

    def _stop(self) -> None:
        self._leave_word(STOP_FILE)

    def _cancel(self) -> None:
        question = tr("Cancel the training? No model is written; “Stop and keep the best” would write one.")
        if QMessageBox.question(self.dock, self.dock.windowTitle(), question) == QMessageBox.StandardButton.Yes:
            self._leave_word(CANCEL_FILE)

    def _leave_word(self, name: str) -> None:
        """Writes a file that the worker looks for; the folder may be gone, which the next look tells."""
        if self.run is not None and self.run.folder.is_dir():
            try:
                (self.run.folder / name).touch()
            except OSError as failure:
                QMessageBox.warning(
                    self.dock,
                    self.dock.windowTitle(),
                    tr("The file {} cannot be written ({}); cancel in Processing's dialog instead.").format(
                        self.run.folder / name, failure
                    ),
                )
        self.look()

    def _open_report(self) -> None:
        report = Path(str(self.run.outputs.get("OUTPUT_HTML", ""))) if self.run is not None else Path()
        if report.is_file():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(report)))
        else:
            QMessageBox.warning(self.dock, self.dock.windowTitle(), tr("The report {} is not there any more.").format(report))

    def _follow_visibility(self, is_visible: bool) -> None:
        """Looks only while somebody sees it."""
        if not is_visible:
            self._timer.stop()
        elif self.run is not None:
            self._timer.start(INTERVAL)
