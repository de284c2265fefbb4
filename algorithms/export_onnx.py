# SPDX-License-Identifier: GPL-2.0-or-later
"""Export model to ONNX: a model package to a file that other programs run."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterFile, QgsProcessingParameterFileDestination

from .base import MODEL_FILTER, BackendAlgorithm, Parameters
from .job import Job


class ExportOnnx(BackendAlgorithm):
    """A model package to an ONNX file."""

    STAGE = "onnx"
    ICON = "onnx.svg"

    MODEL = "MODEL"
    TILE_SIZE = "TILE_SIZE"
    OUTPUT = "OUTPUT"

    def name(self) -> str:
        return "exportonnx"

    def displayName(self) -> str:
        return self.tr("Export model to ONNX")

    def group(self) -> str:
        return self.tr("Inference")

    def groupId(self) -> str:
        return "inference"

    def tags(self) -> list[str]:
        return self.tr("onnx,onnxruntime,deepness,convert,share,network,deep learning").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Writes a model as an ONNX file, which runs without PyTorch, for example in the QGIS plugin Deepness; its settings "
            "(classes, resolution, tile size) are stored in the file. The normalisation is part of the network: it takes the stored "
            "values of the bands, divided by 255, and gives the probability of each class. Other programs give pixels without data a "
            "class, too, and number the classes from 0."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterFile(
                self.MODEL, self.tr("Model"), QgsProcessingParameterFile.Behavior.File, "", None, False, MODEL_FILTER
            ),
            self.tr("The .dlpk that “Train deep learning model” wrote."),
        )
        self.add(
            self.integer(self.TILE_SIZE, self.tr("Tile size"), 0, 0, 4096),
            self.tr("Side in pixels of the tiles that the network will be given; 0 = that of the chips it was trained on."),
            advanced=True,
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(self.OUTPUT, self.tr("ONNX file"), self.tr("ONNX files (*.onnx)"))
        )

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        return {
            "model": self.input_path(parameters, self.MODEL, context),
            "output": self.output_path(parameters, self.OUTPUT, context),
            "tile_size": self.parameterAsInt(parameters, self.TILE_SIZE, context),
        }
