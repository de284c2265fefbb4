# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparing two images while labelling, and indices to look at: what is seen on the canvas, pixel by pixel."""

import numpy as np
import pytest
from label_desk import LabelDesk, box
from label_hand import LEFT_BUTTON, PLAIN, Hand, real_tools
from qgis.core import QgsContrastEnhancement, QgsProject, QgsRasterLayer, QgsSingleBandGrayRenderer
from qgis.PyQt.QtCore import QEventLoop, QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis_helpers import SIZE, write_raster

BLACK, WHITE, GREY = 0, 255, 128


@pytest.fixture
def desk(plugin, scene, folder):
    desk = LabelDesk(scene, real_tools)
    desk.new(folder / "labels.gpkg", "Water")
    desk.labelling.choose(1)
    desk.layers = {name: plain(folder / f"{name}.tif", value) for name, value in (("black", 0), ("white", 255), ("grey", 128))}
    desk.project.addMapLayers(list(desk.layers.values()))
    desk.dock.imagery.setLayer(desk.layers["black"])
    desk.canvas.setLayers([desk.layers["black"], desk.layers["white"], desk.layers["grey"]])
    desk.bar = desk.labelling.sections.image_controls.compare
    desk.dock.tabs.setCurrentIndex(desk.dock.tabs.count() - 1)  # the tab View
    settle(desk)
    yield desk
    desk.close()


def plain(path, value):
    """A layer of one grey."""
    write_raster(path, np.full((1, SIZE, SIZE), value, "uint8"))
    layer = QgsRasterLayer(str(path), path.stem)
    renderer = QgsSingleBandGrayRenderer(layer.dataProvider(), 1)
    enhancement = QgsContrastEnhancement(layer.dataProvider().dataType(1))
    enhancement.setContrastEnhancementAlgorithm(QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum)
    enhancement.setMinimumValue(0)
    enhancement.setMaximumValue(255)
    renderer.setContrastEnhancement(enhancement)
    layer.setRenderer(renderer)
    return layer


def wait(milliseconds):
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def settle(desk):
    """Lets canvas and divider render what is to be seen now."""
    desk.canvas.refresh()
    desk.canvas.waitWhileRendering()
    swipe = desk.bar._swipe
    for _ in range(200):
        wait(10)
        if swipe._job is None and not desk.canvas.isDrawing():
            break
    wait(50)


