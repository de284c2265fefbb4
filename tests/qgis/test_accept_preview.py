# SPDX-License-Identifier: GPL-2.0-or-later
"""Accepting areas of the preview as labels, with the mouse on a real canvas: what becomes a label, and of which class."""

import numpy as np
import pytest
from label_desk import LabelDesk, box, journal_lines
from label_hand import Hand, mover, real_tools
from qgis.core import QgsCoordinateReferenceSystem, QgsProject
from qgis.PyQt.QtCore import Qt
from qgis_helpers import SIZE, write_raster

WATER, FOREST = 1, 2
HALF = SIZE // 2


@pytest.fixture
def desk(plugin, scene, folder):
    desk = LabelDesk(scene, real_tools, mover)
    desk.new(folder / "labels.gpkg", "Water", "Forest")
    yield desk
    desk.close()


@pytest.fixture
def hand(desk):
    return Hand(desk)


@pytest.fixture
def show(desk, folder):
    """Shows a preview as the worker would have left it: water left, forest right, sure in the upper half only."""

    def show(change=None):
        values, unsure = np.full((1, SIZE, SIZE), WATER, "uint8"), np.full((1, SIZE, SIZE), 10, "uint8")
        values[:, :, HALF:], unsure[:, HALF:] = FOREST, 60
        if change is not None:
            change(values[0])
        write_raster(folder / "classes.tif", values, nodata=255)
        write_raster(folder / "unsure.tif", unsure, nodata=255)
        desk.labelling.preview._end({"OUTPUT": str(folder / "classes.tif"), "OUTPUT_UNCERTAINTY": str(folder / "unsure.tif")}, "")
        desk.process()

    return show


def accept(desk, most_unsure=100, least=1):
    desk.dock.accept.unsure.setValue(most_unsure)
    desk.dock.accept.pixels.setValue(least)
    desk.dock.accept.accept.click()
    assert desk.dock.accept.accept.isChecked()


def areas(desk):
    """Pixels of each label, with its class."""
    return sorted((feature["Classvalue"], round(feature.geometry().area() / 100)) for feature in desk.layer.getFeatures())


def test_row_is_there_while_there_is_a_preview(desk, show):
    assert desk.dock.accept.isHidden()
    show()
    assert not desk.dock.accept.isHidden()
    accept(desk)
    desk.labelling.preview._drop_layers()
    assert desk.dock.accept.isHidden()
    assert not desk.labelling.switch.accepts


def test_rectangle_gives_a_label_of_each_region_in_it_as_one_step_that_is_journalled_and_saved(desk, hand, show, folder):
    show()
    accept(desk)
    hand.drag((HALF - 10, 10), (HALF, 20), (HALF + 20, 30))
    assert areas(desk) == [(WATER, 200), (FOREST, 400)]
    assert {feature["Classname"] for feature in desk.layer.getFeatures()} == {"Water", "Forest"}
    assert {feature["Imagery"] for feature in desk.layer.getFeatures()} == {"scene"}
    _header, *states = journal_lines(folder / "labels.gpkg")
    assert sorted(attributes["Classname"] for _fid, _shape, attributes in states) == ["Forest", "Water"]
    desk.dock.undo.click()
    assert areas(desk) == []
    desk.dock.redo.click()
    desk.dock.save.click()
    assert sorted(desk.saved()) == [(WATER, "Water"), (FOREST, "Forest")]


def test_click_takes_the_connected_region_and_no_other_of_its_class(desk, hand, show):
    def add_lake(values):
        values[40:50, 70:80] = WATER
        values[50, 80] = WATER  # over a corner only: another region

    show(add_lake)
    accept(desk)
    hand.click(75, 45)
    assert areas(desk) == [(WATER, 100)]


def test_lasso_accepts_what_it_surrounds_and_draws_again_once_the_button_is_up(desk, hand, show):
    show()
    accept(desk)
    desk.labelling.switch.actions["freehand"].trigger()
    triangle = ((60, 10), (70, 10), (80, 10), (80, 20), (80, 30), (70, 20), (60, 10))
    hand.drag(*triangle)
    ((value, pixels),) = areas(desk)
    assert (value, pixels) == (FOREST, pytest.approx(200, abs=15))
    desk.dock.accept.accept.click()
    desk.labelling.choose(WATER)
    hand.drag(*[(column - 50, row + 50) for column, row in triangle])
    assert [value for value, _pixels in areas(desk)] == [WATER, FOREST]


def test_rectangle_tool_takes_up_again_where_it_was(desk, show):
    desk.labelling.switch.use("circle")
    show()
    accept(desk)
    desk.dock.accept.accept.click()
    assert desk.canvas.mapTool() is desk.tools["circle"]


