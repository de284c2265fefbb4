# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes vector labels, whatever their provider, into the one form that the worker knows.

That is a GeoPackage with the layer ``labels``: coordinates of the raster, fields ``value``, ``name`` and ``block`` (the number by
which a feature is known in several rasters), the features in the order of their ids, without those whose bounding box lies outside
the raster. Geometries are passed on as they are, valid or not. Mask polygons and instances are further layers of the same form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from qgis.core import (
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QVariant
from qgis.PyQt.QtGui import QTransform

from ..backend.errors import ToolboxError
from .label_classes import Color, LabelClasses, LabelFields, renderer_colors
from .raster_source import RasterSource

LAYER = "labels"
BUFFER_SEGMENTS = 8  # straight pieces of a quarter circle


@dataclass
class LabelSource:
    """The labels that the user chose, caught in the main thread.

    Attributes:
        selected: The features to burn: all, or the selection.
        whole: All features of the layer, for the class list; None when the layer is no vector layer.
        fields: Which fields say what.
        style: Colours of the layer's renderer.
    """

    selected: QgsProcessingFeatureSource
    whole: QgsVectorLayerFeatureSource | None
    fields: LabelFields
    style: dict[str, Color]

    @classmethod
    def catch(
        cls,
        selected: QgsProcessingFeatureSource | None,
        layer: QgsVectorLayer | None,
        value_field: str,
        name_field: str,
        parameter: str = "LABELS",
    ) -> LabelSource:
        """Reads what only the layer's thread may read; raises ToolboxError when there are no such labels or fields."""
        if selected is None:
            raise ToolboxError(f"{parameter} is not a vector layer that QGIS can read; choose another one.")
        fields = LabelFields.find(selected.fields(), value_field, name_field)
        whole = QgsVectorLayerFeatureSource(layer) if layer is not None else None
        return cls(selected, whole, fields, renderer_colors(layer, fields))

    def read_classes(self, known: dict[str, int] | None = None) -> LabelClasses:
        """The class list of the whole layer; for ``known`` and the ToolboxError that it raises see `LabelClasses.read`."""
        request = QgsFeatureRequest().setFlags(QgsFeatureRequest.Flag.NoGeometry)
        request.setSubsetOfAttributes(self.fields.all, self.selected.fields())
        source = self.selected if self.whole is None else self.whole
        return LabelClasses.read(source.getFeatures(request), self.fields, self.selected.sourceName(), self.style, known)


@dataclass
class LabelWriter:
    """Writes labels in the coordinates of a raster.

    Attributes:
        raster: The raster.
        context: The user's choice of transformations.
        buffer_radius: Added around each feature before reprojection, in units of the labels' coordinate system.
        feedback: Receives the warnings.
        check_cancelled: Called per feature; raises to stop.
    """

    raster: RasterSource
    context: QgsCoordinateTransformContext
    buffer_radius: float
    feedback: QgsProcessingFeedback
    check_cancelled: Callable[[], None]

    def write(
        self,
        labels: LabelSource,
        classes: LabelClasses,
        path: Path,
        layer: str = LAYER,
        what: str = "label",
        may_miss: bool = False,
    ) -> int:
        """Writes a layer of the GeoPackage, which is made if need be, and returns the number of its features.

        Args:
            labels: The features.
            classes: Their classes.
            path: The GeoPackage.
            layer: Name of the layer.
            what: What a feature is, for messages.
            may_miss: Take it that no feature meets this raster, as one of several.

        Raises:
            ToolboxError: No feature is selected, none meets the raster, or the file cannot be written.
        """
        if labels.selected.featureCount() == 0:
            raise ToolboxError(f"The {what} layer is empty or nothing of it is selected; draw {what}s or change the selection.")
        fields = QgsFields()
        # The unscoped names are the only ones that Qt 5 and QGIS's bridge to Qt 6, which has no QVariant.Type, share.
        fields.append(QgsField("value", QVariant.Int))
        fields.append(QgsField("name", QVariant.String))
        fields.append(QgsField("block", QVariant.Int))
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GPKG"
        options.layerName = layer
        if path.exists():
            options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
        writer = QgsVectorFileWriter.create(str(path), fields, QgsWkbTypes.Type.Unknown, self.raster.crs, self.context, options)
        if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
            raise ToolboxError(f"The labels cannot be written to {path}: {writer.errorMessage()}.")
        names = {entry["value"]: entry["name"] for entry in classes.entries}
        written = 0
        for block, value, geometry in self._labels(labels, classes, what):
            feature = QgsFeature(fields)
            feature.setAttributes([value, names[value], block])
            feature.setGeometry(geometry)
            if not writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
                raise ToolboxError(f"The labels cannot be written to {path}: {writer.errorMessage()}.")
            written += 1
        del writer  # closes the file
        if written == 0 and not may_miss:
            raise ToolboxError(
                f"No {what} meets the raster “{self.raster.name}”; check that both lie in the same place, that their coordinate "
                "systems are set correctly, and that the right features are selected."
            )
        return written

    def _labels(self, labels: LabelSource, classes: LabelClasses, what: str) -> Iterator[tuple[int, int, QgsGeometry]]:
        """Number in the layer, class value, and geometry in the raster's coordinates of each feature that meets the raster, by id."""
        transform = self._transform(labels.selected, what)
        request = QgsFeatureRequest().setSubsetOfAttributes(labels.fields.all, labels.selected.fields())
        request.addOrderBy("$id")
        without_class = without_place = 0
        flags = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
        for block, feature in enumerate(labels.selected.getFeatures(request, flags), start=1):
            self.check_cancelled()
            value = classes.value_of(feature)
            geometry = self._project(feature.geometry(), transform)
            if value is None:
                without_class += 1
            elif geometry is None:
                without_place += 1
            elif geometry.boundingBox().intersects(self.raster.extent):
                yield block, value, self._place(geometry)
        if without_class:
            self.feedback.pushWarning(f"{without_class} {what}s without a class (“{labels.fields.value}” is empty) are left out.")
        if without_place:
            self.feedback.pushWarning(f"{without_place} {what}s without a usable geometry are left out.")

    def _transform(self, labels: QgsProcessingFeatureSource, what: str) -> QgsCoordinateTransform:
        """From the labels' to the raster's coordinates; does nothing, with a warning, when either has no coordinate system."""
        for name, crs in (("raster", self.raster.crs), (f"{what} layer", labels.sourceCrs())):
            if not crs.isValid():
                self.feedback.pushWarning(
                    f"The {name} has no coordinate system: the {what}s are taken to lie in the coordinates of the raster."
                )
        return QgsCoordinateTransform(labels.sourceCrs(), self.raster.crs, self.context)

    def _project(self, geometry: QgsGeometry, transform: QgsCoordinateTransform) -> QgsGeometry | None:
        """The geometry buffered, without curves and reprojected; None when nothing is left of it or it cannot be reprojected."""
        if self.buffer_radius > 0:
            # GEOS loses parts of a polygon that crosses itself.
            geometry = geometry.makeValid().buffer(self.buffer_radius, BUFFER_SEGMENTS)
        if geometry.isEmpty():
            return None
        geometry.convertToStraightSegment()  # the worker's libraries know no curves
        try:
            done = geometry.transform(transform) == QgsGeometry.OperationResult.Success
        except QgsCsException:
            done = False
        return geometry if done else None

    def _place(self, geometry: QgsGeometry) -> QgsGeometry:
        """The geometry as the worker counts: see `RasterSource.has_georeference`."""
        if not self.raster.has_georeference:
            geometry.transform(QTransform.fromScale(1, -1))
        return geometry
