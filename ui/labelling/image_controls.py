# SPDX-License-Identifier: GPL-2.0-or-later
"""A row of controls for what a labeller changes all the time: bands, stretch, a look below the image, opacity and outlines."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QGridLayout, QPushButton, QSlider, QWidget

from ...backend.errors import ToolboxError
from ...backend.imagery.sensors import AUTO, load_sensors
from .image_view import composites, find_letters, is_outlined, set_outlined, show_bands, stretch_to_view
from .texts import tr


class ImageControls(QWidget):
    """Shows and changes how the image and the labels of the moment look; see `set_image` and `set_labels`.

    Signals:
        failed: A sentence for the user.
    """

    failed = pyqtSignal(str)

    def __init__(self, canvas: QgsMapCanvas, project: QgsProject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._image: QgsRasterLayer | None = None
        self._labels: QgsVectorLayer | None = None
        self._lifted: list[QgsMapLayer] | None = None
        self.sensor, self.bands = QComboBox(), QComboBox()
        self.sensor.addItem(tr("Bands by name"), AUTO)
        for entry in load_sensors().sensors.values():
            self.sensor.addItem(entry.title, entry.id)
        self.stretch = QPushButton(tr("Stretch to view"))
        self.below = QPushButton(tr("Look below"))
        self.below.setToolTip(tr("While held, hides the image, so that another one below it can be compared."))
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setToolTip(tr("Opacity of the labels"))
        self.outline = QCheckBox(tr("Outlines only"))
        self._arrange()
        self.sensor.activated.connect(lambda _index: self._fill_bands())
        self.bands.activated.connect(lambda _index: self._show_bands())
        self.stretch.clicked.connect(lambda _checked=False: self._stretch())
        self.below.pressed.connect(self._lift_image)
        self.below.released.connect(self.lower_image)
        self.opacity.valueChanged.connect(self._set_opacity)
        self.outline.toggled.connect(self._set_outlined)
        project.layersWillBeRemoved.connect(self._forget)
        self.set_image(None)
        self.set_labels(None)

    def set_image(self, layer: QgsMapLayer | None) -> None:
        """Controls this image from now on."""
        self.lower_image()
        self._image = layer if isinstance(layer, QgsRasterLayer) else None
        for widget in (self.sensor, self.bands, self.stretch, self.below):
            widget.setEnabled(self._image is not None)
        self.sensor.setCurrentIndex(0)
        self._fill_bands()

    def set_labels(self, layer: QgsVectorLayer | None) -> None:
        """Controls how these labels look from now on."""
        if self._labels is not None:
            self._labels.styleChanged.disconnect(self._read_labels)
        self._labels = layer
        for widget in (self.opacity, self.outline):
            widget.setEnabled(layer is not None)
        if layer is not None:
            layer.styleChanged.connect(self._read_labels)
            self._read_labels()

    def lower_image(self) -> None:
        """Shows the image again."""
        if self._lifted is not None:
            self._canvas.setLayers(self._lifted)
            self._lifted = None

    def hideEvent(self, event: object) -> None:
        """No release comes when the dock is closed during a look below."""
        self.lower_image()
        super().hideEvent(event)

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.sensor, 0, 0)
        grid.addWidget(self.bands, 0, 1)
        grid.addWidget(self.stretch, 1, 0)
        grid.addWidget(self.below, 1, 1)
        grid.addWidget(self.outline, 2, 0)
        grid.addWidget(self.opacity, 2, 1)
        for box in (self.sensor, self.bands):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(10)

    def _fill_bands(self) -> None:
        """Offers the composites whose bands the image has; with none, says so in the list."""
        self.bands.clear()
        letters: dict[str, int] = {}
        if self._image is not None:
            try:
                letters = find_letters(self._image, self.sensor.currentData())
            except ToolboxError as failure:
                self.failed.emit(str(failure))
        for composite in composites():
            if all(letter in letters for letter in composite.letters):
                self.bands.addItem(composite.title, tuple(letters[letter] for letter in composite.letters))
        if not self.bands.count():
            self.bands.addItem(tr("(bands not known)"), None)

    def _show_bands(self) -> None:
        bands = self.bands.currentData()
        if self._image is not None and bands:
            show_bands(self._image, tuple(bands), self._canvas)

    def _stretch(self) -> None:
        try:
            stretch_to_view(self._image, self._canvas)
        except ToolboxError as failure:
            self.failed.emit(str(failure))

    def _lift_image(self) -> None:
        layers = self._canvas.layers()
        if self._image in layers:
            self._lifted = layers
            self._canvas.setLayers([layer for layer in layers if layer is not self._image])

    def _set_opacity(self, percent: int) -> None:
        if self._labels is not None and round(100 * self._labels.opacity()) != percent:
            self._labels.setOpacity(percent / 100)
            self._labels.triggerRepaint()

    def _set_outlined(self, wanted: bool) -> None:
        if self._labels is not None and is_outlined(self._labels) != wanted:
            set_outlined(self._labels, wanted)

    def _read_labels(self) -> None:
        """Shows what the labels look like, also after their style was changed elsewhere."""
        self.opacity.setValue(round(100 * self._labels.opacity()))
        self.outline.setChecked(is_outlined(self._labels))

    def _forget(self, ids: list[str]) -> None:
        if self._lifted is not None:
            self._lifted = [layer for layer in self._lifted if layer.id() not in ids]
        if self._image is not None and self._image.id() in ids:
            self.set_image(None)
        if self._labels is not None and self._labels.id() in ids:
            self.set_labels(None)
