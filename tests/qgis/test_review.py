# SPDX-License-Identifier: GPL-2.0-or-later
"""The review dock on a real canvas, driven by real key presses: what is shown, what is hidden, and what ends up in the file."""

import numpy as np
import processing
import pytest
from qgis.core import QgsProject, QgsRasterLayer, QgsRectangle, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QSettings, Qt, QVariant
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QApplication, QMainWindow
from qgis_helpers import CRS, Log, make_layer, read_array, refusal, run, square, write_raster

KEY = Qt.Key


@pytest.fixture
def classified(folder):
    """A map of water (1), forest (4) and fields (7), with names and colours as the toolbox writes them."""
    from deep_learning_toolbox.backend.inference.sidecars import LegendEntry, build_style

    values = np.repeat([1, 4, 7], 400).astype(np.uint8).reshape(1, 30, 40)
    path = write_raster(folder / "map.tif", values)
    legend = [LegendEntry(1, "Water", (0, 0, 255)), LegendEntry(4, "Forest", (0, 99, 0)), LegendEntry(7, "Field", (250, 200, 0))]
    path.with_suffix(".qml").write_bytes(build_style(legend))
    return path


class Desk:
    """A window with canvas and dock, and a project with the map and its points."""

    def __init__(self, classified, points):
        from deep_learning_toolbox.ui.review import Review
        from deep_learning_toolbox.ui.review_dock import ReviewDock

        self.project = QgsProject.instance()
        self.project.clear()
        self.map = QgsRasterLayer(str(classified), "map")
        self.points = QgsVectorLayer(str(points), "points", "ogr") if not isinstance(points, QgsVectorLayer) else points
        self.project.addMapLayers([self.map, self.points])
        self.project.setCrs(self.points.crs())
        self.window = QMainWindow()
        self.window.resize(900, 700)
        self.canvas = QgsMapCanvas(self.window)
        self.canvas.setDestinationCrs(self.points.crs())
        self.canvas.setLayers([self.points, self.map])
        self.window.setCentralWidget(self.canvas)
        self.messages = QgsMessageBar(self.window)
        self.dock = ReviewDock(self.window)
        self.window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.review = Review(self.dock, self.canvas, self.messages, self.project)
        self.dock.layer.setLayer(self.points)
        self.dock.class_raster.setLayer(self.map)
        self.window.show()
        self.window.activateWindow()
        QTest.qWaitForWindowActive(self.window)

    def start(self, reviewer="Anna", **boxes):
        self.dock.reviewer.setText(reviewer)
        for name, value in boxes.items():
            getattr(self.dock, name).setChecked(value)
        QTest.mouseClick(self.dock.start, Qt.MouseButton.LeftButton)
        QApplication.processEvents()

    def press(self, key, widget=None):
        QTest.keyClick(widget or self.canvas, key)
        QApplication.processEvents()

    def rows(self):
        """Attributes by feature id, read from the file anew."""
        layer = QgsVectorLayer(self.points.source(), "again", "ogr")
        names = layer.fields().names()
        return {
            feature.id(): {name: None if value == QVariant() else value for name, value in zip(names, feature.attributes())}
            for feature in layer.getFeatures()
        }

    def close(self):
        if self.window is None:
            return
        self.review.stop()
        self.window.close()
        self.window.deleteLater()
        self.window = None
        self.project.clear()


@pytest.fixture
def points(classified, folder):
    run("accuracypoints", INPUT=classified, COUNT=6, SAMPLING="equalized", MIN_PER_CLASS=0, OUTPUT=folder / "points.gpkg")
    return folder / "points.gpkg"


@pytest.fixture
def desk(classified, points):
    desk = Desk(classified, points)
    yield desk
    desk.close()


