# SPDX-License-Identifier: GPL-2.0-or-later
"""Export training data: cuts a raster and its labels into chips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDistance,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
    QgsVectorLayer,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .job import LABELS_FILE, Job
from .label_source import LabelSource, LabelWriter
from .raster_source import RasterSource
from .values import check_bands, is_given, read_bands

TILE_RANGE = (16, 8192)
STRIDE_RANGE = (1, 8192)


class ExportTrainingData(BackendAlgorithm):
    """Labels and a raster to a folder of chips (ArcGIS's Classified Tiles)."""

    STAGE = "export"
    ICON = "export.svg"

    INPUT = "INPUT"
    LABELS = "LABELS"
    LABEL_RASTER = "LABEL_RASTER"
    CLASS_VALUE_FIELD = "CLASS_VALUE_FIELD"
    CLASS_NAME_FIELD = "CLASS_NAME_FIELD"
    BANDS = "BANDS"
    CHIP_FORMAT = "CHIP_FORMAT"
    METADATA_FORMAT = "METADATA_FORMAT"
    TILE_SIZE_X, TILE_SIZE_Y = "TILE_SIZE_X", "TILE_SIZE_Y"
    STRIDE_X, STRIDE_Y = "STRIDE_X", "STRIDE_Y"
    EMPTY_TILES = "EMPTY_TILES"
    BUFFER_RADIUS = "BUFFER_RADIUS"
    MIN_LABELED_RATIO = "MIN_LABELED_RATIO"
    OUTPUT = "OUTPUT"
    CHIPS = "CHIPS"
    CLASSES = "CLASSES"

    def name(self) -> str:
        return "exporttrainingdata"

    def displayName(self) -> str:
        return self.tr("Export training data")

    def group(self) -> str:
        return self.tr("Training data")

    def groupId(self) -> str:
        return "trainingdata"

    def tags(self) -> list[str]:
        return self.tr("chips,tiles,labels,samples,deep learning,classified tiles,export training data for deep learning").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Cuts a raster and labels into small images (chips) for training. The labels are a vector layer or a class raster. "
            "Pixels without a label count as unknown, not as a class. The folder can also be read by ArcGIS."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self._add_inputs()
        self._add_options()
        self.addParameter(QgsProcessingParameterFolderDestination(self.OUTPUT, self.tr("Folder for the chips")))
        self.addOutput(QgsProcessingOutputNumber(self.CHIPS, self.tr("Number of chips")))
        self.addOutput(QgsProcessingOutputNumber(self.CLASSES, self.tr("Number of classes")))

    def _add_inputs(self) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Raster")),
            self.tr("The image to learn from. It must be a file that GDAL reads and must not be rotated."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.LABELS, self.tr("Labels"), [QgsProcessing.SourceType.TypeVectorAnyGeometry], None, True
            ),
            self.tr(
                "Polygons, lines or points in any coordinate system. A polygon labels the pixels whose centre it covers, a line or "
                "point those that it touches; where features overlap, the later one wins. Give either this or a label raster."
            ),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_VALUE_FIELD,
                self.tr("Class value field"),
                None,
                self.LABELS,
                QgsProcessingParameterField.DataType.Any,
                False,
                True,
            ),
            self.tr(
                "Field with whole numbers from 1 to 65,534, or with texts, which are numbered in alphabetical order. If empty: the "
                "field Classvalue, else Value, else all features are of one class."
            ),
        )
        self.add(
            QgsProcessingParameterField(
                self.CLASS_NAME_FIELD,
                self.tr("Class name field"),
                None,
                self.LABELS,
                QgsProcessingParameterField.DataType.Any,
                False,
                True,
            ),
            self.tr("Field with the names of the classes. If empty: the field Classname, else the values serve as names."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(self.LABEL_RASTER, self.tr("Label raster"), None, True),
            self.tr(
                "A class raster instead of a vector layer, on any grid and in any coordinate system; 0 and nodata mean unlabelled. "
                "Names and colours come from its attribute or colour table."
            ),
        )

    def _add_options(self) -> None:
        self.add(
            QgsProcessingParameterBand(self.BANDS, self.tr("Bands"), None, self.INPUT, True, True),
            self.tr("Numbers of the bands to use, in this order. If empty: all."),
        )
        for names, label, default, limits, text in (
            ((self.TILE_SIZE_X, self.TILE_SIZE_Y), "Tile size", 256, TILE_RANGE, self.tr("Size of a chip in pixels.")),
            (
                (self.STRIDE_X, self.STRIDE_Y),
                "Stride",
                128,
                STRIDE_RANGE,
                self.tr("Distance in pixels from one chip to the next; half of the tile size gives an overlap of 50 %."),
            ),
        ):
            for name in names:
                self.add(self.integer(name, f"{self.tr(label)} {name[-1]}", default, *limits), text)
        self.add(
            QgsProcessingParameterBoolean(self.EMPTY_TILES, self.tr("Also write chips without labels"), False),
            self.tr("Chips without any labelled pixel are of use only where unlabelled means background."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterDistance(self.BUFFER_RADIUS, self.tr("Buffer radius"), 0.0, self.LABELS, False, 0.0),
            self.tr("Widens each label by this distance, in the units of the labels' coordinate system; turns points into circles."),
            advanced=True,
        )
        self.add(
            self.real(self.MIN_LABELED_RATIO, self.tr("Minimum labelled share of a chip"), 0.0, 0.0, 1.0),
            self.tr("Chips of which a smaller share (0 to 1) is labelled are left out."),
            advanced=True,
        )
        self.add(
            self.choice(self.CHIP_FORMAT, self.tr("Image format"), ["tiff"], "tiff"),
            self.tr("tiff keeps all bands, the type of the values, nodata and the place on the map."),
            advanced=True,
        )
        self.add(
            self.choice(self.METADATA_FORMAT, self.tr("Metadata format"), ["classified_tiles"], "classified_tiles"),
            self.tr("classified_tiles: a label chip with class values beside each image chip, for pixel classification."),
            advanced=True,
        )

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        given = [name for name in (self.LABELS, self.LABEL_RASTER) if is_given(parameters.get(name))]
        if len(given) != 1:
            return False, self.tr("Give either LABELS (a vector layer) or LABEL_RASTER (a class raster), not both and not none.")
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        fault = check_bands(parameters.get(self.BANDS), layer.bandCount() if layer else 0)
        if fault:
            return False, fault
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._raster = RasterSource.from_layer(self.parameterAsRasterLayer(parameters, self.INPUT, context), self.INPUT)
            self._labels: LabelSource | None = None
            self._label_raster: RasterSource | None = None
            if is_given(parameters.get(self.LABEL_RASTER)):
                layer = self.parameterAsRasterLayer(parameters, self.LABEL_RASTER, context)
                self._label_raster = RasterSource.from_layer(layer, self.LABEL_RASTER)
            else:
                self._labels = LabelSource.catch(
                    self.parameterAsSource(parameters, self.LABELS, context),
                    self._whole_layer(parameters, context),
                    self.parameterAsString(parameters, self.CLASS_VALUE_FIELD, context),
                    self.parameterAsString(parameters, self.CLASS_NAME_FIELD, context),
                )
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        return True

    def _whole_layer(self, parameters: Parameters, context: QgsProcessingContext) -> QgsVectorLayer | None:
        """The label layer without selection or filter."""
        value = parameters.get(self.LABELS)
        if isinstance(value, QgsProcessingFeatureSourceDefinition):
            value = value.source
        return self.parameterAsVectorLayer({self.LABELS: value}, self.LABELS, context)

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        settings = {
            "raster": self._raster.source,
            "output": self.output_path(parameters, self.OUTPUT, context),
            "bands": read_bands(parameters.get(self.BANDS)),
            "empty_tiles": self.parameterAsBoolean(parameters, self.EMPTY_TILES, context),
            "min_labeled_ratio": self.parameterAsDouble(parameters, self.MIN_LABELED_RATIO, context),
        }
        for name in (self.TILE_SIZE_X, self.TILE_SIZE_Y, self.STRIDE_X, self.STRIDE_Y):
            settings[name.lower()] = self.parameterAsInt(parameters, name, context)
        if self._label_raster is not None:
            settings["label_raster"] = self._label_raster.source
        elif self._labels is not None:
            writer = LabelWriter(
                self._raster,
                context.transformContext(),
                self.parameterAsDouble(parameters, self.BUFFER_RADIUS, context),
                job.feedback,
                job.check_cancelled,
            )
            settings["labels"] = LABELS_FILE
            settings["classes"] = write_labels(writer, self._labels, job.folder / LABELS_FILE)
        return settings


def write_labels(writer: LabelWriter, labels: LabelSource, path: Path) -> list[dict[str, Any]]:
    """Writes the labels and returns their class list."""
    classes = labels.read_classes()
    count = writer.write(labels, classes, path)
    names = ", ".join(f"{entry['value']} {entry['name']}" for entry in classes.entries[:20])
    more = "" if len(classes.entries) <= 20 else ", …"
    writer.feedback.pushInfo(f"{count} labels meet the raster. {len(classes.entries)} classes: {names}{more}")
    return classes.entries
