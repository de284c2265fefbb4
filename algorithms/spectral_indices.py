# SPDX-License-Identifier: GPL-2.0-or-later
"""Compute spectral indices: an image to an image of indices, by name or by own formula."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .image_bands import read_image_bands
from .job import Job
from .natural_colours import show_in_natural_colours
from .raster_source import RasterSource

# Those of resources/tables/sensors.json, which is not read while QGIS starts; a test compares them.
SENSORS = (
    "auto", "landsat4", "landsat5", "landsat7", "landsat8", "landsat9", "sentinel2a", "sentinel2b", "sentinel2c", "sentinel2d",
    "modis", "planetscope", "planetscope4", "worldview2", "worldview3", "sentinel1", "custom",
)  # fmt: skip
OUT_OF_RANGE_CHOICES = ("keep", "clip", "nodata")
PICKER = "ui.index_parameter.IndexParameter"  # the widget with the searchable list, imported when a dialog is opened


class SpectralIndices(BackendAlgorithm):
    """Bands to indices that bring out what the bands alone do not show."""

    STAGE = "indices"
    ICON = "indices.svg"

    INPUT = "INPUT"
    INDICES = "INDICES"
    SENSOR = "SENSOR"
    BAND_MAP = "BAND_MAP"
    PARAMETERS = "PARAMETERS"
    APPEND = "APPEND"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    OVERVIEWS = "OVERVIEWS"
    OUTPUT = "OUTPUT"

    def name(self) -> str:
        return "spectralindices"

    def displayName(self) -> str:
        return self.tr("Compute spectral indices")

    def group(self) -> str:
        return self.tr("Imagery")

    def groupId(self) -> str:
        return "imagery"

    def tags(self) -> list[str]:
        return self.tr("ndvi,ndwi,ndbi,savi,evi,vegetation index,band math,band arithmetic,raster calculator").split(",")

    def help_text(self) -> str:
        return self.tr(
            "Computes indices such as NDVI from the bands of an image, as many as you like in one pass. All 280 indices of the "
            "awesome-spectral-indices catalogue are known, and own formulas are taken. The image should hold reflectance (0 to 1): "
            "Prepare satellite scene makes it so. Divisions by zero become nodata and are counted. An index "
            "needs data in its own bands only."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, self.tr("Image")),
            self.tr("Raster with named bands (blue, red, nir, B04, …), as Prepare satellite scene writes it; or any with SENSOR."),
        )
        indices = QgsProcessingParameterString(self.INDICES, self.tr("Indices"))
        indices.setMetadata({"widget_wrapper": {"class": f"{__package__.rpartition('.')[0]}.{PICKER}"}})
        self.add(
            indices,
            self.tr(
                "Names separated by semicolons, such as NDVI;NDWI;NDBI. An own formula has a name: mine=(N-R)/(N+R+0.1), with the "
                "letters of the bands (B, G, R, N, S1, S2, …), b1, b2, … for bands by number, numbers, + - * / ** and parentheses."
            ),
        )
        self.add(
            self.choice(self.SENSOR, self.tr("Sensor"), SENSORS, "auto"),
            self.tr(
                "Which bands the image has. auto: by their names, wavelengths and the sensor the image names; custom: by BAND_MAP."
            ),
        )
        self.add(
            QgsProcessingParameterString(self.BAND_MAP, self.tr("Band map"), "", False, True),
            self.tr("Letters and the numbers of their bands, such as N=5 R=4 G=3; overrides what the sensor says."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(self.PARAMETERS, self.tr("Constants"), "", False, True),
            self.tr("Constants of the formulas that differ from their defaults, such as L=0.5 g=2.5."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.APPEND, self.tr("Append to the bands of the image"), False),
            self.tr("Writes the image's own bands first, then the indices: the image to train on."),
        )
        self.add(
            self.choice(self.OUT_OF_RANGE, self.tr("Reflectance outside 0…1"), OUT_OF_RANGE_CHOICES, "keep"),
            self.tr("What becomes of reflectance below 0 or above 1, which is counted: keep it, clip it, or make the pixel nodata."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.OVERVIEWS, self.tr("Build overviews"), False),
            self.tr("QGIS then shows the image quickly at any scale; adds about a third to its size and the time."),
            advanced=True,
        )
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Image of indices")))

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        missing = self._find_missing(parameters)
        if missing:
            return False, missing
        is_valid, message = super().checkParameterValues(parameters, context)
        if not is_valid:
            return is_valid, message
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        try:
            self._check_formulas(parameters, context, layer.source() if layer else "")
        except ToolboxError as fault:
            return False, str(fault)
        return True, ""

    def _find_missing(self, parameters: Parameters) -> str:
        """What the user has not filled in, where QGIS would speak of an incorrect value only; empty when all is."""
        if not str(parameters.get(self.INPUT) or "").strip():
            return self.tr("INPUT is empty; choose the image of which indices are to be computed.")
        if not str(parameters.get(self.INDICES) or "").strip():
            return self.tr("INDICES is empty; type names such as NDVI;NDWI, or pick them from the list (the button …).")
        return ""

    def _check_formulas(self, parameters: Parameters, context: QgsProcessingContext, source: str) -> None:
        """Raises ToolboxError for what the worker would refuse, before it is started."""
        from ..backend.imagery.indices.catalogue import parse_parameters, parse_selection
        from ..backend.imagery.indices.inputs import InputFinder, find_inputs
        from ..backend.imagery.sensors import match_letters

        chosen = parse_selection(self.parameterAsString(parameters, self.INDICES, context))
        constants = parse_parameters(self.parameterAsString(parameters, self.PARAMETERS, context))
        image = read_image_bands(source)
        if image.names:
            match = match_letters(
                image.names,
                image.wavelengths_um,
                image.sensor,
                self.parameterAsEnumString(parameters, self.SENSOR, context),
                self.parameterAsString(parameters, self.BAND_MAP, context),
            )
            find_inputs(chosen, InputFinder(match, image.names, constants), match)

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._raster = RasterSource.from_layer(self.parameterAsRasterLayer(parameters, self.INPUT, context), self.INPUT)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        return True

    def processAlgorithm(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = super().processAlgorithm(parameters, context, feedback)
        show_in_natural_colours(outputs[self.OUTPUT], context)
        return outputs

    def build_settings(self, parameters: Parameters, context: QgsProcessingContext, job: Job) -> dict[str, Any]:
        return {
            "raster": self._raster.source,
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "indices": self.parameterAsString(parameters, self.INDICES, context),
            "sensor": self.parameterAsEnumString(parameters, self.SENSOR, context),
            "band_map": self.parameterAsString(parameters, self.BAND_MAP, context),
            "parameters": self.parameterAsString(parameters, self.PARAMETERS, context),
            "append": self.parameterAsBoolean(parameters, self.APPEND, context),
            "overviews": self.parameterAsBoolean(parameters, self.OVERVIEWS, context),
            "out_of_range": self.parameterAsEnumString(parameters, self.OUT_OF_RANGE, context),
        }
