# SPDX-License-Identifier: GPL-2.0-or-later
"""The dialog of *Classify pixels using deep learning*: Processing's own, and a line that tells what a run would take.

The tool itself gives this dialog to the Toolbox, the menus and scripts, which ask it for one. The figures come from the tool
`estimateclassification` with the dialog's parameters, in the background; it says the same as the first lines of the run's log.
"""

from __future__ import annotations

from typing import Any

from processing.gui.AlgorithmDialog import AlgorithmDialog
from processing.gui.AlgorithmDialogBase import AlgorithmDialogBase
from qgis.core import QgsProcessingAlgorithm
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QCloseEvent
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QSplitter, QWidget

from .tool_task import ToolTask

ESTIMATE = "deeplearning:estimateclassification"
LINES = 3  # of text that always have room, so that nothing jumps


class ClassifyDialog(AlgorithmDialog):
    """Processing's dialog with a button that estimates.

    Attributes:
        estimate: The button; it cancels while an estimate runs.
        told: What it found, or what is wrong.
    """

    def __init__(self, algorithm: QgsProcessingAlgorithm, parent: QWidget | None) -> None:
        super().__init__(algorithm, False, parent)
        self._run: ToolTask | None = None
        self._is_told = False  # figures are shown that the present parameters have given
        self.estimate = QPushButton(_translate("Estimate"), self)
        self.estimate.setObjectName("estimate")
        self.estimate.setAutoDefault(False)
        self.estimate.setMinimumWidth(max(self.estimate.sizeHint().width(), QPushButton(_translate("Cancel")).sizeHint().width()))
        self.told = QLabel(self)
        self.told.setObjectName("told")
        self.told.setWordWrap(True)
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.told.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.told.setMinimumHeight(LINES * self.told.fontMetrics().lineSpacing() + 2)
        self._tell(_translate("Tells time, memory and disk before you run the tool, by trying the network on a few tiles."))
        self.told.setEnabled(False)
        self._add_row()
        self.estimate.clicked.connect(self._start_or_cancel)
        for wrapper in self.mainWidget().wrappers.values():
            wrapper.widgetValueHasChanged.connect(self._outdate)

    def runAlgorithm(self) -> None:
        """Runs the tool; an estimate would take the computer away from it."""
        if self._run is not None:
            self._forget_run()
            self._tell(_translate("Cancelled, since the tool was run."))
        super().runAlgorithm()

    def reject(self) -> None:
        """Closes the dialog."""
        self._forget_run()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ends an estimate with the dialog."""
        self._forget_run()
        super().closeEvent(event)

    def _add_row(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.estimate, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.told, 1)
        layout = self.layout()
        parameters = self.findChild(QSplitter, "splitter")
        layout.insertLayout(layout.indexOf(parameters) + 1 if parameters is not None else 0, row)

    def _start_or_cancel(self) -> None:
        if self._run is not None:
            self._forget_run()
            self._tell(_translate("Cancelled."))
            return
        try:
            # The dialog's own method of this name keeps such faults to itself in newer QGIS and answers None.
            parameters = self.mainWidget().createProcessingParameters()
        except AlgorithmDialogBase.InvalidParameterValue as fault:
            self._tell(_translate("First choose: {}.").format(fault.parameter.description()))
            return
        except AlgorithmDialogBase.InvalidOutputExtension as fault:
            self._tell(fault.message)
            return
        run = ToolTask(ESTIMATE, parameters)
        run.finished.connect(self._end)
        if fault := run.start():
            self._tell(fault)
            return
        self._run = run
        self.estimate.setText(_translate("Cancel"))
        self._tell(_translate("Reading the model and trying it on a few tiles…"))

    def _end(self, outputs: dict[str, Any] | None, error: str) -> None:
        self._run = None
        self.estimate.setText(_translate("Estimate"))
        if outputs is None:
            self._tell(error or _translate("Cancelled."))
        else:
            self._tell(str(outputs["SUMMARY"]), True)

    def _forget_run(self) -> None:
        """Cancels an estimate that is under way; its end is of no interest any more."""
        if self._run is not None:
            self._run.finished.disconnect(self._end)
            self._run.cancel()
            self._run = None
            self.estimate.setText(_translate("Estimate"))

    def _outdate(self, *_: object) -> None:
        """Figures for other parameters are no longer shown as if they held; those under way are not waited for."""
        if self._run is not None:
            self._forget_run()
            self._tell(_translate("The parameters have changed; estimate again."))
        elif self._is_told:
            self._tell(_translate("Before the last change: {}").format(self.told.text()))
            self.told.setEnabled(False)

    def _tell(self, text: str, is_answer: bool = False) -> None:
        self._is_told = is_answer
        self.told.setText(text)
        self.told.setEnabled(True)


def _translate(text: str) -> str:
    return QCoreApplication.translate("DeepLearningToolbox", text)
