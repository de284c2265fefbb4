# SPDX-License-Identifier: GPL-2.0-or-later
"""Use existing features as labels: any vector layer to a label layer, which is left as it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from qgis.core import (
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDistance,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterVectorDestination,
    QgsWkbTypes,
)

from ..backend.errors import ToolboxError
from .base import Parameters, ToolboxAlgorithm
from .label_classes import LabelClasses, text_of
from .label_layer import CODE, IMAGERY, LabelLayerFile
from .label_source import BUFFER_SEGMENTS, LabelSource
from .layer_style import style_when_loaded


class ConvertLabels(ToolboxAlgorithm):
    """Features to labels."""

    ICON = "convert.svg"

    INPUT = "INPUT"
    CLASS_VALUE_FIELD = "CLASS_VALUE_FIELD"
    CLASS_NAME_FIELD = "CLASS_NAME_FIELD"
    BUFFER = "BUFFER"
    OUTPUT = "OUTPUT"
    LABELS = "LABELS"
    CLASSES = "CLASSES"

    def name(self) -> str:
        return "convertlabels"

    def displayName(self) -> str:
        return self.tr("Use existing features as labels")

    def group(self) -> str:
        return self.tr("Labels")

    def groupId(self) -> str:
        return "labels"

    def tags(self) -> list[str]:
        return self.tr("training samples,convert,shapefile,classes,polygons,arcgis").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Makes a label layer of existing polygons, or of lines and points with a buffer, such as training samples of ArcGIS Pro. "
            "The features themselves are left as they are. Classes keep the colours of the layer's style, or of its fields Red, "
            "Green and Blue."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        field = QgsProcessingParameterField.DataType.Any
        self.add(
            QgsProcessingParameterFeatureSource(self.INPUT, self.tr("Features"), [QgsProcessing.SourceType.TypeVectorAnyGeometry]),
            self.tr("Polygons, lines or points."),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_VALUE_FIELD, self.tr("Class value field"), None, self.INPUT, field, False, True
            ),
            self.tr(
                "Whole numbers from 1 to 65,534, or texts, which are numbered in alphabetical order. If empty: the field Classvalue, "
                "else Value, else all features are of one class."
            ),
        )
        self.add(
            QgsProcessingParameterField(self.CLASS_NAME_FIELD, self.tr("Class name field"), None, self.INPUT, field, False, True),
            self.tr("Names of the classes. If empty: the field Classname, else the values."),
        )
        self.add(
            QgsProcessingParameterDistance(self.BUFFER, self.tr("Buffer"), 0.0, self.INPUT, False, 0.0),
            self.tr("Added around each feature, in the units of its coordinate system. Lines and points need one."),
        )
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                self.OUTPUT, self.tr("Label layer"), QgsProcessing.SourceType.TypeVectorPolygon
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.LABELS, self.tr("Number of labels")))
        self.addOutput(QgsProcessingOutputNumber(self.CLASSES, self.tr("Number of classes")))

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        source = self.parameterAsSource(parameters, self.INPUT, context)
        try:
            self._labels = LabelSource.catch(
                source,
                self.whole_layer(parameters, self.INPUT, context),
                self.parameterAsString(parameters, self.CLASS_VALUE_FIELD, context),
                self.parameterAsString(parameters, self.CLASS_NAME_FIELD, context),
                self.INPUT,
            )
            buffer = self.parameterAsDouble(parameters, self.BUFFER, context)
            if buffer == 0 and QgsWkbTypes.geometryType(source.wkbType()) in (
                QgsWkbTypes.GeometryType.PointGeometry,
                QgsWkbTypes.GeometryType.LineGeometry,
            ):
                raise ToolboxError("Lines and points have no area; give a BUFFER greater than 0.")
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        from ..backend.labels.schema import ClassSchema  # not while QGIS starts

        output = self.layer_path(parameters, self.OUTPUT, context)
        source = self._labels.selected
        try:
            self.refuse_overwriting(output, [self.vector_path(parameters, self.INPUT, context)])
            classes = self._labels.read_classes()
            schema = ClassSchema.from_dicts(classes.entries)
            entries = {entry.value: entry for entry in schema.classes}
            buffer = self.parameterAsDouble(parameters, self.BUFFER, context)
            written = 0
            with LabelLayerFile(output, source.sourceCrs(), context.transformContext(), uuid.uuid4().hex[:8]) as layer:
                for value, feature, geometry in self._areas(classes, buffer, feedback):
                    layer.add(geometry, entries[value], _text(feature, CODE), _text(feature, IMAGERY) or None)
                    written += 1
                if feedback.isCanceled():
                    raise QgsProcessingException(self.tr("The job was cancelled; nothing was written."))
                if not written:
                    raise ToolboxError("No feature has both a class and an area; check the fields, the selection and BUFFER.")
                layer.publish(schema.classes)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        for note in classes.notes:
            feedback.pushWarning(note)
        feedback.pushInfo(self.tr("{} labels in {} classes.").format(written, len(entries)))
        style_when_loaded(output, context)
        return {self.OUTPUT: output, self.LABELS: written, self.CLASSES: len(entries)}

    def _areas(
        self, classes: LabelClasses, buffer: float, feedback: QgsProcessingFeedback
    ) -> Iterator[tuple[int, QgsFeature, QgsGeometry]]:
        """Class value, feature and valid area of the features that have both, in the order of their ids; others are counted."""
        total = max(self._labels.selected.featureCount(), 1)
        without_class = without_area = repaired = 0
        request = QgsFeatureRequest().addOrderBy("$id")
        unchecked = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
        for number, feature in enumerate(self._labels.selected.getFeatures(request, unchecked)):
            if feedback.isCanceled():
                return
            feedback.setProgress(100 * number / total)
            value = classes.value_of(feature)
            if value is None:
                without_class += 1
                continue
            geometry, was_repaired = _to_area(feature.geometry(), buffer)
            repaired += was_repaired
            if geometry is None:
                without_area += 1
                continue
            yield value, feature, geometry
        for count, text in (
            (without_class, self.tr("{} features have no class and are left out.")),
            (without_area, self.tr("{} features have no area and are left out.")),
            (repaired, self.tr("{} features had crossing outlines, which were repaired.")),
        ):
            if count:
                feedback.pushWarning(text.format(count))


def _to_area(geometry: QgsGeometry, buffer: float) -> tuple[QgsGeometry | None, bool]:
    """The geometry as valid flat polygons, None when it has no area; and whether it was repaired."""
    if geometry.isNull() or geometry.isEmpty():
        return None, False
    was_repaired = not geometry.isGeosValid()
    if was_repaired:
        geometry = geometry.makeValid()
    if buffer:
        geometry = geometry.buffer(buffer, BUFFER_SEGMENTS)
    polygons = [part for part in geometry.coerceToType(QgsWkbTypes.Type.Polygon) if part.area() > 0]
    if not polygons or QgsWkbTypes.geometryType(geometry.wkbType()) == QgsWkbTypes.GeometryType.LineGeometry:
        return None, was_repaired
    return QgsGeometry.collectGeometry(polygons), was_repaired


def _text(feature: QgsFeature, field: str) -> str:
    """What stands in a field of this name, in any case of letters; empty without one."""
    place = feature.fields().lookupField(field)
    return text_of(feature[place]) if place >= 0 else ""
