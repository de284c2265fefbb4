# SPDX-License-Identifier: GPL-2.0-or-later
"""The check of all labels: what it finds, where it leads, and that mended labels leave the list."""

import pytest
from label_desk import LabelDesk, box
from qgis.core import QgsCoordinateReferenceSystem, QgsFeature, QgsGeometry
from qgis.gui import QgsRubberBand
from qgis.PyQt.QtCore import QEventLoop, QTimer
from qgis_helpers import LEFT, TOP


@pytest.fixture
def desk(plugin, scene, folder):
    desk = LabelDesk(scene)
    desk.new(folder / "labels.gpkg", "Water", "Forest")
    desk.labelling.choose(1)
    yield desk
    desk.close()


def check(desk):
    """Presses the button and waits; returns what the row says."""
    desk.dock.objects.check.click()
    while desk.labelling.check.is_running:
        loop = QEventLoop()
        QTimer.singleShot(5, loop.quit)
        loop.exec()
    desk.process()
    return told(desk)


def told(desk):
    bar = desk.dock.objects.check_bar
    assert not bar.isHidden()
    return bar.text.text()


def step(desk):
    desk.dock.objects.check_bar.next.click()
    desk.process()
    return told(desk)


def marked(desk):
    """What is shown on the canvas as doubtful."""
    (band,) = [item for item in desk.canvas.scene().items() if isinstance(item, QgsRubberBand)]
    return band.asGeometry()


def bow_tie(column, row):
    corners = ((0, 0), (10, 10), (10, 0), (0, 10))
    text = ", ".join(f"{LEFT + (column + x) * 10} {TOP - (row + y) * 10}" for x, y in (*corners, corners[0]))
    return QgsGeometry.fromWkt(f"Polygon(({text}))")


def add_unchecked(desk, geometry, value=1):
    """Adds a label as a plugin or a file of others might, without our editor's repairs."""
    feature = QgsFeature(desk.layer.fields())
    feature.setGeometry(geometry)
    feature["Classvalue"], feature["Classname"] = value, "Water"
    desk.labelling.editor.store.start_editing()
    assert desk.layer.addFeature(feature)
    desk.process()
    return feature.id()


def test_labels_side_by_side_are_fine(desk):
    desk.draw(box(0, 0))
    desk.draw(box(10, 0))
    assert check(desk) == "No label crosses itself, and none overlaps another one."
    assert desk.dock.objects.check_bar.next.isHidden()


def test_finds_crossing_outlines_then_overlaps_by_size_selects_and_zooms(desk):
    desk.draw(box(0, 0))
    desk.draw(box(8, 0))  # 2 × 10 pixels with the first
    desk.labelling.choose(2)
    desk.draw(box(40, 40, 20))
    desk.draw(box(50, 40, 20))  # 10 × 20 pixels
    crossing = add_unchecked(desk, bow_tie(70, 10))
    assert check(desk) == "1/3: Water: the outline crosses itself."
    assert desk.layer.selectedFeatureIds() == [crossing]
    assert desk.canvas.extent().intersects(bow_tie(70, 10).boundingBox())
    assert desk.canvas.extent().width() < 50 * 10
    text = step(desk)
    assert text == "2/3: Two of Forest overlap by 2.0 ha."
    assert len(desk.layer.selectedFeatureIds()) == 2
    assert desk.canvas.extent().intersects(box(50, 40, 10).boundingBox())
    assert marked(desk).area() == 10 * 20 * 100  # what the two share
    assert step(desk).startswith("3/3: Two of Water overlap by ")
    assert step(desk).startswith("1/3")
    desk.dock.objects.check_bar.previous.click()
    assert told(desk).startswith("3/3")


def test_labels_of_two_classes_are_named(desk):
    desk.draw(box(0, 0))
    desk.labelling.choose(2)
    desk.draw(box(5, 0))
    assert check(desk).startswith("1/1: Forest and Water overlap by ")


def test_mended_fault_leaves_the_list(desk):
    desk.draw(box(0, 0))
    desk.draw(box(5, 0))
    desk.draw(box(40, 0))
    desk.draw(box(45, 0))
    assert check(desk).startswith("1/2")
    desk.editor.delete(desk.layer.selectedFeatureIds()[:1])
    assert step(desk).startswith("1/1")
    desk.editor.delete(desk.layer.selectedFeatureIds()[:1])
    assert step(desk) == "No label crosses itself, and none overlaps another one."
    desk.dock.undo.click()
    assert check(desk).startswith("1/1")


def test_place_is_shown_in_the_projects_coordinates(desk):
    desk.draw(box(0, 0))
    desk.draw(box(5, 0))
    desk.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    check(desk)
    assert -90 < desk.canvas.extent().center().x() < -70


def test_saving_or_leaving_the_layer_ends_the_check(desk):
    desk.draw(box(0, 0))
    desk.draw(box(5, 0))
    check(desk)
    assert not marked(desk).isEmpty()
    desk.labelling.save()
    assert desk.dock.objects.check_bar.isHidden()
    assert [item for item in desk.canvas.scene().items() if isinstance(item, QgsRubberBand)] == []
    check(desk)
    desk.dock.layer.setLayer(None)
    assert desk.dock.objects.check_bar.isHidden()
    desk.dock.objects.check.click()
    assert "no label layer" in desk.dock.notice.text.text()


def test_unloading_in_the_middle_of_a_check(desk):
    desk.draw(box(0, 0))
    desk.dock.objects.check.click()
    desk.labelling.stop()
    loop = QEventLoop()
    QTimer.singleShot(100, loop.quit)
    loop.exec()  # no traceback
    assert not desk.labelling.check.is_running
