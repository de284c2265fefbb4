# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tools share: texts, icons, help, and how one of them runs a job in the worker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from ..backend.errors import BackendMissingError, ToolboxError
from ..backend.runtime.client import JobCancelled
from .job import Job
from .notices import NOTICES
from .raster_source import RasterSource
from .values import is_given

Parameters = dict[str, Any]
MODEL_FILTER = "Models (*.dlpk *.emd)"

_ICONS = Path(__file__).resolve().parent.parent / "resources" / "icons"


def icon_path(name: str) -> str:
    """Path of an icon of the plugin."""
    return str(_ICONS / name)


class ToolboxAlgorithm(QgsProcessingAlgorithm):
    """Base of all tools.

    A subclass gives name, displayName, group, groupId, icon, ``help_text`` and initAlgorithm; the help panel is made of
    ``help_text`` and the help of each parameter.
    """

    ICON = "toolbox.svg"

    def createInstance(self) -> ToolboxAlgorithm:
        return type(self)()

    def tr(self, text: str) -> str:
        """The text in QGIS's language."""
        return QCoreApplication.translate("DeepLearningToolbox", text)

    def icon(self) -> QIcon:
        return QIcon(icon_path(self.ICON))

    def svgIconPath(self) -> str:
        return icon_path(self.ICON)

    def help_text(self) -> str:
        """What the tool does, in a few sentences."""
        raise NotImplementedError

    def shortDescription(self) -> str:
        return self.help_text().partition(". ")[0].rstrip(".") + "."

    def shortHelpString(self) -> str:
        entries = [
            f"<p><b>{parameter.description()}</b><br>{parameter.help()}</p>"
            for parameter in self.parameterDefinitions()
            if parameter.help()
        ]
        return f"<p>{self.help_text()}</p>" + "".join(entries)

    def add(self, parameter: QgsProcessingParameterDefinition, help_text: str, advanced: bool = False) -> None:
        """Declares a parameter with its help; an advanced one is folded away in the dialog."""
        if isinstance(parameter, QgsProcessingParameterEnum):
            # qgis_process speaks of numbers here, but only the words are taken.
            help_text = f"{help_text} {self.tr('One of:')} {', '.join(parameter.options())}."
        parameter.setHelp(help_text)
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def choice(self, name: str, label: str, options: Sequence[str], default: str) -> QgsProcessingParameterEnum:
        """A parameter with one of some fixed words, given as the word itself."""
        return QgsProcessingParameterEnum(name, label, list(options), False, default, False, True)

    def integer(self, name: str, label: str, default: int, low: int, high: int) -> QgsProcessingParameterNumber:
        """A parameter with a whole number from ``low`` to ``high``."""
        return QgsProcessingParameterNumber(name, label, QgsProcessingParameterNumber.Type.Integer, default, False, low, high)

    def real(self, name: str, label: str, default: float, low: float, high: float) -> QgsProcessingParameterNumber:
        """A parameter with a number from ``low`` to ``high``."""
        return QgsProcessingParameterNumber(name, label, QgsProcessingParameterNumber.Type.Double, default, False, low, high)

    def output_path(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str:
        """Absolute path of a file or folder to write; empty when it is not wanted. The worker runs in another folder."""
        path = self.parameterAsFileOutput(parameters, name, context)
        return os.path.abspath(path) if path else ""

    def layer_path(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str:
        """Absolute path of a raster to write, which is loaded afterwards if the user wants so; empty when it is not wanted."""
        path = self.parameterAsOutputLayer(parameters, name, context)
        return os.path.abspath(path) if path else ""

    def vector_path(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str:
        """The source of a vector input, also when only its selected features are taken; empty when it is not a layer."""
        value = parameters.get(name)
        if isinstance(value, QgsProcessingFeatureSourceDefinition):
            value = value.source.valueAsString(context.expressionContext())[0]
        layer = value if isinstance(value, QgsVectorLayer) else QgsProcessingUtils.mapLayerFromString(str(value or ""), context)
        return layer.source() if layer is not None else ""

    def whole_layer(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> QgsVectorLayer | None:
        """A vector input as a layer, whatever is selected of it; None when it is no layer."""
        value = parameters.get(name)
        if isinstance(value, QgsProcessingFeatureSourceDefinition):
            value = value.source
        return self.parameterAsVectorLayer({name: value}, name, context)

    def refuse_overwriting(self, output: str, inputs: Iterable[str]) -> None:
        """Raises ToolboxError when a file to write is one that is read; ``inputs`` are layer sources, with or without options."""
        for source in inputs:
            path = source.partition("|")[0]
            if output and os.path.exists(output) and os.path.exists(path) and os.path.samefile(output, path):
                raise ToolboxError(f"The output {output} is a file that is read, too; choose another place.")

    def input_path(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> str:
        """Absolute path of a file or folder to read; empty when none is given."""
        path = self.parameterAsFile(parameters, name, context)
        return os.path.abspath(path) if path else ""


class BackendAlgorithm(ToolboxAlgorithm):
    """A tool whose work is one job of the worker.

    A subclass gives ``STAGE`` and `build_settings`; its outputs are what the stage's result carries.
    """

    STAGE = ""
    KEEPS_REQUEST = True  # beside the output; a stage that writes none does not

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        """The settings of the stage; may write input of the job into the job's folder. Raises ToolboxError."""
        raise NotImplementedError

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        try:
            # The interpreter is looked for first: a missing one should not cost the time of preparing the input.
            job = Job.start(self.STAGE, feedback)
            return job.run(self.build_settings(parameters, context, job), self.KEEPS_REQUEST)
        except JobCancelled as cancelled:
            raise QgsProcessingException(self.tr("The job was cancelled; nothing was written.")) from cancelled
        except ToolboxError as failure:
            if isinstance(failure, BackendMissingError):
                NOTICES.backend_missing.emit()
            raise QgsProcessingException(str(failure)) from failure

    def extent_of(self, parameters: Parameters, name: str, context: QgsProcessingContext, raster: RasterSource) -> list[float] | None:
        """An extent as xmin, ymin, xmax, ymax in the worker's coordinates of a raster; None for the whole raster."""
        if not is_given(parameters.get(name)):
            return None
        extent = self.parameterAsExtent(parameters, name, context, raster.crs)
        if extent.isNull():
            return None
        low, high = extent.yMinimum(), extent.yMaximum()
        if not raster.has_georeference:
            low, high = -high, -low
        return [extent.xMinimum(), low, extent.xMaximum(), high]

    def device_parameter(self) -> QgsProcessingParameterString:
        """The parameter DEVICE, to be added last."""
        return QgsProcessingParameterString("DEVICE", self.tr("Device"), "auto")

    def device_help(self) -> str:
        """Help of the parameter DEVICE."""
        return self.tr(
            "auto takes the NVIDIA GPU if one works, else Apple's, else the CPU, and says why. Or name one: cpu, mps, cuda, "
            "cuda:1 (the second GPU)."
        )
