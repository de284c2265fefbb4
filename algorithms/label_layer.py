# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a label layer: a GeoPackage with polygons in ArcGIS's fields, which carries its style, so that QGIS shows it by class.

The file appears under its name once it is whole. The style lies in it as QGIS's default for the layer, so it is shown in whatever way
the layer is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsFillSymbol,
    QgsGeometry,
    QgsRendererCategory,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QVariant

from ..backend.errors import ToolboxError
from ..backend.runtime.output_folder import partial_name

if TYPE_CHECKING:
    from ..backend.labels.schema import ClassDefinition

NAME, VALUE, CODE, IMAGERY = "Classname", "Classvalue", "Classcode", "Imagery"  # as ArcGIS Pro calls them
OPACITY = 0.5  # of the fill: the image stays visible
UNSAVED, DISCARDED = ".unsaved", ".discarded"  # endings of a journal of unsaved labels beside the file, and of one set aside
SIDE_FILES = ("-wal", "-shm", "-journal")  # SQLite would read them into the new file


def label_fields() -> QgsFields:
    """The fields of a label layer."""
    fields = QgsFields()
    # The unscoped names are the only ones that Qt 5 and QGIS's bridge to Qt 6, which has no QVariant.Type, share.
    for name, kind in ((NAME, QVariant.String), (VALUE, QVariant.Int), (CODE, QVariant.String), (IMAGERY, QVariant.String)):
        fields.append(QgsField(name, kind))
    return fields


def label_renderer(classes: Sequence[ClassDefinition]) -> QgsCategorizedSymbolRenderer:
    """Shows each class in its colour, half transparent, with a full outline."""
    categories = []
    for entry in classes:
        red, green, blue = entry.color
        properties = {
            "color": f"{red},{green},{blue},{round(255 * OPACITY)}",
            "outline_color": f"{red},{green},{blue},255",
            "outline_width": "0.4",
        }
        categories.append(QgsRendererCategory(entry.value, QgsFillSymbol.createSimple(properties), entry.name))
    return QgsCategorizedSymbolRenderer(VALUE, categories)


class LabelLayerFile:
    """A label layer under way. A context manager that removes what is not published.

    Args:
        path: GeoPackage to write; replaced when it exists.
        crs: Of the labels.
        context: For the writer; nothing is reprojected.
        job_id: Names the file until it is whole.

    Raises:
        ToolboxError: It is no .gpkg, or cannot be written.
    """

    def __init__(self, path: str, crs: QgsCoordinateReferenceSystem, context: QgsCoordinateTransformContext, job_id: str) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() != ".gpkg":
            raise ToolboxError(f"{self._path.name} must end in .gpkg, since a GeoPackage is written; choose another name.")
        self._partial = self._path.with_name(f"{partial_name(job_id)}-{self._path.name}")
        self._fields = label_fields()
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName, options.layerName = "GPKG", self._path.stem
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)  # temporary folders of a model do not exist yet
        except OSError as failure:
            folder = self._path.parent
            raise ToolboxError(f"The folder {folder} cannot be made ({failure.strerror}); choose another place.") from failure
        self._writer: QgsVectorFileWriter | None = QgsVectorFileWriter.create(
            str(self._partial), self._fields, QgsWkbTypes.Type.MultiPolygon, crs, context, options
        )
        if self._writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
            raise ToolboxError(f"The labels cannot be written to {path} ({self._writer.errorMessage()}); choose another place.")

    def __enter__(self) -> LabelLayerFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        self._writer = None  # closes the file
        for ending in ("", *SIDE_FILES):
            Path(f"{self._partial}{ending}").unlink(missing_ok=True)

    def add(self, geometry: QgsGeometry, entry: ClassDefinition, code: str = "", imagery: Any = None) -> None:
        """Adds a label; raises ToolboxError when it cannot be written."""
        feature = QgsFeature(self._fields)
        feature.setAttributes([entry.name, entry.value, code or str(entry.value), imagery])
        feature.setGeometry(geometry)
        if not self._writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
            raise ToolboxError(f"The labels cannot be written to {self._path} ({self._writer.errorMessage()}); nothing was changed.")

    def publish(self, classes: Sequence[ClassDefinition], properties: Mapping[str, str] | None = None) -> None:
        """Adds the style, which carries the properties, and moves the file to its name; raises ToolboxError when that fails."""
        self._writer = None
        self._add_style(classes, properties or {})
        try:
            os.replace(self._partial, self._path)
        except OSError as failure:
            raise ToolboxError(
                f"The labels cannot be moved to {self._path} ({failure.strerror}); close programs that use it, or choose another name."
            ) from failure
        for ending in SIDE_FILES:
            Path(f"{self._path}{ending}").unlink(missing_ok=True)
        for journal in self._path.parent.glob(f"{escape(self._path.name)}.*{UNSAVED}"):
            os.replace(journal, f"{journal}{DISCARDED}")  # it speaks of labels of the file that was here before

    def _add_style(self, classes: Sequence[ClassDefinition], properties: Mapping[str, str]) -> None:
        layer = QgsVectorLayer(f"{self._partial}|layername={self._path.stem}", self._path.stem, "ogr")
        for name, content in properties.items():
            layer.setCustomProperty(name, content)
        layer.setRenderer(label_renderer(classes))
        message = layer.saveStyleToDatabase(self._path.stem, "", True, "")
        del layer  # closes the file
        if message:
            raise ToolboxError(f"The style cannot be written to {self._path} ({message}); choose another place.")
