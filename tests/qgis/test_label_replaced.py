# SPDX-License-Identifier: GPL-2.0-or-later
"""Classes, files, coordinates and projects that are exchanged while labels are there: none is given to the wrong ones."""

import json

import pytest
from label_desk import LabelDesk, box
from label_hand import LEFT_BUTTON, PLAIN, RIGHT_BUTTON, Hand, mover, real_tools
from qgis.core import QgsCoordinateReferenceSystem
from qgis.PyQt.QtCore import QEvent, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtWidgets import QApplication


@pytest.fixture
def desk(plugin, scene):
    desk = LabelDesk(scene, real_tools, mover)
    yield desk
    desk.close()


@pytest.fixture
def path(folder):
    return folder / "labels.gpkg"


@pytest.fixture
def labels(desk, path):
    layer = desk.new(path, "Water", "Forest")
    desk.labelling.choose(1)
    desk.editor.add(box(0, 0), layer.crs())
    return layer


def test_schema_of_arcgis_is_opened_in_the_dock(desk, labels, folder):
    (folder / "x.ecs").write_text(json.dumps({"classes": [{"name": "Road", "value": 7, "color": [1, 2, 3]}]}), encoding="utf-8")
    desk.labelling.schema_edits.read(str(folder / "x.ecs"))
    assert [(entry.value, entry.name) for entry in desk.editor.schema.classes] == [(7, "Road"), (1, "Water")]


@pytest.mark.parametrize(("agrees", "name"), [(True, "Road"), (False, "Water")])
def test_names_that_a_schema_gives_to_classes_in_use_go_into_labels_or_nowhere(desk, labels, folder, monkeypatch, agrees, name):
    classes = [{"name": "Road", "value": 1, "color": [1, 2, 3]}, {"name": "Field", "value": 2, "color": [4, 5, 6]}]
    text = json.dumps({"type": "label schema", "version": 1, "name": "other", "classes": classes})
    (folder / "x.json").write_text(text, encoding="utf-8")
    asked = []
    monkeypatch.setattr(desk.labelling.schema_edits, "_confirm", lambda _tree, question: asked.append(question) or agrees)
    desk.labelling.schema_edits.read(str(folder / "x.json"))
    assert "“Water” → “Road”" in asked[0]
    assert desk.rows() == [(1, name)]
    assert desk.editor.schema.get(1).name == name


def test_unsaved_labels_of_a_file_that_was_replaced_do_not_come_into_the_new_one(desk, labels, path):
    desk.project.removeMapLayer(labels.id())
    assert path.with_name("labels.gpkg.labels.unsaved").exists()
    desk.new(path, "Road")
    assert desk.rows() == []
    assert path.with_name("labels.gpkg.labels.unsaved.discarded").exists()


def test_outline_begun_in_another_coordinate_system_is_dropped(desk, labels):
    hand = Hand(desk)
    desk.labelling.switch.use("polygon")
    for corner in ((50, 50), (60, 50), (60, 60)):
        hand.click(*corner)
    desk.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    desk.canvas.setDestinationCrs(labels.crs())
    desk.canvas.setExtent(desk.image.extent())
    hand.click(60, 60, RIGHT_BUTTON)
    assert desk.rows() == [(1, "Water")]


def test_double_click_ends_a_polygon_and_begins_none(desk, labels):
    hand = Hand(desk)
    desk.labelling.switch.use("polygon")
    for corner in ((50, 50), (60, 50), (60, 60)):
        hand.click(*corner)
    place = QPointF(hand.place(60, 60))
    for kind, held in ((QEvent.Type.MouseButtonDblClick, LEFT_BUTTON), (QEvent.Type.MouseButtonRelease, Qt.MouseButton.NoButton)):
        QApplication.sendEvent(hand.view, QMouseEvent(kind, place, LEFT_BUTTON, held, PLAIN))
    desk.process()
    assert len(desk.rows()) == 2
    for corner in ((10, 50), (20, 50), (20, 60)):
        hand.click(*corner)
    hand.click(30, 70, RIGHT_BUTTON)
    areas = sorted(label.geometry().area() / 100 for label in labels.getFeatures())
    assert areas == pytest.approx([50, 50, 100], abs=2)  # pixels of the screen are not those of the scene


def test_preview_under_way_ends_with_its_project(desk, labels, monkeypatch):
    class Task:
        stopped = False

        def cancel(self):
            self.stopped = True

    task = Task()
    monkeypatch.setattr(desk.labelling.preview, "_task", task)
    desk.project.clear()
    assert task.stopped
    monkeypatch.setattr(desk.labelling.preview, "_task", None)
