# SPDX-License-Identifier: GPL-2.0-or-later
"""Create label layer: an empty GeoPackage with ArcGIS's label fields, its classes and their colours."""

from __future__ import annotations

import uuid
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterCrs,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..backend.errors import ToolboxError
from .base import Parameters, ToolboxAlgorithm
from .label_layer import LabelLayerFile
from .layer_style import style_when_loaded


class CreateLabelLayer(ToolboxAlgorithm):
    """Classes to an empty label layer."""

    ICON = "label.svg"

    SCHEMA = "SCHEMA"
    CLASSES = "CLASSES"
    CRS = "CRS"
    OUTPUT = "OUTPUT"
    COUNT = "COUNT"

    def name(self) -> str:
        return "createlabellayer"

    def displayName(self) -> str:
        return self.tr("Create label layer")

    def group(self) -> str:
        return self.tr("Labels")

    def groupId(self) -> str:
        return "labels"

    def tags(self) -> list[str]:
        return self.tr("classes,schema,ecs,training samples,empty,new,annotation").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Makes an empty layer for labels with the fields that ArcGIS's labels have, and with classes and their colours. Give the "
            "classes as a schema file or as a text. Labels are drawn with “Label objects…”."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterFile(
                self.SCHEMA,
                self.tr("Class schema"),
                QgsProcessingParameterFile.Behavior.File,
                "",
                None,
                True,
                self.tr("Class schemas (*.json *.ecs)"),
            ),
            self.tr("Written by the label dock, or by ArcGIS Pro's Label Objects (.ecs), as far as it can be understood."),
        )
        self.add(
            QgsProcessingParameterString(self.CLASSES, self.tr("Classes"), "", True, True),
            self.tr("Value, name and perhaps colour of each class, such as 1=Water=#0000ff; 2=Forest. Instead of a schema."),
        )
        self.add(
            QgsProcessingParameterCrs(self.CRS, self.tr("Coordinate system"), "ProjectCrs"),
            self.tr("Best that of the imagery."),
        )
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT, self.tr("Label layer"), QgsProcessing.SourceType.TypeVectorPolygon
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.COUNT, self.tr("Number of classes")))

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        fine, text = super().checkParameterValues(parameters, context)
        if not fine:
            return False, text
        given = [bool(self.parameterAsString(parameters, name, context).strip()) for name in (self.SCHEMA, self.CLASSES)]
        if all(given) or not any(given):
            return False, self.tr("Give either SCHEMA (a file) or CLASSES (a text such as 1=Water; 2=Forest), not both and not none.")
        return True, ""

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        # Here and not at the top: loading the plugin imports no stage of the backend.
        from .label_schema import SCHEMA_PROPERTY
        from .schema_files import read_classes_text, read_schema_file

        output = self.layer_path(parameters, self.OUTPUT, context)
        crs = self.parameterAsCrs(parameters, self.CRS, context)
        path = self.input_path(parameters, self.SCHEMA, context)
        try:
            schema = read_schema_file(path) if path else read_classes_text(self.parameterAsString(parameters, self.CLASSES, context))
            if not crs.isValid():
                raise ToolboxError("CRS is not a coordinate system; choose that of the imagery.")
            self.refuse_overwriting(output, [path])
            with LabelLayerFile(output, crs, context.transformContext(), uuid.uuid4().hex[:8]) as layer:
                layer.publish(schema.definitions(), {SCHEMA_PROPERTY: schema.to_json()})
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        listed = ", ".join(f"{entry.value} {entry.name}" for entry in schema.classes)
        feedback.pushInfo(self.tr("{} classes: {}").format(len(schema.classes), listed))
        style_when_loaded(output, context)
        return {self.OUTPUT: output, self.COUNT: len(schema.classes)}
