# SPDX-License-Identifier: GPL-2.0-or-later
"""Install deep learning libraries: builds, repairs or removes the environment that the worker runs in, or takes another Python."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
    QgsSettings,
)

from ..backend.errors import ToolboxError
from ..backend.runtime.client import JobCancelled
from ..backend.runtime.interpreter import PYTHON_VARIABLE, SETTING, Interpreter, named_interpreter
from ..backend.runtime.places import encoders_folder
from ..backend.runtime.setup.builds import DEVICES
from ..backend.runtime.setup.diagnostics import describe_readiness, diagnose
from ..backend.runtime.setup.encoder_files import fetch_encoder, list_encoders, parse_encoders
from ..backend.runtime.setup.environment import BuildRequest, Built, build_environment, remove_environment
from ..backend.runtime.setup.gpu import find_graphics
from ..backend.runtime.setup.installer import Step, prove_python
from ..backend.runtime.setup.network import Network
from .base import Parameters, ToolboxAlgorithm
from .job import Job
from .network_settings import read_network
from .notices import DetailedFeedback

ACTIONS = ("install", "repair", "use", "remove")


class InstallBackend(ToolboxAlgorithm):
    """Sees to it that there is a Python for the worker; a failure leaves the one there was."""

    ICON = "install.svg"

    ACTION = "ACTION"
    FOLDER = "FOLDER"
    WHEELS = "WHEELS"
    DEVICE = "DEVICE"
    PYTHON = "PYTHON"
    ENCODERS = "ENCODERS"
    SUMMARY = "SUMMARY"

    def name(self) -> str:
        return "installbackend"

    def displayName(self) -> str:
        return self.tr("Install deep learning libraries")

    def group(self) -> str:
        return self.tr("Set-up")

    def groupId(self) -> str:
        return "setup"

    def tags(self) -> list[str]:
        return self.tr("pytorch,torch,environment,dependencies,pip,set up,repair,remove,uninstall").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Installs PyTorch and the other libraries into an environment of their own, which leaves the Python of QGIS as it is. "
            "Downloads 0.4 to 3 GB, depending on the graphics card; running it again does nothing. If it is cancelled or fails, what "
            "was there before goes on working, and the next attempt takes up finished downloads."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            self.choice(self.DEVICE, self.tr("Build for"), DEVICES, "auto"),
            self.tr("cuda = for NVIDIA graphics cards, cpu = the small build; auto = by the graphics card and its driver."),
        )
        self.add(
            QgsProcessingParameterString(self.ENCODERS, self.tr("Pretrained encoders to fetch"), "", False, True),
            self.tr(
                "Weights from which trainings start, separated by semicolons, such as resnet34;satellite: those named like a backbone "
                "learned from photographs, the others from Landsat or Sentinel-2 images; satellite = all of these (420 MB; SSL4EO-L, "
                "CC0, and SSL4EO-S12, CC BY 4.0). There are:"
            )
            + f" {', '.join(list_encoders())}.",
        )
        self.add(
            self.choice(self.ACTION, self.tr("What to do"), ACTIONS, "install"),
            self.tr(
                "install = build the environment unless it is there; repair = build it anew; use = run the tools with the Python "
                "named below, which needs all libraries; remove = delete the environment."
            ),
            advanced=True,
        )
        for name, label, help_text in (
            (self.FOLDER, self.tr("Folder of the environment"), self.tr("If empty: in your user data.")),
            (self.WHEELS, self.tr("Folder of wheels"), self.tr("Installs from this folder and does not use the network at all.")),
        ):
            behavior = QgsProcessingParameterFile.Behavior.Folder
            self.add(QgsProcessingParameterFile(name, label, behavior, "", None, True), help_text, advanced=True)
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
            self.tr("The Python interpreter, 3.10 or later, to build on or to use. If empty: the one of QGIS."),
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputString(self.PYTHON, self.tr("Python of the worker")))
        self.addOutput(QgsProcessingOutputString(self.DEVICE, self.tr("Device")))
        self.addOutput(QgsProcessingOutputString(self.SUMMARY, self.tr("What is ready")))

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        try:
            parse_encoders(self.parameterAsString(parameters, self.ENCODERS, context))
        except ToolboxError as failure:
            return False, str(failure)
        action = self.parameterAsEnumString(parameters, self.ACTION, context)
        if action == "use" and not self.input_path(parameters, self.PYTHON, context):
            return False, self.tr("To use a Python as it is, name it in the parameter Python.")
        return super().checkParameterValues(parameters, context)

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        action = self.parameterAsEnumString(parameters, self.ACTION, context)
        unchanged = self.tr("The installation was cancelled; what was there before is unchanged, and finished downloads are kept.")
        installed = self.tr("Cancelled; the libraries are installed, but what was to follow was not done.")
        is_done = False
        try:
            if action == "remove":
                return self._remove(feedback)
            refuse_variable()
            if action == "use":
                self._use(Path(self.input_path(parameters, self.PYTHON, context)), feedback)
            else:
                self._build(parameters, context, feedback, action == "repair")
            is_done = True
            found, python = prove_worker(feedback)
            self._fetch_encoders(parse_encoders(self.parameterAsString(parameters, self.ENCODERS, context)), feedback)
        except JobCancelled as cancelled:
            raise QgsProcessingException(installed if is_done else unchanged) from cancelled
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        summary = describe_readiness(found, find_graphics())
        feedback.pushInfo(summary)
        return {self.PYTHON: python, self.DEVICE: found["DEVICE"], self.SUMMARY: summary}

    def _build(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback, repair: bool) -> None:
        """Builds the environment and makes it the one to use; first says what is there and what will come."""
        paths = {name: self.input_path(parameters, name, context) for name in (self.PYTHON, self.WHEELS, self.FOLDER)}
        given = {name: Path(path) if path else None for name, path in paths.items()}
        network = Network() if given[self.WHEELS] else read_network()
        graphics = find_graphics()
        request = BuildRequest(
            python=given[self.PYTHON],
            wheels=given[self.WHEELS],
            device=self.parameterAsEnumString(parameters, self.DEVICE, context),
            folder=given[self.FOLDER],
            repair=repair,
            network=network,
            graphics=graphics,
        )
        for name, value in diagnose(network.describe(), graphics).items():
            feedback.pushInfo(f"{name}: {value}")
        built = build_environment(request, StepReporter(feedback))
        if not built.is_new and not repair:
            built = self._heal(request, built, feedback)
        if built.note:
            feedback.pushInfo(built.note)
        if QgsSettings().value(SETTING, "", type=str):
            feedback.pushInfo(self.tr("The Python that was set before is not used any more."))
            QgsSettings().remove(SETTING)

    def _heal(self, request: BuildRequest, built: Built, feedback: QgsProcessingFeedback) -> Built:
        """Builds an environment anew that looks whole but does not work."""
        try:
            Job.start("probe", feedback, Interpreter(built.python, self.tr("the managed environment"))).run({"device": "auto"})
        except JobCancelled:
            raise
        except ToolboxError as failure:
            feedback.pushWarning(self.tr("The environment does not work and is built anew ({}).").format(failure))
            return build_environment(replace(request, repair=True), StepReporter(feedback))
        return built

    def _remove(self, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        """Removes the environment, and forgets the Python that was set."""
        remove_environment()
        text = self.tr("The environment was removed.")
        if QgsSettings().contains(SETTING):
            QgsSettings().remove(SETTING)
            text += " " + self.tr("The Python that was set is not used any more.")
        feedback.pushInfo(text)
        return {self.PYTHON: "", self.DEVICE: "", self.SUMMARY: text}

    def _use(self, python: Path, feedback: QgsProcessingFeedback) -> None:
        """Makes the tools run with a Python as it is, after it has imported everything and computed; raises ToolboxError."""
        interpreter = named_interpreter(python, self.tr("the parameter PYTHON"))
        feedback.pushInfo(self.tr("Testing the libraries of {}").format(python))
        for warning in prove_python(python, StepReporter(feedback)):
            feedback.pushWarning(warning)
        QgsSettings().setValue(SETTING, str(interpreter.path))

    def _fetch_encoders(self, names: list[str], feedback: QgsProcessingFeedback) -> None:
        """Fetches the weights of some encoders; raises ToolboxError or JobCancelled."""

        def show(share: float) -> None:
            if feedback.isCanceled():
                raise JobCancelled("The installation was cancelled.")
            feedback.setProgress(100 * share)

        network = read_network() if names else Network()
        for name in names:
            feedback.pushInfo(self.tr("Fetching the weights of {}").format(name))
            try:
                feedback.pushInfo(f"{name}: {fetch_encoder(name, encoders_folder(), network, show)}")
            except JobCancelled:
                raise
            except ToolboxError as failure:
                text = self.tr("The libraries are installed, but not the encoders: {}").format(failure)
                raise ToolboxError(text) from failure


class StepReporter:
    """Shows the steps of an installation in the tool's dialog; raises JobCancelled once the user has cancelled."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._text = ""

    def __call__(self, step: Step) -> None:
        if self._feedback.isCanceled():
            raise JobCancelled("The installation was cancelled.")
        self._feedback.setProgress(100 * step.fraction)
        if step.text != self._text:
            self._text = step.text
            self._feedback.pushInfo(step.text)
        if isinstance(self._feedback, DetailedFeedback):
            self._feedback.detail.emit(step.detail)


def prove_worker(feedback: QgsProcessingFeedback) -> tuple[dict[str, Any], str]:
    """What the worker finds out about its device, and its interpreter."""
    job = Job.start("probe", feedback)
    return job.run({"device": "auto"}), str(job.interpreter.path)


def refuse_variable() -> None:
    """Raises ToolboxError when the environment variable names the Python: whatever is installed would not be used."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        raise ToolboxError(
            f"The environment variable {PYTHON_VARIABLE} says that the tools run with “{named}”: remove the variable and start QGIS "
            "again to install anything else."
        )
