# SPDX-License-Identifier: GPL-2.0-or-later
"""The Processing provider ``deeplearning``: the tools in the order of the workflow, and the sample models."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication, QgsMessageLog, QgsProcessingModelAlgorithm, QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..backend import __version__
from .accuracy_points import AccuracyPoints
from .assess_accuracy import AssessAccuracy
from .base import ToolboxAlgorithm, icon_path
from .check_setup import CheckSetup
from .classify_folder import ClassifyFolder
from .classify_pixels import ClassifyPixels
from .convert_labels import ConvertLabels
from .create_label_layer import CreateLabelLayer
from .estimate_classification import EstimateClassification
from .export_onnx import ExportOnnx
from .export_training_data import ExportTrainingData
from .inspect_training_data import InspectTrainingData
from .install_backend import InstallBackend
from .prepare_scene import PrepareScene
from .preview_classes import PreviewClasses
from .segment_image import SegmentImage
from .spectral_indices import SpectralIndices
from .train_model import TrainModel

ALGORITHMS = (
    CheckSetup,
    InstallBackend,
    PrepareScene,
    SpectralIndices,
    CreateLabelLayer,
    ConvertLabels,
    SegmentImage,
    PreviewClasses,
    ExportTrainingData,
    InspectTrainingData,
    TrainModel,
    ClassifyPixels,
    ClassifyFolder,
    EstimateClassification,
    ExportOnnx,
    AccuracyPoints,
    AssessAccuracy,
)
MODELS = Path(__file__).resolve().parent.parent / "resources" / "models"


class DeepLearningProvider(QgsProcessingProvider):
    """Always registers everything; what is missing to run a tool is said by the tool."""

    ID = "deeplearning"

    def id(self) -> str:
        return self.ID

    def name(self) -> str:
        return self.tr("Deep Learning Toolbox")

    def longName(self) -> str:
        return f"{self.name()} {__version__}"

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return icon_path("toolbox.svg")

    def supportsNonFileBasedOutput(self) -> bool:
        return False

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        return ["gpkg"]

    def loadAlgorithms(self) -> None:
        for algorithm in self.tools():
            self.addAlgorithm(algorithm)
        if QgsApplication.processingRegistry().providerById(self.ID) is None:
            return  # a model needs the tools in the registry; the plugin refreshes once they are
        for path in sorted(MODELS.glob("*.model3")):
            model = QgsProcessingModelAlgorithm()
            if model.fromFile(str(path)):
                self.addAlgorithm(model)
            else:
                QgsMessageLog.logMessage(self.tr("The model {} cannot be read.").format(path), self.name())

    @staticmethod
    def tools() -> list[ToolboxAlgorithm]:
        """A new instance of every tool, in the order of the workflow."""
        return [algorithm() for algorithm in ALGORITHMS]
