# SPDX-License-Identifier: GPL-2.0-or-later
"""What a labeller changes all the time: bands or an index, stretch, comparison with another image, opacity and outlines."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QGridLayout, QHBoxLayout, QLabel, QPushButton, QSlider, QWidget

from ...backend.errors import ToolboxError
from ...backend.imagery.sensors import AUTO, load_sensors
from .compare_bar import CompareBar
from .image_view import composites, find_letters, is_outlined, set_outlined, show_bands, stretch_to_view, view_on
from .index_layer import IndexView, fitting_presets
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
        self._letters: dict[str, int] = {}
        self._index_view = IndexView(project)
        self.sensor, self.bands, self.index = QComboBox(), QComboBox(), QComboBox()
        self.sensor.addItem(tr("Bands by name"), AUTO)
        for entry in load_sensors().sensors.values():
            self.sensor.addItem(entry.title, entry.id)
        self.stretch = QPushButton(tr("Stretch to view"))
        self.index.setToolTip(tr("A spectral index, computed for the view only; to keep one, use “Compute spectral indices”."))
        self.compare = CompareBar(canvas, project)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setToolTip(tr("Opacity of the labels"))
        self.outline = QCheckBox(tr("Outlines only"))
        self._arrange()
        self.sensor.activated.connect(lambda _index: self._fill_bands())
        self.bands.activated.connect(lambda _index: self._show_bands())
        self.stretch.clicked.connect(lambda _checked=False: self._stretch())
        self.index.activated.connect(lambda _index: self._show_index())
        self.opacity.valueChanged.connect(self._set_opacity)
        self.outline.toggled.connect(self._set_outlined)
        project.layersWillBeRemoved.connect(self._forget)
        self.set_image(None)
        self.set_labels(None)

    def set_image(self, layer: QgsMapLayer | None) -> None:
        """Controls this image from now on."""
        self._image = layer if isinstance(layer, QgsRasterLayer) else None
        for widget in (self.sensor, self.bands, self.index, self.stretch):
            widget.setEnabled(self._image is not None)
        self.compare.set_top(self._image)
        self._index_view.hide()
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

    def remove(self) -> None:
        """Gives the canvas back, and takes the index away."""
        self.compare.remove()
        self._index_view.hide()

    def _arrange(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        labelled = QWidget()
        line = QHBoxLayout(labelled)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(QLabel(tr("Opacity")))
        line.addWidget(self.opacity, 1)
        self.bands.setPlaceholderText(tr("(own style)"))
        for row, pair in enumerate(((self.sensor, self.bands), (self.index, self.stretch), (self.compare,), (self.outline, labelled))):
            for column, widget in enumerate(pair):
                grid.addWidget(widget, row, column, 1, 2 // len(pair))
        for box in (self.sensor, self.bands, self.index):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(10)

    def _fill_bands(self) -> None:
        """Offers the composites and indices whose bands the image has; with none, says so in the list."""
        self.bands.clear()
        self.index.clear()
        self._letters = {}
        if self._image is not None:
            try:
                self._letters = find_letters(self._image, self.sensor.currentData())
            except ToolboxError as failure:
                self.failed.emit(str(failure))
        for composite in composites():
            if all(letter in self._letters for letter in composite.letters):
                self.bands.addItem(composite.title, tuple(self._letters[letter] for letter in composite.letters))
        if not self.bands.count():
            self.bands.addItem(tr("(bands not known)"), None)
        else:
            self._show_shown_bands()
        self.index.addItem(tr("(no index)"), None)
        for preset in fitting_presets(self._letters):
            self.index.addItem(preset.title, preset)

    def _show_shown_bands(self) -> None:
        """Chooses the composite in the list that the image shows; none when its style is another one."""
        renderer = self._image.renderer() if self._image is not None else None
        used = tuple(renderer.usesBands()) if renderer is not None else ()
        shown = (row for row in range(self.bands.count()) if tuple(self.bands.itemData(row)) == used)
        self.bands.setCurrentIndex(next(shown, -1))

    def _show_bands(self) -> None:
        bands = self.bands.currentData()
        if self._image is not None and bands:
            self._hide_index()
            show_bands(self._image, tuple(bands), self._canvas)

    def _show_index(self) -> None:
        preset = self.index.currentData()
        if self._image is None or preset is None:
            self._hide_index()
            return
        self.compare.set_top(self._image)
        try:
            self._index_view.show(preset, self._image, self._letters, view_on(self._image, self._canvas))
        except ToolboxError as failure:
            self.failed.emit(str(failure))
            self._hide_index()
        else:
            self.compare.set_top(self._index_view.layer)

    def _hide_index(self) -> None:
        self.compare.set_top(self._image)
        self._index_view.hide()
        self.index.setCurrentIndex(0)

    def _stretch(self) -> None:
        try:
            if self._index_view.layer is not None:
                self._index_view.fit(view_on(self._image, self._canvas))
            else:
                stretch_to_view(self._image, self._canvas)
        except ToolboxError as failure:
            self.failed.emit(str(failure))

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
        if self._index_view.layer is not None and self._index_view.layer.id() in ids and self._image is not None:
            self.index.setCurrentIndex(0)  # the user took it out of the project
            self.compare.set_top(self._image)
        if self._image is not None and self._image.id() in ids:
            self.set_image(None)
        if self._labels is not None and self._labels.id() in ids:
            self.set_labels(None)
