# SPDX-License-Identifier: GPL-2.0-or-later
"""The widget of the parameter INDICES in Processing's dialogs: a line to type in, and a button that opens the searchable list.

Processing imports `IndexParameter` by its name when it builds a dialog; nothing of this is loaded before.
"""

from __future__ import annotations

from typing import Any

from processing.gui.wrappers import WidgetWrapper
from qgis.core import QgsProcessingParameterDefinition, QgsProcessingUtils, QgsRasterLayer
from qgis.gui import QgsAbstractProcessingParameterWidgetWrapper, QgsGui
from qgis.PyQt.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QToolButton, QWidget

from ..algorithms.image_bands import read_image_bands
from ..algorithms.texts import tr
from ..backend.errors import ToolboxError
from ..backend.imagery.indices.catalogue import parse_parameters
from ..backend.imagery.indices.inputs import InputFinder
from ..backend.imagery.sensors import load_sensors, match_letters
from .index_picker import IndexPicker


class IndexParameter:
    """Makes the widget that fits the dialog: in the graphical modeler QGIS's own, which also takes the model's inputs."""

    def __new__(cls, parameter: QgsProcessingParameterDefinition, dialog: Any, row: int = 0, column: int = 0) -> Any:
        """The widget wrapper."""
        if dialog.__class__.__name__ == "ModelerParametersDialog":
            registry = QgsGui.processingGuiRegistry()
            widget = registry.createModelerParameterWidget(dialog.model, dialog.childId, parameter, dialog.context)
            widget.setDialog(dialog)
            return widget
        return IndexWidgetWrapper(parameter, dialog, row, column)


class IndexWidgetWrapper(WidgetWrapper):
    """Line and button; knows the widgets of the other parameters, so that the list fits the image."""

    def createWidget(self) -> QWidget:
        """The line edit with its button."""
        self._others: dict[str, Any] = {}
        widget = QWidget()
        self.line = QLineEdit(widget)
        self.line.setPlaceholderText("NDVI;NDWI;mine=(N-R)/(N+R+0.1)")
        self.line.textChanged.connect(lambda: self.widgetValueHasChanged.emit(self))
        self.button = QToolButton(widget)
        self.button.setText("…")
        self.button.setToolTip(tr("Choose from the list of indices"))
        self.button.clicked.connect(self.pick)
        layout = QHBoxLayout(widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.button)
        return widget

    def postInitialize(self, wrappers: list[QgsAbstractProcessingParameterWidgetWrapper]) -> None:
        """Called by Processing once all widgets of the dialog exist."""
        self._others = {wrapper.parameterDefinition().name(): wrapper for wrapper in wrappers}

    def setValue(self, value: Any) -> None:
        """Shows a value."""
        self.line.setText("" if value is None else str(value))

    def value(self) -> str:
        """The value typed or picked."""
        return self.line.text()

    def pick(self, _checked: bool = False) -> None:
        """Opens the list, fitted to the image; takes over what was chosen there."""
        finder, remark = self.describe_image()
        picker = IndexPicker(self.value(), finder, remark, self.widget.window())
        if picker.exec() == QDialog.DialogCode.Accepted:
            self.setValue(picker.selection())

    def describe_image(self) -> tuple[InputFinder | None, str]:
        """What finds inputs in the image chosen in the dialog, None without one, and a line about it."""
        source = self._image_source()
        image = read_image_bands(source) if source else None
        if image is None or not image.names:
            return None, tr("Choose the image first to see which indices it can give.")
        try:
            match = match_letters(
                image.names, image.wavelengths_um, image.sensor, self._other("SENSOR") or "auto", self._other("BAND_MAP") or ""
            )
            constants = parse_parameters(self._other("PARAMETERS") or "")
        except ToolboxError as fault:
            return None, str(fault)
        if not match.bands:
            return None, tr("The bands of the image are not recognised; choose its sensor, or say in Band map which is which.")
        title = load_sensors().sensors[match.sensor].title if match.sensor else tr("The image")
        letters = ", ".join(f"{letter} = {image.names[number - 1]}" for letter, number in match.bands.items())
        return InputFinder(match, image.names, constants), f"{title}: {letters}"

    def _other(self, name: str) -> Any:
        """The value of another parameter of the dialog."""
        wrapper = self._others.get(name)
        return wrapper.parameterValue() if wrapper is not None else None

    def _image_source(self) -> str:
        """The GDAL source of INPUT, which is a layer, its id, or a path; empty without one."""
        value = self._other("INPUT")
        if isinstance(value, QgsRasterLayer):
            return value.source()
        if not isinstance(value, str) or not value:
            return ""
        layer = QgsProcessingUtils.mapLayerFromString(value, self._context(), False)
        return layer.source() if isinstance(layer, QgsRasterLayer) else value

    def _context(self) -> Any:
        from processing.tools.dataobjects import createContext

        return createContext()
