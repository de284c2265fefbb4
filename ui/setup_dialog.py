# SPDX-License-Identifier: GPL-2.0-or-later
"""The set-up dialog: what this computer has, what would be installed, one button, and how far it is.

It runs the tools `installbackend` and `checksetup` in the background; closing it does not stop them. It never opens by itself.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsTask
from qgis.PyQt.QtCore import QCoreApplication, QTimer
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QDialog, QMessageBox, QWidget

from ..algorithms.network_settings import describe_network
from ..backend.runtime import setup_command
from ..backend.runtime.builds import choose_build
from ..backend.runtime.diagnostics import describe_plan, diagnose
from ..backend.runtime.gpu import Graphics, find_graphics
from ..backend.runtime.marker import EnvironmentState, read_state
from .setup_form import SetupForm, Tone
from .tool_task import ToolTask

INSTALL, CHECK = "deeplearning:installbackend", "deeplearning:checksetup"


class SetupDialog(QDialog):
    """Shows and drives the set-up; all that takes time runs elsewhere."""

    def __init__(self, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setObjectName("DeepLearningToolboxSetup")
        self.setWindowTitle(self.tr("Set up deep learning"))
        self.form = SetupForm(self)
        self.run: ToolTask | None = None  # what is going on
        self._graphics = Graphics()
        self._rows: dict[str, str] = {}
        self._look: QgsTask | None = None
        self._started = 0.0
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._show_time)
        self.form.install.clicked.connect(self._install)
        self.form.repair.clicked.connect(self._repair)
        self.form.remove.clicked.connect(self._remove)
        self.form.cancel.clicked.connect(self._cancel)
        self.form.copy.clicked.connect(self._copy)
        self.form.close.clicked.connect(self.reject)
        self.form.changed.connect(self._show_plan)

    def tr(self, text: str) -> str:
        """The text in QGIS's language."""
        return QCoreApplication.translate("DeepLearningToolbox", text)

    def open_fresh(self) -> None:
        """Shows the dialog with what there is now."""
        self.show()
        self.raise_()
        self.activateWindow()
        if self.run is None:
            self._look_around()

    def stop(self) -> None:
        """Ends what is going on, before the plugin is unloaded."""
        if self.run is not None:
            self.run.cancel()

    def diagnostics(self) -> str:
        """The text of *Copy diagnostics*: the findings and the log."""
        lines = [f"{name}: {value}" for name, value in {"QGIS": Qgis.version(), **self._rows}.items()]
        return "\n".join([*lines, "", self.form.log.toPlainText()]).strip() + "\n"

    def _look_around(self) -> None:
        """Asks for the graphics card and the rest in the background: a driver may have to be loaded first."""
        network = describe_network()

        def look(task: QgsTask) -> tuple[Graphics, dict[str, str]]:
            graphics = find_graphics()
            return graphics, diagnose(network, graphics)

        def show(failure: Exception | None, found: tuple[Graphics, dict[str, str]] | None = None) -> None:
            if found is None:
                self.form.say(Tone.BAD, self.tr("This computer cannot be examined"), str(failure))
                return
            self._graphics, self._rows = found
            self.form.show_findings(self._rows)
            self._show_plan()
            if self.run is None:
                self._show_state()

        self.form.say(Tone.BUSY, self.tr("Looking at this computer …"), "")
        self._look = QgsTask.fromFunction(self.tr("Looking for a graphics card"), look, on_finished=show)
        QgsApplication.taskManager().addTask(self._look)

    def _show_plan(self) -> None:
        """Says what the present choices would do."""
        self.form.show_plan(
            describe_plan(choose_build(self._graphics, self.form.device), self.form.folder),
            f'{"python" if sys.platform == "win32" else "python3"} "{setup_command.__file__}" wheels FOLDER',
        )

    def _show_state(self) -> None:
        """Says whether the libraries are there, and starts the proof when they are."""
        state = read_state()
        self.form.show_state(state)
        if state is EnvironmentState.OUTDATED:
            self.form.say(
                Tone.WARN,
                self.tr("The deep learning libraries have to be updated"),
                self.tr("They belong to another version of the toolbox."),
            )
            return
        self._begin(CHECK, {}, self.tr("Testing what is there …"), self._checked)

    def _install(self) -> None:
        self._begin(INSTALL, self.form.parameters("install"), self.tr("Installing …"), self._installed)

    def _repair(self) -> None:
        self._begin(INSTALL, self.form.parameters("repair"), self.tr("Building the environment anew …"), self._installed)

    def _remove(self) -> None:
        question = self.tr("Remove the environment with the deep learning libraries? Models and results stay.")
        if QMessageBox.question(self, self.windowTitle(), question) == QMessageBox.StandardButton.Yes:
            self._begin(INSTALL, {"ACTION": "remove"}, self.tr("Removing …"), self._installed)

    def _cancel(self) -> None:
        if self.run is not None:
            self.form.cancel.setEnabled(False)
            self.form.show_step(self.tr("Stopping …"), "")
            self.run.cancel()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.diagnostics())
        self.form.show_step(self.tr("The diagnostics are on the clipboard."), "")

    def _begin(self, algorithm_id: str, parameters: dict[str, Any], headline: str, then: Any) -> None:
        """Runs a tool; ``then`` is called with its outputs, or None, and its last error."""
        run = ToolTask(algorithm_id, parameters, self)
        run.line.connect(self._take_line)
        run.detail.connect(self.form.show_detail)
        run.progress.connect(self.form.show_progress)
        run.finished.connect(self._end)
        run.finished.connect(then)
        fault = run.start()
        if fault:
            self.form.say(Tone.BAD, self.tr("This cannot be done"), fault)
            return
        self.run = run
        self._started = time.monotonic()
        self._clock.start()
        self.form.say(Tone.BUSY, headline, "")
        self.form.set_busy(True, is_installing=algorithm_id == INSTALL)

    def _take_line(self, line: str) -> None:
        self.form.log.appendPlainText(line)
        self.form.show_step(line, "")

    def _end(self, outputs: dict[str, Any] | None, error: str) -> None:
        self.run = None
        self._clock.stop()
        self.form.set_busy(False)
        self.form.show_state(read_state())

    def _checked(self, outputs: dict[str, Any] | None, error: str) -> None:
        if outputs is None:
            self.form.say(Tone.BAD, self.tr("The test failed"), error)
        elif outputs["READY"]:
            self.form.say(Tone.GOOD, outputs["SUMMARY"], "")
        elif read_state() is EnvironmentState.ABSENT:
            self.form.say(
                Tone.WARN,
                self.tr("The deep learning libraries are not installed yet"),
                self.tr("Press Install to get them; QGIS stays usable meanwhile, and its own Python stays as it is."),
            )
        else:
            self.form.say(Tone.BAD, self.tr("The deep learning libraries do not work"), outputs["SUMMARY"].removeprefix("no: "))

    def _installed(self, outputs: dict[str, Any] | None, error: str) -> None:
        if outputs is None:
            is_ready = read_state() is EnvironmentState.READY
            headline = self.tr("Not everything succeeded") if is_ready else self.tr("The installation did not succeed")
            self.form.say(Tone.WARN if is_ready else Tone.BAD, headline, error)
            self.form.log_group.setCollapsed(False)
        else:
            self.form.say(Tone.GOOD if outputs["PYTHON"] else Tone.WARN, outputs["SUMMARY"], "")
        self._rows["Environment"] = diagnose("", self._graphics)["Environment"]
        self.form.show_findings(self._rows)

    def _show_time(self) -> None:
        self.form.show_elapsed(time.monotonic() - self._started)
