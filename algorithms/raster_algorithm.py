# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tools share that read one raster: it is caught in the main thread, and its bands are checked before the run."""

from __future__ import annotations

from qgis.core import QgsProcessingContext, QgsProcessingException, QgsProcessingFeedback

from ..backend.errors import ToolboxError
from .base import BackendAlgorithm, Parameters
from .raster_source import RasterSource
from .values import check_bands


class RasterAlgorithm(BackendAlgorithm):
    """A tool with the raster INPUT and the list BANDS of its bands; the raster is in ``_raster`` while it runs."""

    INPUT = "INPUT"
    BANDS = "BANDS"

    def checkParameterValues(self, parameters: Parameters, context: QgsProcessingContext) -> tuple[bool, str]:
        fine, text = super().checkParameterValues(parameters, context)
        if not fine:
            return False, text
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        fault = check_bands(parameters.get(self.BANDS), layer.bandCount() if layer else 0)
        return not fault, fault

    def prepareAlgorithm(self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> bool:
        try:
            self._raster = RasterSource.from_layer(self.parameterAsRasterLayer(parameters, self.INPUT, context), self.INPUT)
            self.catch_inputs(parameters, context)
        except ToolboxError as failure:
            raise QgsProcessingException(str(failure)) from failure
        return True

    def catch_inputs(self, parameters: Parameters, context: QgsProcessingContext) -> None:
        """Reads what else only the main thread may read; nothing by default. Raises ToolboxError."""
