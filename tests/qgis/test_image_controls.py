# SPDX-License-Identifier: GPL-2.0-or-later
"""What the controls of the label dock do to image, labels and canvas."""

import numpy as np
import pytest
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsRendererCategory,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QPoint, QSize, Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtTest import QTest
from qgis_helpers import LEFT, PIXEL, TOP, make_labels, write_raster

LEFT_BUTTON = Qt.MouseButton.LeftButton
SIZE = 40  # pixels


@pytest.fixture
def desk(tmp_path, qgis_new_project):
    from deep_learning_toolbox.ui.labelling.image_controls import ImageControls

    values = np.zeros((4, SIZE, SIZE), "uint16")
    values[:, :, : SIZE // 2] = np.arange(SIZE)[None, :, None] + 1000  # the left half is dark, the right one bright
    values[:, :, SIZE // 2 :] = np.arange(SIZE)[None, :, None] + 9000
    write_raster(tmp_path / "image.tif", values, names=("blue", "green", "red", "nir"))
    image, labels = QgsRasterLayer(str(tmp_path / "image.tif"), "image"), make_labels()
    QgsProject.instance().addMapLayers([image, labels])
    canvas = QgsMapCanvas()
    canvas.setDestinationCrs(image.crs())
    canvas.resize(200, 200)
    canvas.setLayers([labels, image])
    canvas.setExtent(image.extent())
    controls = ImageControls(canvas, QgsProject.instance())
    controls.set_image(image)
    controls.set_labels(labels)
    controls.show()
    controls.told = []
    controls.failed.connect(controls.told.append)
    yield controls, canvas, image, labels
    controls.deleteLater()
    canvas.setLayers([])


def look_at(canvas, first, last):
    """Shows these columns of the image."""
    canvas.setExtent(QgsRectangle(LEFT + first * PIXEL, TOP - last * PIXEL, LEFT + last * PIXEL, TOP - first * PIXEL))


def choose(box, text):
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())


def limits(image):
    enhancement = image.renderer().redContrastEnhancement()
    return enhancement.minimumValue(), enhancement.maximumValue()


def test_offers_what_the_bands_can_give_and_shows_it(desk):
    controls, _canvas, image, _labels = desk
    assert controls.bands.currentIndex() == -1  # the image has a style of its own
    assert [controls.bands.itemText(row) for row in range(controls.bands.count())] == [
        "Natural colours",
        "Near infrared (plants red)",
    ]
    choose(controls.bands, "Near infrared (plants red)")
    assert image.renderer().usesBands() == [4, 3, 2]
    choose(controls.bands, "Natural colours")
    assert image.renderer().usesBands() == [3, 2, 1]
    controls.set_image(None)
    controls.set_image(image)
    assert controls.bands.currentText() == "Natural colours"


def test_a_sensor_that_does_not_fit_is_told_and_offers_nothing(desk):
    controls, _canvas, _image, _labels = desk
    choose(controls.sensor, "Sentinel-1 (SAR)")
    assert "Sentinel-1" in controls.told[0]
    assert controls.bands.currentData() is None


def test_stretches_to_what_is_in_view(desk):
    controls, canvas, image, _labels = desk
    choose(controls.bands, "Natural colours")
    look_at(canvas, 2, 14)
    QTest.mouseClick(controls.stretch, LEFT_BUTTON)
    lowest, highest = limits(image)
    assert 1000 <= lowest < highest <= 1040
    look_at(canvas, 26, 38)
    QTest.mouseClick(controls.stretch, LEFT_BUTTON)
    lowest, highest = limits(image)
    assert 9000 <= lowest < highest <= 9040


def test_a_view_beside_the_image_is_told_and_changes_nothing(desk):
    controls, canvas, image, _labels = desk
    choose(controls.bands, "Natural colours")
    before = limits(image)
    look_at(canvas, 1000, 1010)
    QTest.mouseClick(controls.stretch, LEFT_BUTTON)
    assert "image" in controls.told[0]
    assert limits(image) == before


def test_hides_the_image_while_the_button_is_held(desk):
    controls, canvas, image, labels = desk
    QTest.mousePress(controls.compare.below, LEFT_BUTTON, Qt.KeyboardModifier.NoModifier, QPoint(5, 5))
    assert canvas.layers() == [labels]
    QTest.mouseRelease(controls.compare.below, LEFT_BUTTON, Qt.KeyboardModifier.NoModifier, QPoint(5, 5))
    assert canvas.layers() == [labels, image]


def test_shows_the_image_again_when_the_dock_is_closed_in_between(desk):
    controls, canvas, image, labels = desk
    QTest.mousePress(controls.compare.below, LEFT_BUTTON, Qt.KeyboardModifier.NoModifier, QPoint(5, 5))
    controls.hide()
    assert canvas.layers() == [labels, image]


def inside_label(layer):
    """Colour of the middle of the first label, as it is drawn."""
    settings = QgsMapSettings()
    settings.setDestinationCrs(layer.crs())
    settings.setLayers([layer])
    settings.setOutputSize(QSize(101, 101))
    settings.setExtent(next(layer.getFeatures()).geometry().boundingBox())
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage().pixelColor(50, 50)


def test_outlines_leave_the_image_free_and_give_the_style_back(desk):
    controls, _canvas, _image, labels = desk
    red, blue = (QgsFillSymbol.createSimple({"color": color}) for color in ("255,0,0,255", "0,0,255,255"))
    values = sorted({feature["Classvalue"] for feature in labels.getFeatures()})
    categories = [QgsRendererCategory(value, symbol, str(value)) for value, symbol in zip(values, (red, blue))]
    labels.setRenderer(QgsCategorizedSymbolRenderer("Classvalue", categories))
    before = inside_label(labels)
    assert before in (QColor(255, 0, 0), QColor(0, 0, 255))
    controls.outline.setChecked(True)
    assert inside_label(labels) == QColor(255, 255, 255)
    controls.outline.setChecked(False)
    assert inside_label(labels) == before


def test_follows_a_style_that_was_changed_elsewhere(desk):
    controls, _canvas, _image, labels = desk
    controls.opacity.setValue(40)
    assert labels.opacity() == pytest.approx(0.4)
    labels.setOpacity(0.7)
    labels.emitStyleChanged()
    assert controls.opacity.value() == 70
    controls.outline.setChecked(True)
    other = make_labels()
    labels.setRenderer(other.renderer().clone())
    labels.emitStyleChanged()
    assert not controls.outline.isChecked()


def test_layers_that_leave_the_project_leave_the_controls(desk):
    controls, _canvas, image, labels = desk
    QgsProject.instance().removeMapLayers([image.id(), labels.id()])
    assert not controls.stretch.isEnabled()
    assert not controls.outline.isEnabled()
    assert controls.bands.currentData() is None
