# SPDX-License-Identifier: GPL-2.0-or-later
"""Inspect training data: looks at every chip before a network does, and lets chips be struck out on the map."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterVectorDestination,
)

from .base import BackendAlgorithm, Parameters
from .job import Job
from .layer_style import style_when_loaded

# Where training looks first; the backend, which must not be imported here, has the same names in chips/strikeouts.py.
OWN_PLACE = os.path.join("inspection", "footprints.gpkg")


class InspectTrainingData(BackendAlgorithm):
    """A folder of chips to a report and the footprints of the chips."""

    STAGE = "inspect"
    ICON = "inspect.svg"

    INPUT = "INPUT"
    OUTPUT = "OUTPUT"
    OUTPUT_HTML = "OUTPUT_HTML"

    def name(self) -> str:
        return "inspecttrainingdata"

    def displayName(self) -> str:
        return self.tr("Inspect training data")

    def group(self) -> str:
        return self.tr("Training data")

    def groupId(self) -> str:
        return "trainingdata"

    def tags(self) -> list[str]:
        return self.tr("chips,tiles,labels,samples,quality,duplicates,statistics,histogram,report,footprints").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Reads every chip of a folder and tells what is in it: chips, classes, the values of each band, samples with their "
            "labels, and suspicious chips (all one class, mostly nodata, copies of others, of another size, damaged, label values "
            "that no class has). It also makes a layer of the chips' footprints: set the field “use” of a footprint to false, and "
            "training leaves that chip out. Nothing in the chips is changed."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterFile(self.INPUT, self.tr("Folder of chips"), QgsProcessingParameterFile.Behavior.Folder),
            self.tr("Written by “Export training data”, or by ArcGIS in any of its metadata formats."),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT, self.tr("Footprints"), QgsProcessing.SourceType.TypeVectorPolygon, None, True, False
            ),
            self.tr(
                "GeoPackage of the chips as polygons, with the share of each class. If skipped, it is written into the folder of "
                "chips and loaded; it then stays with the chips wherever they are moved. Training finds it in either place."
            ),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                self.OUTPUT_HTML, self.tr("Report"), self.tr("HTML files (*.html)"), None, True, True
            ),
            self.tr("A page with everything that was found; it needs no other file."),
        )

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = super().processAlgorithm(parameters, context, feedback)
        path = outputs[self.OUTPUT]
        if not self.layer_path(parameters, self.OUTPUT, context) and context.project() is not None:
            name = self.tr("Footprints of {}").format(os.path.basename(self.input_path(parameters, self.INPUT, context)))
            details = QgsProcessingContext.LayerDetails(name, context.project(), self.OUTPUT)
            context.addLayerToLoadOnCompletion(path, details)
        style_when_loaded(path, context)
        return outputs

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        folder = self.input_path(parameters, self.INPUT, context)
        return {
            "folder": folder,
            "output": self.layer_path(parameters, self.OUTPUT, context) or os.path.join(folder, OWN_PLACE),
            "report": self.output_path(parameters, self.OUTPUT_HTML, context),
        }