def seen(desk, share):
    """Grey of the map at a share of the canvas's width, above the middle."""
    view = desk.canvas.viewport()
    return view.grab().toImage().pixelColor(int(share * view.width()), view.height() // 3).red()


def drag_divider(desk, start, end):
    view = desk.canvas.viewport()
    places = [QPoint(int(share * view.width()), view.height() // 2) for share in (start, (start + end) / 2, end)]
    QTest.mousePress(view, LEFT_BUTTON, PLAIN, places[0])
    for place in places[1:]:
        hand_move(view, place)
    QTest.mouseRelease(view, LEFT_BUTTON, PLAIN, places[-1])
    desk.process()


def hand_move(view, place, buttons=LEFT_BUTTON):
    from qgis.PyQt.QtCore import QEvent, QPointF
    from qgis.PyQt.QtGui import QMouseEvent
    from qgis.PyQt.QtWidgets import QApplication

    event = QMouseEvent(QEvent.Type.MouseMove, QPointF(place), Qt.MouseButton.NoButton, buttons, PLAIN)
    QApplication.sendEvent(view, event)


def test_swipe_shows_what_lies_below_to_the_right_of_the_divider(desk):
    assert seen(desk, 0.75) == BLACK
    desk.bar.swipe.click()
    settle(desk)
    assert (seen(desk, 0.4), seen(desk, 0.6)) == (BLACK, WHITE)
    desk.bar.swipe.click()
    settle(desk)
    assert seen(desk, 0.6) == BLACK


def test_divider_is_dragged_and_the_drawing_tool_does_not_notice(desk):
    desk.labelling.switch.use("rectangle")
    desk.bar.swipe.click()
    settle(desk)
    drag_divider(desk, 0.5, 0.35)
    assert (seen(desk, 0.3), seen(desk, 0.4)) == (BLACK, WHITE)
    assert desk.rows() == []
    hand = Hand(desk)
    hand.drag((60, 60), (70, 70), (80, 80))
    assert len(desk.rows()) == 1  # elsewhere the tool draws as ever


def test_cursor_tells_where_the_divider_can_be_taken(desk):
    desk.labelling.switch.use("rectangle")
    desk.bar.swipe.click()
    settle(desk)
    view = desk.canvas.viewport()
    shapes = []
    for share in (0.2, 0.5, 0.8):
        hand_move(view, QPoint(int(share * view.width()), 50), Qt.MouseButton.NoButton)
        shapes.append(view.cursor().shape())
    assert shapes == [Qt.CursorShape.CrossCursor, Qt.CursorShape.SplitHCursor, Qt.CursorShape.CrossCursor]


def test_swipe_compares_with_the_chosen_image(desk):
    desk.bar.swipe.click()
    desk.bar.other.setLayer(desk.layers["grey"])
    settle(desk)
    assert (seen(desk, 0.4), seen(desk, 0.6)) == (BLACK, GREY)


def test_look_below_shows_the_chosen_image(desk):
    desk.bar.other.setLayer(desk.layers["grey"])
    QTest.mousePress(desk.bar.below, LEFT_BUTTON)
    assert desk.canvas.layers() == [desk.layers["grey"], desk.layers["white"]]
    QTest.mouseRelease(desk.bar.below, LEFT_BUTTON)
    assert desk.canvas.layers()[0] is desk.layers["black"]


def test_picture_follows_the_view(desk):
    desk.bar.swipe.click()
    desk.canvas.zoomByFactor(4)  # both images are smaller than half of the canvas now
    settle(desk)
    view = desk.canvas.viewport()
    assert seen(desk, 0.98) == WHITE  # the background beside them, which is white, too
    assert view.grab().toImage().pixelColor(view.width() // 2 - 12, view.height() // 2 + 20).red() == BLACK
    assert view.grab().toImage().pixelColor(view.width() // 2 + 12, view.height() // 2 + 20).red() == WHITE


def test_unloading_takes_the_divider_away(desk):
    desk.bar.swipe.click()
    settle(desk)
    item = desk.bar._swipe.item
    assert item in desk.canvas.scene().items()
    desk.labelling.stop()
    assert desk.bar._swipe.item is None
    drag_divider(desk, 0.5, 0.3)  # no traceback


def test_removed_image_ends_the_comparison(desk):
    desk.bar.swipe.click()
    desk.project.removeMapLayer(desk.layers["black"].id())
    desk.process()
    assert desk.bar._swipe.item is None or desk.dock.imagery.currentLayer() is not None
    assert not desk.bar.swipe.isChecked()


@pytest.fixture
def plants(desk, folder):
    """An image with plants on its left half and without data in its uppermost rows."""
    values = np.full((4, SIZE, SIZE), 100, "int16")
    values[3, :, : SIZE // 2] = 300
    values[3, 90:92, 90:92] = 900  # more than the colours go to
    values[:, :10] = -1
    path = write_raster(folder / "plants.tif", values, names=("blue", "green", "red", "nir"), nodata=-1)
    layer = QgsRasterLayer(str(path), "plants")
    desk.project.addMapLayer(layer)
    desk.dock.imagery.setLayer(layer)
    return layer


def show_index(desk, start):
    controls = desk.labelling.sections.image_controls
    controls.index.setCurrentIndex(
        next(row for row in range(controls.index.count()) if controls.index.itemText(row).startswith(start))
    )
    controls.index.activated.emit(controls.index.currentIndex())
    return controls._index_view.layer


def test_index_is_computed_for_the_view_and_replaces_the_one_before(desk, plants):
    controls = desk.labelling.sections.image_controls
    assert [controls.index.itemText(row)[:4] for row in range(controls.index.count())] == ["(no ", "NDVI", "NDWI"]
    layer = show_index(desk, "NDVI")
    provider = layer.dataProvider()
    block = provider.block(1, plants.extent(), SIZE, SIZE)
    assert block.value(50, 10) == pytest.approx(0.5)
    assert block.value(50, 80) == pytest.approx(0)
    desk.canvas.setLayers([layer, desk.layers["black"]])
    settle(desk)
    hand, picture = Hand(desk), desk.canvas.viewport().grab().toImage()
    colors = [picture.pixelColor(hand.place(*place)).getRgb()[:3] for place in ((20, 50), (80, 50), (91, 91), (20, 5))]
    assert colors[:3] == [(0, 104, 55), (140, 81, 10), (0, 104, 55)]  # plants, soil, and more plants than the colours go to
    assert colors[3] == (0, 0, 0)  # without data: the black image below
    names = [node.name() for node in desk.project.layerTreeRoot().findLayers()]
    assert names.index("NDVI – plants") == names.index("plants") - 1
    show_index(desk, "NDWI")
    names = [node.name() for node in desk.project.layerTreeRoot().findLayers()]
    assert "NDVI – plants" not in names
    assert controls.index.currentText().startswith("NDWI")
    controls.bands.setCurrentIndex(0)
    controls.bands.activated.emit(0)
    assert QgsProject.instance().mapLayersByName("NDWI – plants") == []
    assert controls.index.currentIndex() == 0


def test_colours_of_an_index_are_fitted_to_the_view(desk, plants):
    controls = desk.labelling.sections.image_controls
    layer = show_index(desk, "NDVI")
    assert layer.renderer().classificationMin() == pytest.approx(0)
    assert layer.renderer().classificationMax() == pytest.approx(0.5)
    desk.canvas.setExtent(box(60, 60, 20).boundingBox())  # no plants here
    controls.stretch.click()
    assert layer.renderer().classificationMax() == pytest.approx(0, abs=1e-3)


def test_index_goes_with_its_image_and_with_the_dock(desk, plants):
    show_index(desk, "NDVI")
    desk.dock.imagery.setLayer(desk.layers["black"])
    assert desk.project.mapLayersByName("NDVI – plants") == []
    desk.dock.imagery.setLayer(plants)
    layer = show_index(desk, "NDVI")
    desk.project.removeMapLayer(layer.id())  # by the user
    assert desk.labelling.sections.image_controls.index.currentIndex() == 0
    show_index(desk, "NDVI")
    desk.labelling.stop()
    assert desk.project.mapLayersByName("NDVI – plants") == []
