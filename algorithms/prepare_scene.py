# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepare satellite scene: a downloaded product, or a list of rasters, to one stack with named, scaled bands."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .job import Job
from .natural_colours import show_in_natural_colours
from .scene_input import SceneInput
from .values import is_given

SCALES = ("reflectance", "toa", "none")
RESAMPLINGS = ("nearest", "bilinear", "cubic")
OUTPUT_TYPES = ("float32", "int16")
MASK_CLASSES = ("cloud", "cirrus", "shadow", "snow", "saturation")


class PrepareScene(BackendAlgorithm):
    """From a downloaded scene to an image that can be labelled, trained on and classified."""

    STAGE = "scene"
    ICON = "scene.svg"

    INPUT = "INPUT"
    BANDS = "BANDS"
    SCALE = "SCALE"
    MASK_CLOUDS = "MASK_CLOUDS"
    MASK_CLASSES = "MASK_CLASSES"
    EXTENT = "EXTENT"
    RESOLUTION = "RESOLUTION"
    RESAMPLING = "RESAMPLING"
    OUTPUT_TYPE = "OUTPUT_TYPE"
    OVERVIEWS = "OVERVIEWS"
    OUTPUT = "OUTPUT"

    def name(self) -> str:
        return "preparescene"

    def displayName(self) -> str:
        return self.tr("Prepare satellite scene")

    def group(self) -> str:
        return self.tr("Imagery")

    def groupId(self) -> str:
        return "imagery"

    def tags(self) -> list[str]:
        words = self.tr("landsat,sentinel,sentinel-2,safe,mtl,composite bands,stack,reflectance,cloud mask,apparent reflectance")
        return words.split(",")

    def help_text(self) -> str:
        return self.tr(
            "Makes one image of a downloaded scene: bands stacked and named, scaled to reflectance, brought to one cell size, "
            "clipped, clouds masked. Landsat 4 to 9 Collection 2 (Level-1, Level-2) and Sentinel-2 (L1C, L2A) are read as they "
            "come, archives in place. A list of rasters, such as a height model or a scene of last year, is stacked on the grid of "
            "the first."
        )

    def initAlgorithm(self, configuration: Parameters | None = None) -> None:
        self.add(
            SceneInput(self.INPUT, self.tr("Scene or rasters")),
            self.tr(
                "One product: its folder, .zip, .tar, or metadata file (…_MTL.txt, .json, .xml, MTD_MSIL1C.xml, MTD_MSIL2A.xml). "
                "Or several rasters: layers of the project, band files, or anything to be stacked. In the list, Add Directory takes a "
                "product's folder, Add File(s) an archive, a metadata file or rasters."
            ),
        )
        self.add(
            QgsProcessingParameterString(self.BANDS, self.tr("Bands"), "", False, True),
            self.tr("Names or codes in the order wanted, such as red;nir or B4;B8A; all = every band. If empty: the usual ones."),
        )
        self.add(
            self.choice(self.SCALE, self.tr("Scale"), SCALES, "reflectance"),
            self.tr(
                "reflectance: at the surface for Level-2, at the top of the atmosphere for Level-1; toa: the latter or nothing; "
                "none: the stored numbers."
            ),
        )
        self.add(
            QgsProcessingParameterBoolean(self.MASK_CLOUDS, self.tr("Mask clouds"), False),
            self.tr("Makes clouds, shadows and so on nodata, from the product's quality band (QA_PIXEL, SCL)."),
        )
        self.add(
            QgsProcessingParameterString(self.MASK_CLASSES, self.tr("What to mask"), ";".join(MASK_CLASSES), False, True),
            self.tr("Some of cloud, cirrus, shadow, snow, saturation; used with Mask clouds."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterExtent(self.EXTENT, self.tr("Extent"), None, True),
            self.tr("Only this part is written. If empty: all of it."),
        )
        self.add(
            QgsProcessingParameterNumber(
                self.RESOLUTION, self.tr("Cell size"), QgsProcessingParameterNumber.Type.Double, 0.0, False, 0.0
            ),
            self.tr(
                "In units of the scene's coordinate system, such as 10, 20, 30 or 60 m; in degrees where that has degrees (10 m are "
                "about 0.00009). 0 = that of the finest band; for a list, of the first raster."
            ),
        )
        self.add(
            self.choice(self.RESAMPLING, self.tr("Resampling"), RESAMPLINGS, "bilinear"),
            self.tr("How bands of another cell size are brought to that of the result."),
            advanced=True,
        )
        self.add(
            self.choice(self.OUTPUT_TYPE, self.tr("Stored as"), OUTPUT_TYPES, "float32"),
            self.tr("int16 stores reflectance × 10,000 with its scale and takes half the space."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.OVERVIEWS, self.tr("Build overviews"), True),
            self.tr("QGIS then shows the image quickly at any scale; adds about a third to its size and the time."),
            advanced=True,
        )
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, self.tr("Prepared scene")))

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        if not self.parameterDefinition(self.INPUT).checkValueIsAcceptable(parameters.get(self.INPUT), context):
            return False, self.tr("INPUT is empty; choose a product's folder, archive or metadata file, or rasters to stack.")
        is_valid, message = super().checkParameterValues(parameters, context)
        if not is_valid:
            return is_valid, message
        from ..backend.imagery.scenes.settings import SceneSettings

        texts = {name: self.parameterAsString(parameters, name, context) for name in (self.BANDS, self.MASK_CLASSES)}
        choices = (self.SCALE, self.RESAMPLING, self.OUTPUT_TYPE)
        texts.update({name: self.parameterAsEnumString(parameters, name, context) for name in choices})
        try:
            SceneSettings(
                inputs=self.parameterDefinition(self.INPUT).sources(parameters.get(self.INPUT), context),
                output="named.tif",
                mask_clouds=self.parameterAsBoolean(parameters, self.MASK_CLOUDS, context),
                resolution=self.parameterAsDouble(parameters, self.RESOLUTION, context),
                **{name.lower(): text for name, text in texts.items()},
            )
        except ToolboxError as fault:
            return False, str(fault)
        return True, ""

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._inputs = self.parameterDefinition(self.INPUT).sources(parameters.get(self.INPUT), context)
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
        settings: dict[str, Any] = {
            "inputs": self._inputs,
            "output": self.layer_path(parameters, self.OUTPUT, context),
            "mask_clouds": self.parameterAsBoolean(parameters, self.MASK_CLOUDS, context),
            "overviews": self.parameterAsBoolean(parameters, self.OVERVIEWS, context),
            "resolution": self.parameterAsDouble(parameters, self.RESOLUTION, context),
            **self._read_extent(parameters, context),
        }
        for name in (self.BANDS, self.MASK_CLASSES):
            settings[name.lower()] = self.parameterAsString(parameters, name, context)
        for name in (self.SCALE, self.RESAMPLING, self.OUTPUT_TYPE):
            settings[name.lower()] = self.parameterAsEnumString(parameters, name, context)
        return settings

    def _read_extent(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        """The extent with its CRS, since only the worker knows that of the scene."""
        if not is_given(parameters.get(self.EXTENT)):
            return {}
        extent = self.parameterAsExtent(parameters, self.EXTENT, context)
        crs = self.parameterAsExtentCrs(parameters, self.EXTENT, context)
        if extent.isNull():
            return {}
        edges = [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]
        return {"extent": edges, "extent_crs": (crs.authid() or crs.toWkt()) if crs.isValid() else None}
