# SPDX-License-Identifier: GPL-2.0-or-later
"""The set-up dialog: what this computer has, what would be installed, one button, and how far it is.

It runs the tools `installbackend` and `checksetup` in the background; closing it does not stop them. It never opens by itself.
"""

from __future__ import annotations

import html
import os
import sys
import time
from typing import Any, Callable

from qgis.core import QgsSettings, QgsTask
from qgis.PyQt.QtCore import QCoreApplication, QTimer
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QDialog, QMessageBox, QWidget

from ..backend.runtime.interpreter import PYTHON_VARIABLE, SETTING
from ..backend.runtime.places import install_log
from ..backend.runtime.setup import command
from ..backend.runtime.setup.diagnostics import describe_environment, read_log
from ..backend.runtime.setup.environment_folders import environments_in
from ..backend.runtime.setup.marker import EnvironmentState, Marker, read_state
from .setup_findings import Findings, look_in_background
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
        self._found: Findings | None = None
        self._look: QgsTask | None = None
        self._is_stopped = False
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
        self.form.changed.connect(self._look_again)

    def tr(self, text: str) -> str:
        """The text in QGIS's language."""
        return QCoreApplication.translate("DeepLearningToolbox", text)

    def open_fresh(self) -> None:
        """Shows the dialog with what there is now."""
        self.show()
        self.raise_()
        self.activateWindow()
        if self.run is None:
            self._take_over_choices()
            self.form.say(Tone.BUSY, self.tr("Looking at this computer …"), "")
            self._found = None
            self._look_around(self._show_state)

    def stop(self) -> None:
        """Ends what is going on, before the plugin is unloaded; what still arrives is not shown any more."""
        self._is_stopped = True
        self._clock.stop()
        if self.run is not None:
            for signal in (self.run.line, self.run.detail, self.run.progress, self.run.finished):
                signal.disconnect()
            self.run.cancel()

    def diagnostics(self) -> str:
        """The text of *Copy diagnostics*: the findings and the logs."""
        rows = self._found.rows if self._found else {}
        lines = [f"{name}: {value}" for name, value in rows.items()]
        return "\n".join([*lines, "", self.form.log.toPlainText(), "", read_log(install_log())]).strip() + "\n"

    def _take_over_choices(self) -> None:
        """Fills in what was chosen for the environment there is, so that an update or a repair keeps it."""
        marker = Marker.read()
        if marker is not None:
            parent = marker.environment.parent
            self.form.choose(marker.device, "" if parent == environments_in(None) else str(parent.parent))

    def _look_around(self, then: Callable[[], None]) -> None:
        """Finds out what there is in the background."""

        def show(failure: Exception | None, found: Findings | None) -> None:
            if self._is_stopped:
                return
            if found is None:
                self.form.say(Tone.BAD, self.tr("This computer cannot be examined"), str(failure))
                return
            self._found = found
            self.form.show_findings(found.rows)
            self._show_plan(found)
            then()

        graphics = self._found.graphics if self._found else None
        self._look = look_in_background(self.form.wish(), graphics, show, self.tr("Looking at this computer"))

    def _look_again(self) -> None:
        """Finds out what the present choices would do."""
        if self._found is not None and self.run is None:
            self._look_around(lambda: None)

    def _show_plan(self, found: Findings) -> None:
        """Says what would be installed, and how a folder of wheels for a like computer is made."""
        plan = found.plan
        if read_state() is EnvironmentState.READY:
            plan = self.tr("The environment is there; Install only tests it, Repair builds it anew. {}").format(plan)
        python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        build = f" --build {found.build}" if found.build else ""
        self.form.show_plan(plan, html.escape(f'{python} "{command.__file__}" wheels FOLDER{build}'))

    def _show_state(self) -> None:
        """Says whether the libraries are there, and starts the proof when they are."""
        state = read_state()
        self._show_buttons()
        if state is EnvironmentState.OUTDATED and not os.environ.get(PYTHON_VARIABLE):
            self.form.say(
                Tone.WARN,
                self.tr("The deep learning libraries have to be updated"),
                self.tr("They belong to another version of the toolbox."),
            )
            return
        self._begin(CHECK, {}, self.tr("Testing what is there …"), self._checked)

    def _show_buttons(self) -> None:
        self.form.show_state(read_state(), QgsSettings().contains(SETTING))

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

    def _begin(self, algorithm_id: str, parameters: dict[str, Any], headline: str, then: Callable[..., None]) -> None:
        """Runs a tool; ``then`` is called with its outputs, or None, and its last error."""
        missing = self.form.find_gap() if parameters.get("ACTION") in ("install", "repair", "use") else ""
        if missing:
            self.form.say(Tone.BAD, self.tr("This cannot be done"), missing)
            return
        run = ToolTask(algorithm_id, parameters)
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
        self._show_buttons()

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
            self.form.say(Tone.BAD, self.tr("The deep learning libraries do not work"), outputs["SUMMARY"])

    def _installed(self, outputs: dict[str, Any] | None, error: str) -> None:
        if outputs is None:
            self.form.say(Tone.BAD, self.tr("That did not succeed"), error)
            self.form.log_group.setCollapsed(False)
        else:
            self.form.say(Tone.GOOD if outputs["PYTHON"] else Tone.WARN, outputs["SUMMARY"], "")
        if self._found is not None:
            self._found.rows["Environment"] = describe_environment()
            self.form.show_findings(self._found.rows)
            self._show_plan(self._found)

    def _show_time(self) -> None:
        self.form.show_elapsed(time.monotonic() - self._started)