def test_keys_set_the_true_class_go_on_and_every_answer_is_in_the_file(desk):
    desk.start()
    first = desk.review.session.current
    desk.press(KEY.Key_4)
    assert desk.rows()[first]["GrndTruth"] == 4
    assert desk.rows()[first]["Truth_Anna"] == 4
    assert desk.rows()[first]["Status"] == "answered"
    second = desk.review.session.current
    assert second != first
    desk.press(KEY.Key_1, desk.dock)
    assert desk.rows()[second]["GrndTruth"] == 1
    assert desk.dock.progress.value() == 2
    assert "2 of 6 answered" in desk.dock.progress.text()


def test_buttons_show_key_and_name_of_each_class_and_work_by_mouse(desk):
    desk.start()
    buttons = desk.dock.class_buttons()
    assert [button.text() for button in buttons] == ["1   Water", "4   Forest", "7   Field"]
    first = desk.review.session.current
    QTest.mouseClick(buttons[2], Qt.MouseButton.LeftButton)
    assert desk.rows()[first]["GrndTruth"] == 7


def test_blind_review_hides_the_class_until_it_is_answered(desk):
    node = desk.project.layerTreeRoot().findLayer(desk.map)
    desk.dock.advance.setChecked(False)
    desk.start()
    assert not node.itemVisibilityChecked()
    assert desk.dock.result.text() == ""
    classified = desk.review.session.state().classified
    desk.press(KEY.Key_1)
    assert desk.dock.result.text() == f"On the map: { {1: 'Water', 4: 'Forest', 7: 'Field'}[classified] }"
    desk.press(KEY.Key_N)
    assert desk.dock.result.text() == ""
    QTest.mouseClick(desk.dock.start, Qt.MouseButton.LeftButton)
    assert node.itemVisibilityChecked()


def test_open_review_shows_the_class_at_once(desk):
    desk.start(blind=False)
    assert desk.dock.result.text().startswith("On the map: ")
    assert desk.project.layerTreeRoot().findLayer(desk.map).itemVisibilityChecked()


def test_canvas_is_centred_on_the_point_at_the_chosen_scale(desk):
    desk.dock.scale.setScale(2000)
    desk.start()
    for _ in range(3):
        place = desk.review.session.geometry().asPoint()
        assert desk.canvas.center().x() == pytest.approx(place.x())
        assert desk.canvas.center().y() == pytest.approx(place.y())
        assert desk.canvas.scale() == pytest.approx(2000, rel=0.01)
        desk.press(KEY.Key_7)


def test_skipped_points_come_last_and_back_corrects_an_answer(desk):
    desk.start()
    skipped = desk.review.session.current
    desk.press(KEY.Key_S)
    assert desk.rows()[skipped]["Status"] == "skipped"
    answered = []
    for _ in range(5):
        answered.append(desk.review.session.current)
        desk.press(KEY.Key_1)
    assert skipped not in answered
    assert desk.review.session.current == skipped
    desk.press(KEY.Key_7)
    assert desk.rows()[skipped]["GrndTruth"] == 7
    assert desk.review.session.done == 6
    desk.press(KEY.Key_B)
    corrected = desk.review.session.current
    desk.press(KEY.Key_4)
    assert desk.rows()[corrected]["GrndTruth"] == 4


def test_keys_win_over_shortcuts_of_qgis_during_the_review_only(desk):
    action = QAction("snapping", desk.window)
    action.setShortcut("S")
    taken = []
    action.triggered.connect(lambda: taken.append(1))
    desk.window.addAction(action)
    desk.start()
    first = desk.review.session.current
    desk.press(KEY.Key_S)
    desk.press(KEY.Key_S, desk.dock)
    assert desk.rows()[first]["Status"] == "skipped"
    assert taken == []
    QTest.mouseClick(desk.dock.start, Qt.MouseButton.LeftButton)
    desk.press(KEY.Key_S)
    assert taken == [1]


