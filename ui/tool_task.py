# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one of the tools in the background, in QGIS's task manager, and tells in the main thread what happens."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsProcessingAlgRunnerTask, QgsProcessingContext, QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..algorithms.notices import DetailedFeedback

# The task uses context, feedback and algorithm of a run by reference: they must outlive it, whoever forgets the run meanwhile.
_RUNNING: set[ToolTask] = set()


class _SignallingFeedback(DetailedFeedback):
    """Passes what a tool says on as signals; the tool runs in another thread."""

    line = pyqtSignal(str, bool)  # text, whether it is an error

    def pushInfo(self, text: str) -> None:
        self.line.emit(text, False)

    def pushWarning(self, text: str) -> None:
        self.line.emit(text, False)

    def setProgressText(self, text: str) -> None:
        self.line.emit(text, False)

    def reportError(self, text: str, fatalError: bool = False) -> None:
        self.line.emit(text, True)


class ToolTask(QObject):
    """One run of a tool.

    Signals:
        line: A line of its log.
        detail: The numbers that run within a step.
        progress: Percent.
        finished: Its outputs, or None when it failed or was cancelled; and the last error it told, or nothing.
    """

    line = pyqtSignal(str)
    detail = pyqtSignal(str)
    progress = pyqtSignal(float)
    finished = pyqtSignal(object, str)

    def __init__(self, algorithm_id: str, parameters: dict[str, Any]) -> None:
        super().__init__()
        self._error = ""
        self._context = QgsProcessingContext()
        self._context.setProject(QgsProject.instance())  # layers may be given by id or name
        self._feedback = _SignallingFeedback(False)
        self._feedback.line.connect(self._take_line)
        self._feedback.detail.connect(self.detail)
        self._feedback.progressChanged.connect(self.progress)
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(algorithm_id)
        self._parameters = parameters

    def start(self) -> str:
        """Starts the run; returns what is wrong with the parameters, empty when nothing is."""
        fits, fault = self._algorithm.checkParameterValues(self._parameters, self._context)
        if not fits:
            return str(fault)
        self._task = QgsProcessingAlgRunnerTask(self._algorithm, self._parameters, self._context, self._feedback)
        self._task.executed.connect(self._end)
        _RUNNING.add(self)
        QgsApplication.taskManager().addTask(self._task)
        return ""

    def cancel(self) -> None:
        """Asks the run to stop; `finished` tells when it has."""
        self._feedback.cancel()

    def _take_line(self, text: str, is_error: bool) -> None:
        if is_error:
            self._error = text.strip()
        self.line.emit(text)

    def _end(self, successful: bool, outputs: dict[str, Any]) -> None:
        _RUNNING.discard(self)
        self.finished.emit(outputs if successful else None, self._error)
