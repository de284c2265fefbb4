# SPDX-License-Identifier: GPL-2.0-or-later
"""Export training data: cuts rasters and their labels into chips."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFolderDestination,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .export_parameters import add_chips, add_inputs, add_labelling, add_special
from .job import LABELS_FILE, Job
from .label_classes import LabelClasses
from .label_source import LabelSource, LabelWriter
from .raster_legend import read_legend
from .raster_list import read_raster_list
from .raster_source import RasterSource
from .values import check_bands, is_given, read_bands

WHOLE_NUMBERS = ("TILE_SIZE_X", "TILE_SIZE_Y", "STRIDE_X", "STRIDE_Y")
NUMBERS = ("ROTATION_ANGLE", "MIN_OVERLAP_RATIO", "MIN_LABELED_RATIO", "CELL_SIZE")
SWITCHES = ("EMPTY_TILES", "BLACKEN", "APPEND")
CHOICES = ("CHIP_FORMAT", "METADATA_FORMAT", "REFERENCE_SYSTEM", "CROP_MODE")
# The worker's names of parameters whose value is a raster or a vector layer.
LAYERS = {"LABELS": "labels", "LABEL_RASTER": "label_raster", "INPUT2": "raster2", "INSTANCES": "instances", "MASK": "mask"}
INDEX_FILE = "toolbox_index.json"
SHOWN_CLASSES = 20


class ExportTrainingData(BackendAlgorithm):
    """Labels and rasters to a folder of chips with ArcGIS's metadata."""

    STAGE = "export"
    ICON = "export.svg"

    INPUT = "INPUT"
    MORE_INPUTS = "MORE_INPUTS"
    INPUT2 = "INPUT2"
    LABELS = "LABELS"
    LABEL_RASTER = "LABEL_RASTER"
    CLASS_VALUE_FIELD = "CLASS_VALUE_FIELD"
    CLASS_NAME_FIELD = "CLASS_NAME_FIELD"
    INSTANCES = "INSTANCES"
    INSTANCE_FIELD = "INSTANCE_FIELD"
    MASK = "MASK"
    BANDS = "BANDS"
    BUFFER_RADIUS = "BUFFER_RADIUS"
    EXTENT = "EXTENT"
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
        return self.tr(
            "chips,tiles,labels,samples,deep learning,classified tiles,pascal voc,kitti,rcnn masks,imagenet,panoptic,"
            "export training data for deep learning"
        ).split(",")

    def help_text(self) -> str:
        return self.tr(
            "Cuts rasters and labels into small images (chips) for training. The labels are a vector layer or a class raster. "
            "Pixels without a label count as unknown, not as a class. The folder can also be read by ArcGIS; this toolbox trains on "
            "the metadata formats classified_tiles, rcnn_masks and panoptic."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        for add in (add_inputs, add_chips, add_labelling, add_special):
            add(self)
        self.addParameter(QgsProcessingParameterFolderDestination(self.OUTPUT, self.tr("Folder for the chips")))
        self.addOutput(QgsProcessingOutputNumber(self.CHIPS, self.tr("Number of chips")))
        self.addOutput(QgsProcessingOutputNumber(self.CLASSES, self.tr("Number of classes")))

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        # Here and not at the top: loading the plugin imports no stage of the backend.
        from ..backend.chips.names import picture_fault
        from ..backend.chips.settings import find_contradictions

        fine, text = super().checkParameterValues(parameters, context)
        if not fine:
            return False, text
        settings = self._read_plain(parameters, context)
        faults = find_contradictions({**settings, **{name: self._given(parameters, key) for key, name in LAYERS.items()}})
        if faults:
            text = "; ".join(faults)
            return False, f"{text[0].upper() if faults[0].startswith('give') else text[0]}{text[1:]}."
        for name in (self.INPUT, self.INPUT2):
            layer = self.parameterAsRasterLayer(parameters, name, context) if is_given(parameters.get(name)) else None
            if name == self.INPUT:
                fault = check_bands(parameters.get(self.BANDS), layer.bandCount() if layer else 0)
                if fault:
                    return False, fault
            if layer is None:
                continue
            bands = read_bands(parameters.get(self.BANDS)) if name == self.INPUT else []
            fault = picture_fault(settings["chip_format"], *RasterSource.describe_bands(layer, bands))
            if fault:
                return False, fault if name == self.INPUT else f"{name}: {fault}"
        return True, ""

    @staticmethod
    def _given(parameters: Parameters, name: str) -> str | None:
        return name if is_given(parameters.get(name)) else None

    def _read_plain(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        """The settings that are numbers, switches and words."""
        settings: dict[str, Any] = {}
        for names, read in (
            (WHOLE_NUMBERS, self.parameterAsInt),
            (NUMBERS, self.parameterAsDouble),
            (SWITCHES, self.parameterAsBoolean),
            (CHOICES, self.parameterAsEnumString),
        ):
            settings.update({name.lower(): read(parameters, name, context) for name in names})
        return settings

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._rasters = [self._raster_of(parameters, self.INPUT, context)]
            self._second = self._raster_of(parameters, self.INPUT2, context) if is_given(parameters.get(self.INPUT2)) else None
            self._label_raster, self._legend = None, []
            if is_given(parameters.get(self.LABEL_RASTER)):
                self._label_raster = self._raster_of(parameters, self.LABEL_RASTER, context)
                self._legend = read_legend(self.parameterAsRasterLayer(parameters, self.LABEL_RASTER, context))
            # A folder may hold the other rasters of the request, too.
            others = [raster.source for raster in (self._rasters[0], self._second, self._label_raster) if raster is not None]
            known = {self._rasters[0].source}
            for raster in read_raster_list(parameters.get(self.MORE_INPUTS), self.MORE_INPUTS, others):
                if raster.source not in known:
                    known.add(raster.source)
                    self._rasters.append(raster)
            self._labels = self._vector_of(parameters, self.LABELS, context, self.CLASS_VALUE_FIELD, self.CLASS_NAME_FIELD)
            self._instances = self._vector_of(parameters, self.INSTANCES, context, self.INSTANCE_FIELD)
            self._mask = self._vector_of(parameters, self.MASK, context)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        return True

    def _raster_of(self, parameters: Parameters, name: str, context: QgsProcessingContext) -> RasterSource:
        return RasterSource.from_layer(self.parameterAsRasterLayer(parameters, name, context), name)

    def _vector_of(
        self, parameters: Parameters, name: str, context: QgsProcessingContext, value_field: str = "", name_field: str = ""
    ) -> LabelSource | None:
        """The features of a parameter; None when it is not given."""
        if not is_given(parameters.get(name)):
            return None
        fields = [self.parameterAsString(parameters, field, context) if field else "" for field in (value_field, name_field)]
        source = self.parameterAsSource(parameters, name, context)
        return LabelSource.catch(source, self.whole_layer(parameters, name, context), *fields)

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        settings = {
            "raster": self._rasters[0].source,
            "more_rasters": [raster.source for raster in self._rasters[1:]],
            "output": self.output_path(parameters, self.OUTPUT, context),
            "bands": read_bands(parameters.get(self.BANDS)),
            "extent": self.extent_of(parameters, self.EXTENT, context, self._rasters[0]),
            **self._read_plain(parameters, context),
        }
        if self._second is not None:
            settings["raster2"] = self._second.source
        if self._label_raster is not None:
            settings.update(label_raster=self._label_raster.source, legend=self._legend)
        known = read_known_classes(Path(settings["output"])) if settings["append"] else {}
        buffer_radius = self.parameterAsDouble(parameters, self.BUFFER_RADIUS, context)
        writer = LabelWriter(self._rasters[0], context.transformContext(), buffer_radius, job.feedback, job.check_cancelled)
        for source, key, layer, what in (
            (self._labels, "classes", "labels", "label"),
            (self._instances, "instance_classes", "instances", "instance"),
            (self._mask, "", "mask", "mask polygon"),
        ):
            if source is None:
                continue
            # Instances and mask are not widened: the buffer is the labels'.
            own = writer if layer == "labels" else replace(writer, buffer_radius=0.0)
            classes = source.read_classes(known if layer == "labels" else None) if key else LabelClasses.single(what)
            self._write_layers(own, source, classes, job.folder / LABELS_FILE, layer, what)
            settings[layer] = LABELS_FILE
            for note in classes.notes:
                job.feedback.pushWarning(note)
            if key:
                settings[key] = classes.entries
        return settings

    def _write_layers(
        self, writer: LabelWriter, source: LabelSource, classes: LabelClasses, path: Path, layer: str, what: str
    ) -> None:
        """Writes the features in the coordinates of each raster."""
        many = len(self._rasters) > 1
        count = 0
        for number, raster in enumerate(self._rasters, start=1):
            name = layer if number == 1 else f"{layer}_{number}"
            count += replace(writer, raster=raster).write(source, classes, path, name, what, may_miss=many)
        if count == 0:
            raise ToolboxError(
                f"No {what} meets any of the {len(self._rasters)} rasters; check that they lie in the same place and that their "
                "coordinate systems are set correctly."
            )
        names = ", ".join(f"{entry['value']} {entry['name']}" for entry in classes.entries[:SHOWN_CLASSES])
        more = "" if len(classes.entries) <= SHOWN_CLASSES else ", …"
        place = f"the {len(self._rasters)} rasters" if many else "the raster"
        writer.feedback.pushInfo(f"{count} {what}s meet {place}. {len(classes.entries)} classes: {names}{more}")


def read_known_classes(folder: Path) -> dict[str, int]:
    """Class values by name of the export in a folder; empty when there is none. Raises ToolboxError when its index is damaged."""
    from ..backend.chips.index import ChipIndex

    if not os.path.isfile(folder / INDEX_FILE):
        return {}
    return {entry.name: entry.value for entry in ChipIndex.read(folder).classes.classes}
