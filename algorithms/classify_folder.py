# SPDX-License-Identifier: GPL-2.0-or-later
"""Classify many rasters: a folder or a list of rasters and one model to class rasters and a mosaic of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputString,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .classify_parameters import add_model, add_raster, add_result, add_running, find_fault, read_options
from .job import Job
from .label_source import LabelWriter
from .raster_list import read_raster_list
from .raster_source import RasterSource
from .reference_source import write_mask


class ClassifyFolder(BackendAlgorithm):
    """Many rasters to maps of classes."""

    STAGE = "classify_folder"
    ICON = "classify.svg"

    INPUT = "INPUT"
    MODEL = "MODEL"
    EXTENT = "EXTENT"
    MASK = "MASK"
    OUTPUT = "OUTPUT"
    OUTPUT_VRT = "OUTPUT_VRT"
    CLASSIFIED = "CLASSIFIED"
    DEVICE_USED = "DEVICE_USED"

    def name(self) -> str:
        return "classifyfolder"

    def displayName(self) -> str:
        return self.tr("Classify many rasters")

    def group(self) -> str:
        return self.tr("Inference")

    def groupId(self) -> str:
        return "inference"

    def tags(self) -> list[str]:
        return self.tr("batch,folder,mosaic,segmentation,land cover,predict,inference,map,network,deep learning").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Gives every pixel of many rasters one of the classes that a model has learned. The model is loaded once; a raster that "
            "cannot be classified is named at the end and does not stop the others. A mosaic shows all class rasters as one layer, if "
            "they have one coordinate system and cell size."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterMultipleLayers(self.INPUT, self.tr("Rasters"), QgsProcessing.SourceType.TypeFile),
            self.tr("A folder of rasters, or rasters. Each must have the bands of the model; they are found by name, else by order."),
        )
        for add in (add_model, add_result, add_raster, add_running):
            add(self)
        self.addParameter(QgsProcessingParameterFolderDestination(self.OUTPUT, self.tr("Folder for the class rasters")))
        self.addOutput(QgsProcessingOutputRasterLayer(self.OUTPUT_VRT, self.tr("Mosaic")))
        self.addOutput(QgsProcessingOutputNumber(self.CLASSIFIED, self.tr("Rasters classified")))
        self.addOutput(QgsProcessingOutputString(self.DEVICE_USED, self.tr("Device used")))

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        fine, text = super().checkParameterValues(parameters, context)
        text = text if not fine else find_fault(self, parameters, context)
        return not text, text

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            damaged: list[str] = []
            self._rasters = read_raster_list(parameters.get(self.INPUT), self.INPUT, damaged=damaged)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        for text in damaged:
            feedback.pushWarning(self.tr("A raster is left out. {}").format(text))
        self._mask = self.parameterAsSource(parameters, self.MASK, context)
        return True

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        folder = self.output_path(parameters, self.OUTPUT, context)
        items = []
        for number, (raster, output) in enumerate(zip(self._rasters, name_outputs(self._rasters, folder))):
            item: dict[str, Any] = {"raster": raster.source, "output": output, "has_georeference": raster.has_georeference}
            extent = self.extent_of(parameters, self.EXTENT, context, raster)
            if extent is not None:
                item["extent"] = extent
            if self._mask is not None:
                item["mask"] = self._write_mask(raster, context, job, number)
                if not item["mask"]:
                    continue
            items.append(item)
        if not items:
            text = self.tr("No polygon of MASK meets any of the rasters; check where they lie, and their coordinate systems.")
            raise ToolboxError(text)
        options = read_options(self, parameters, context)
        return {"items": items, "model": self.input_path(parameters, self.MODEL, context), "output": folder, "options": options}

    def _write_mask(self, raster: RasterSource, context: QgsProcessingContext, job: Job, number: int) -> str:
        """The mask's file for one raster; empty, with a warning, when no polygon meets it."""
        name = f"mask_{number}.gpkg"
        writer = LabelWriter(raster, context.transformContext(), 0.0, job.feedback, job.check_cancelled)
        try:
            write_mask(writer, self._mask, job.folder / name)
        except ToolboxError as failure:
            job.feedback.pushWarning(self.tr("{} is left out. {}").format(raster.name, failure))
            return ""
        return name


def name_outputs(rasters: list[RasterSource], folder: str) -> list[str]:
    """A path for the class raster of each raster, named after it; rasters of one name are numbered."""
    names: list[str] = []
    for raster in rasters:
        stem = Path(raster.source.partition("|")[0]).stem or raster.name
        stem = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in stem)
        name, number = f"{stem}_classes", 1
        while name.lower() in (other.lower() for other in names):
            number += 1
            name = f"{stem}_classes_{number}"
        names.append(name)
    return [os.path.join(folder, f"{name}.tif") for name in names]