def test_keys_with_control_are_left_to_qgis(desk):
    desk.start()
    first = desk.review.session.current
    QTest.keyClick(desk.canvas, KEY.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert desk.review.session.current == first
    QTest.keyClick(desk.canvas, KEY.Key_1, Qt.KeyboardModifier.KeypadModifier)
    assert desk.rows()[first]["GrndTruth"] == 1


def test_letters_typed_into_a_comment_are_no_answers(desk):
    desk.start()
    first = desk.review.session.current
    desk.press(KEY.Key_C)
    assert desk.dock.comment.hasFocus()
    QTest.keyClicks(desk.dock.comment, "21 trees, boss")
    desk.press(KEY.Key_Return, desk.dock.comment)
    assert desk.review.session.current == first
    assert desk.rows()[first]["Comment"] == "21 trees, boss"
    assert desk.rows()[first]["GrndTruth"] == -1
    desk.press(KEY.Key_4, QApplication.focusWidget())
    assert desk.rows()[first]["Comment"] == "21 trees, boss"
    assert desk.rows()[first]["GrndTruth"] == 4


def test_progress_is_kept_for_the_next_time(classified, points, desk):
    desk.start()
    done = []
    for _ in range(4):
        done.append(desk.review.session.current)
        desk.press(KEY.Key_1)
    expected = desk.review.session.current
    desk.close()
    again = Desk(classified, points)
    again.start("Anna")
    assert again.review.session.current == expected
    assert again.review.session.done == 4
    again.close()


def test_reviewers_do_not_see_each_other_and_disputes_are_decided(desk):
    desk.start("Anna")
    for key in (1, 1, 1, 4, 4, 4):
        desk.press(getattr(KEY, f"Key_{key}"))
    QTest.mouseClick(desk.dock.start, Qt.MouseButton.LeftButton)
    desk.start("Ben")
    assert desk.dock.progress.value() == 0
    assert desk.dock.result.text() == ""
    assert not any(button.isChecked() for button in desk.dock.class_buttons())
    for key in (1, 1, 4, 4, 4, 4):
        desk.press(getattr(KEY, f"Key_{key}"))
    # 5 of 6 alike; by chance 1/2 · 2/6 + 1/2 · 4/6 = 1/2
    assert "Agrees with Anna at 83 % of 6 points (kappa 0.67)" in desk.dock.agreement.text()
    assert "1 points are disputed" in desk.dock.agreement.text()
    (disputed,) = [key for key, row in desk.rows().items() if row["Status"] == "disputed"]
    assert desk.rows()[disputed]["GrndTruth"] == -1
    QTest.mouseClick(desk.dock.start, Qt.MouseButton.LeftButton)
    desk.start("Chief", deciding=True)
    assert desk.review.session.current == disputed
    desk.press(KEY.Key_7)
    row = desk.rows()[disputed]
    assert (row["GrndTruth"], row["Status"], row["Truth_Anna"], row["Truth_Ben"]) == (7, "decided", 1, 4)


def test_answers_are_what_the_assessment_reads(classified, desk, folder):
    desk.start()
    values = read_array(classified)
    keys = {1: KEY.Key_1, 4: KEY.Key_4, 7: KEY.Key_7}
    for number in range(5):
        place = desk.review.session.geometry().asPoint()
        column, row = int((place.x() - 600_000) // 10), int((4_000_000 - place.y()) // 10)
        truth = int(values[row, column])
        desk.press(keys[truth] if number else keys[{1: 4, 4: 7, 7: 1}[truth]])
    log = Log()
    outputs = run(
        "assessaccuracy", log, INPUT=classified, REFERENCE=desk.points, AREA_WEIGHTED=False, OUTPUT=folder / "table.gpkg"
    )
    assert outputs["UNITS"] == 5
    assert outputs["OVERALL_ACCURACY"] == pytest.approx(0.8)
    assert any("1 reference points have no class yet" in text for text in log.warnings)


def test_points_of_another_origin_in_another_crs_and_chips_can_be_reviewed(classified, folder):
    chips = make_layer([(square(column, 2, 8),) for column in (0, 10, 20)], [], CRS)
    saved = processing.run(
        "native:reprojectlayer", {"INPUT": chips, "TARGET_CRS": "EPSG:4326", "OUTPUT": str(folder / "chips.gpkg")}
    )["OUTPUT"]
    desk = Desk(classified, saved)
    desk.canvas.setDestinationCrs(desk.map.crs())
    desk.start()
    box = QgsRectangle(600_000, 3_999_900, 600_080, 3_999_980)
    assert desk.canvas.extent().contains(box)
    assert desk.canvas.extent().height() < 400
    desk.press(KEY.Key_4)
    assert desk.rows()[1]["GrndTruth"] == 4
    desk.close()


def test_layer_that_cannot_be_changed_is_refused_with_a_message(classified, points, folder):
    desk = Desk(classified, points)
    desk.dock.reviewer.setText("  ")
    QTest.mouseClick(desk.dock.start, Qt.MouseButton.LeftButton)
    assert desk.review.session is None
    assert "reviewer's name" in desk.messages.currentItem().text()
    desk.close()


def test_points_and_class_raster_of_the_project_are_suggested(desk, scene):
    desk.project.addMapLayers([QgsRasterLayer(str(scene), "image"), make_layer([], [], CRS, name="other")])
    desk.dock.class_raster.setLayer(None)
    desk.review.suggest()
    assert desk.dock.layer.currentLayer() == desk.points
    assert desk.dock.class_raster.currentLayer() == desk.map


def test_closing_the_dock_ends_the_review_and_keeps_the_comment(desk):
    desk.start()
    first = desk.review.session.current
    desk.dock.comment.setText("half written")
    desk.dock.close()
    assert desk.review.session is None
    assert desk.rows()[first]["Comment"] == "half written"
    desk.press(KEY.Key_1)
    assert desk.rows()[first]["GrndTruth"] == -1


def test_removing_the_layer_ends_the_review(desk):
    desk.start()
    desk.project.removeMapLayer(desk.points.id())
    assert desk.review.session is None
    assert desk.canvas.scene() is not None
    desk.press(KEY.Key_1)


def test_review_changes_no_settings_of_qgis(desk):
    before = set(QSettings().allKeys())
    desk.start()
    desk.press(KEY.Key_1)
    assert set(QSettings().allKeys()) == before


def session_of(points, reviewer):
    from deep_learning_toolbox.ui.review_session import ReviewSession

    return ReviewSession(QgsVectorLayer(str(points), reviewer, "ogr"), reviewer)


def test_two_reviews_at_once_find_that_they_disagree(points):
    anna, bob = session_of(points, "Anna"), session_of(points, "Bob")
    anna.answer(1)
    bob.answer(4)
    row = next(iter(QgsVectorLayer(str(points), "again", "ogr").getFeatures()))
    assert (row["Truth_Anna"], row["Truth_Bob"], row["GrndTruth"], row["Status"]) == (1, 4, -1, "disputed")


def test_decision_stays_when_an_interpreter_answers_again(points):
    anna, bob = session_of(points, "Anna"), session_of(points, "Bob")
    anna.answer(1)
    bob.answer(4)
    chief = session_of(points, "Chief")
    chief.deciding = True
    chief.answer(7)
    anna.answer(1)
    row = next(iter(QgsVectorLayer(str(points), "again", "ogr").getFeatures()))
    assert (row["GrndTruth"], row["Status"], row["Truth_Anna"]) == (7, "decided", 1)


def test_shapefile_that_cannot_keep_the_names_of_the_answers_is_refused(points, folder):
    from deep_learning_toolbox.backend.errors import ToolboxError

    shape = processing.run("native:savefeatures", {"INPUT": str(points), "OUTPUT": str(folder / "points.shp")})["OUTPUT"]
    with pytest.raises(ToolboxError, match="cannot have the field Truth_Alexander; export it to a GeoPackage"):
        session_of(shape, "Alexander")


def test_disputed_answers_are_not_drawn_over(points, classified):
    session_of(points, "Anna").answer(1)
    session_of(points, "Bob").answer(4)
    before = points.read_bytes()
    assert "have been answered, and would be lost" in refusal("accuracypoints", INPUT=classified, OUTPUT=points)
    assert points.read_bytes() == before