def test_unsure_pixels_are_left_out(desk, hand, show):
    show()
    accept(desk, most_unsure=50)
    hand.drag((60, HALF - 10), (65, HALF), (70, HALF + 10))
    assert areas(desk) == [(FOREST, 100)]  # the lower half of the rectangle is 60 % unsure


def test_specks_are_dropped_and_stay_unlabelled(desk, hand, show):
    def add_specks(values):
        values[20, 20] = FOREST
        values[24:27, 20:23] = FOREST

    show(add_specks)
    accept(desk, least=9)
    hand.drag((10, 10), (20, 20), (30, 30))
    assert areas(desk) == [(WATER, 390), (FOREST, 9)]
    desk.dock.undo.click()
    desk.dock.accept.pixels.setValue(1)
    hand.drag((10, 10), (20, 20), (30, 30))
    assert areas(desk) == [(WATER, 390), (FOREST, 1), (FOREST, 9)]


def test_what_is_labelled_stays_and_is_not_covered(desk, hand, show):
    show()
    desk.labelling.choose(FOREST)
    desk.draw(box(10, 10, 10))
    desk.draw(box(30, 10, 10))
    accept(desk, least=9)
    hand.drag((12, 12), (20, 15), (25, 20))  # 8 × 8 of its pixels are labelled
    assert areas(desk) == [(WATER, 13 * 8 - 64), (FOREST, 100), (FOREST, 100)]
    shapes = [feature.geometry() for feature in desk.layer.getFeatures()]
    assert sum(shape.area() for shape in shapes) == pytest.approx(shapes[0].combine(shapes[1]).combine(shapes[2]).area())
    hand.drag((31, 11), (35, 15), (39, 19))
    assert len(areas(desk)) == 3
    assert "Nothing to accept here" in " ".join(desk.told())


def test_preview_in_other_coordinates_than_the_canvas(desk, hand, show):
    show()
    accept(desk)
    desk.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    desk.canvas.zoomToFullExtent()
    desk.process()
    width, height = desk.canvas.viewport().width(), desk.canvas.viewport().height()
    from label_hand import LEFT_BUTTON
    from qgis.PyQt.QtCore import QPoint
    from qgis.PyQt.QtTest import QTest

    QTest.mouseClick(desk.canvas.viewport(), LEFT_BUTTON, Qt.KeyboardModifier.NoModifier, QPoint(width // 2 - 50, height // 2))
    desk.process()
    ((value, pixels),) = areas(desk)
    assert (value, pixels) == (WATER, HALF * SIZE)


def test_click_reaches_so_far_and_no_further(desk, hand, show, monkeypatch):
    from deep_learning_toolbox.ui.labelling import preview_regions

    monkeypatch.setattr(preview_regions, "REACH", 5)
    show()
    accept(desk)
    hand.click(20.5, 20.5)
    assert areas(desk) == [(WATER, 11 * 11)]


def test_class_that_has_left_the_list_is_told_and_nothing_is_added(desk, hand, show):
    def add_other(values):
        values[40:50, 70:80] = 9

    show(add_other)
    accept(desk)
    hand.drag((60, 30), (70, 45), (90, 60))
    assert areas(desk) == []
    assert "(9)" in " ".join(desk.told())


def test_too_many_pixels_are_refused(desk, hand, show, monkeypatch):
    from deep_learning_toolbox.ui.labelling import preview_regions

    monkeypatch.setattr(preview_regions, "MOST", 500)
    show()
    accept(desk)
    hand.drag((10, 10), (20, 20), (40, 40))
    assert "draw a smaller one" in " ".join(desk.told())
    assert areas(desk) == []


def test_preview_whose_layer_was_removed_says_what_to_do(desk, hand, show):
    show()
    accept(desk)
    (layer,) = desk.project.mapLayersByName("Preview of classes")
    desk.project.removeMapLayer(layer.id())
    hand.drag((10, 10), (20, 20), (40, 40))
    assert "press “Preview classes” first" in " ".join(desk.told())


def test_preview_is_not_saved_with_the_project(desk, show, folder):
    show()
    assert desk.project.write(str(folder / "project.qgz"))
    names = {layer.name() for layer in desk.project.mapLayers().values()}
    assert names == {"scene", "labels", "Preview of classes", "Preview of uncertainty"}
    again = QgsProject()
    assert again.read(str(folder / "project.qgz"))
    assert {layer.name() for layer in again.mapLayers().values()} == {"scene", "labels"}
    assert [node.name() for node in again.layerTreeRoot().findLayers()] == ["labels", "scene"]
