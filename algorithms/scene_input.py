# SPDX-License-Identifier: GPL-2.0-or-later
"""A parameter that takes raster layers of the project and, besides, paths of anything: files, folders, archives, metadata.

QGIS has lists of raster layers, which refuse a folder or an archive, and lists of files, whose dialog does not show the project's
layers. This is the first with the values of the second.
"""

from __future__ import annotations

import os
import re
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameters,
    QgsProcessingUtils,
    QgsRasterLayer,
)

from ..backend.errors import ToolboxError
from .raster_source import gdal_source
from .texts import tr


class SceneInput(QgsProcessingParameterMultipleLayers):
    """Raster layers and paths, one or more. The dialog lists the layers of the project, and adds files and folders."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(name, description, QgsProcessing.SourceType.TypeRaster)

    def checkValueIsAcceptable(self, value: Any, context: QgsProcessingContext | None = None) -> bool:
        """Whether there is anything; what it is, is told by `sources` and by the worker, who knows all formats."""
        entries = value if isinstance(value, (list, tuple)) else [value]
        return any(entry is not None and str(entry).strip() not in ("", "NULL") for entry in entries)

    def createFileFilter(self) -> str:
        """What the dialog offers to add: everything, since products come in many forms."""
        return tr("All files") + " (*.*)"

    def sources(self, value: Any, context: QgsProcessingContext) -> list[str]:
        """Absolute paths and GDAL sources of a value, in its order. Call it in the main thread.

        Raises:
            ToolboxError: A layer has no source that another process could open.
        """
        entries = value if isinstance(value, (list, tuple)) else [value]
        found: list[str] = []
        for entry in entries:
            if isinstance(entry, QgsMapLayer):
                found.append(self._source_of(entry))
            else:
                texts = QgsProcessingParameters.parameterAsFileList(self, entry, context) if entry else []
                found += [self._find_source(text, context) for text in texts if text.strip()]
        return found

    def _find_source(self, text: str, context: QgsProcessingContext) -> str:
        """A path made absolute; for a layer of the project its GDAL source; anything else stays, for GDAL to open."""
        if os.path.exists(text):
            return os.path.abspath(text)
        layer = QgsProcessingUtils.mapLayerFromString(text, context, False)
        if layer is not None:
            return self._source_of(layer)
        is_gdal_name = text.startswith("/vsi") or re.match(r"\w{2,}:", text)  # such as SENTINEL2_L2A:…; C: is a drive
        return text if is_gdal_name else os.path.abspath(text)

    def _source_of(self, layer: QgsMapLayer) -> str:
        if not isinstance(layer, QgsRasterLayer):
            raise ToolboxError(tr("{} holds “{}”, which is no raster layer; leave it out.").format(self.name(), layer.name()))
        return gdal_source(layer, self.name())
