# SPDX-License-Identifier: GPL-2.0-or-later
"""A review beside other changes of its layer: answers of earlier work, undo, deleted points, comments, and classes not listed."""

from qgis.core import QgsSingleBandGrayRenderer, QgsVectorFileWriter, QgsVectorLayer
from qgis.PyQt.QtCore import Qt, QVariant
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QInputDialog
from qgis_helpers import make_layer, square, tree
from test_review import KEY, Desk, classified, desk, points, session_of  # noqa: F401 - fixtures


def change(path, **values):
    """Writes values into the first feature, as another program would."""
    layer = QgsVectorLayer(str(path), "other", "ogr")
    feature = next(layer.getFeatures())
    changes = {layer.fields().lookupField(name): value for name, value in values.items()}
    assert layer.dataProvider().changeAttributeValues({feature.id(): changes})


def first_row(path):
    layer = QgsVectorLayer(str(path), "again", "ogr")
    return dict(zip(layer.fields().names(), next(layer.getFeatures()).attributes()))


def test_a_truth_of_earlier_work_counts_as_another_reviewers_answer(points):  # noqa: F811
    change(points, GrndTruth=4)
    anna = session_of(points, "Anna")
    assert first_row(points)["Truth_earlier"] == 4
    assert anna.is_open(anna.current)
    anna.answer(1)
    row = first_row(points)
    assert (row["GrndTruth"], row["Status"]) == (-1, "disputed")


def test_a_truth_that_contradicts_the_answers_is_put_right_at_the_start(points):  # noqa: F811
    session_of(points, "Anna").answer(1)
    change(points, GrndTruth=7, Status="open")
    session_of(points, "Anna")
    row = first_row(points)
    assert (row["GrndTruth"], row["Status"], row["Truth_Anna"]) == (1, "answered", 1)


def test_a_decision_is_not_put_right(points):  # noqa: F811
    session_of(points, "Anna").answer(1)
    change(points, GrndTruth=7, Status="decided")
    session_of(points, "Anna")
    assert first_row(points)["GrndTruth"] == 7


def test_rollback_of_edits_takes_the_answers_back_in_the_dock_too(desk):  # noqa: F811
    desk.points.startEditing()
    desk.start()
    first = desk.review.session.current
    desk.press(KEY.Key_4)
    assert desk.review.session.state(first).answer == 4
    desk.points.rollBack()
    QApplication.processEvents()
    assert desk.review.session.state(first).answer is None
    assert desk.dock.progress.value() == 0


def test_undo_takes_an_answer_back(desk):  # noqa: F811
    desk.points.startEditing()
    desk.start()
    first = desk.review.session.current
    desk.press(KEY.Key_4)
    while desk.points.undoStack().canUndo():
        desk.points.undoStack().undo()
    QApplication.processEvents()
    assert desk.review.session.state(first).answer is None
    desk.points.rollBack()


def test_a_deleted_point_is_left_and_the_last_one_ends_the_review(desk):  # noqa: F811
    desk.start()
    session = desk.review.session
    gone = session.current
    desk.points.startEditing()
    desk.points.deleteFeature(gone)
    QApplication.processEvents()
    assert gone not in session.ids and session.current != gone
    desk.points.deleteFeatures(list(session.ids))
    QApplication.processEvents()
    assert desk.review.session is None
    desk.points.rollBack()


def test_a_comment_under_way_belongs_to_the_point_that_is_answered(desk):  # noqa: F811
    desk.start()
    first = desk.review.session.current
    desk.dock.comment.setText("by the river")
    QTest.mouseClick(desk.dock.class_buttons()[0], Qt.MouseButton.LeftButton)
    assert desk.rows()[first]["Comment"] == "by the river"
    assert desk.dock.comment.text() == ""


def test_a_blind_review_hides_the_chosen_map_however_it_is_shown(desk):  # noqa: F811
    desk.map.setRenderer(QgsSingleBandGrayRenderer(desk.map.dataProvider(), 1))
    desk.start()
    node = desk.project.layerTreeRoot().findLayer(desk.map)
    assert not node.itemVisibilityChecked()
    desk.review.stop()
    assert node.itemVisibilityChecked()


def test_a_class_that_is_not_listed_can_be_given_by_its_value(desk, monkeypatch):  # noqa: F811
    desk.start()
    first = desk.review.session.current
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_args: (12, True))
    QTest.mouseClick(desk.dock.other, Qt.MouseButton.LeftButton)
    assert desk.rows()[first]["GrndTruth"] == 12
    assert [button.property("class_value") for button in desk.dock.class_buttons()] == [1, 4, 7, 12]


def test_going_on_under_a_name_with_answers_is_said(desk):  # noqa: F811
    desk.start()
    desk.press(KEY.Key_1)
    desk.review.stop()
    desk.start()
    assert "1 points are already answered under the name Anna" in desk.messages.currentItem().text()


def test_a_refused_shapefile_is_left_without_stray_fields(classified, folder):  # noqa: F811
    layer = make_layer([(square(2, 2).centroid(), 1)], [("GrndTruth", QVariant.Type.Int)], kind="Point")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "ESRI Shapefile"
    path = folder / "points.shp"
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), layer.transformContext(), options)
    before = {name: (folder / name).read_bytes() for name in tree(folder) if name.startswith("points")}
    desk = Desk(classified, path)  # noqa: F811
    desk.start("Annabell")
    assert desk.review.session is None
    assert "export it to a GeoPackage" in desk.messages.currentItem().text()
    desk.close()
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_classes_up_to_nine_have_the_key_of_their_value():
    from deep_learning_toolbox.ui.review_classes import list_classes

    keys = {entry.value: entry.key for entry in list_classes([], [1, 4, 7, 12, 40])}
    assert keys == {1: "1", 4: "4", 7: "7", 12: "2", 40: "3"}

