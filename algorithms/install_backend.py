# SPDX-License-Identifier: GPL-2.0-or-later
"""Install deep learning libraries: builds the environment that the worker runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
)

from ..backend.errors import ToolboxError
from ..backend.runtime.client import JobCancelled
from ..backend.runtime.environment import build_environment
from .base import Parameters, ToolboxAlgorithm
from .job import Job

DEVICES = ("auto", "cuda", "cpu")


class InstallBackend(ToolboxAlgorithm):
    """Builds the managed environment, which then is complete or absent."""

    ICON = "install.svg"

    WHEELS = "WHEELS"
    DEVICE = "DEVICE"
    PYTHON = "PYTHON"

    def name(self) -> str:
        return "installbackend"

    def displayName(self) -> str:
        return self.tr("Install deep learning libraries")

    def group(self) -> str:
        return self.tr("Set-up")

    def groupId(self) -> str:
        return "setup"

    def tags(self) -> list[str]:
        return self.tr("pytorch,torch,environment,dependencies,pip,set up").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Installs PyTorch and the other libraries into an environment of their own, which leaves the Python of QGIS as it is. "
            "Downloads some 300 MB to 3 GB; running it again does nothing. Cancelling takes effect at the next step, leaving nothing "
            "behind."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            self.choice(self.DEVICE, self.tr("Build for"), DEVICES, "auto"),
            self.tr("On Linux: cuda = for NVIDIA GPUs, cpu = the small build; auto = cuda if an NVIDIA driver is there."),
        )
        self.add(
            QgsProcessingParameterFile(
                self.WHEELS, self.tr("Folder of wheels"), QgsProcessingParameterFile.Behavior.Folder, "", None, True
            ),
            self.tr("Installs from this folder and does not use the network at all."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(
                # The default filter, *.*, would refuse names without a dot, which interpreters have.
                self.PYTHON,
                self.tr("Python"),
                QgsProcessingParameterFile.Behavior.File,
                "",
                None,
                True,
                self.tr("Programs (*)"),
            ),
            self.tr("The Python interpreter, 3.10 or later, to build on. If empty: the one of QGIS."),
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputString(self.PYTHON, self.tr("Python of the environment")))
        self.addOutput(QgsProcessingOutputString(self.DEVICE, self.tr("Device")))

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        base = self.input_path(parameters, self.PYTHON, context)
        wheels = self.input_path(parameters, self.WHEELS, context)
        device = self.parameterAsEnumString(parameters, self.DEVICE, context)

        def show(line: str) -> None:
            if feedback.isCanceled():
                raise JobCancelled("The installation was cancelled; nothing was left.")
            feedback.pushInfo(line)

        try:
            python = build_environment(Path(base) if base else None, Path(wheels) if wheels else None, device=device, progress=show)
            job = Job.start("probe", feedback)
            if job.interpreter.path != python:
                feedback.pushWarning(
                    f"The environment is there, but {job.interpreter.source} names another Python, which the tools go on using."
                )
            found = job.run({"device": "auto"})
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        return {self.PYTHON: str(python), self.DEVICE: found["DEVICE"]}
