# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelling tile by tile, with real keys and buttons: where the tiles lie, what is shown, and what is remembered."""

import pytest
from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsProject, QgsRectangle
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis_helpers import make_layer

LEFT_BUTTON = Qt.MouseButton.LeftButton
AREA = QgsGeometry.fromRect(QgsRectangle(0, 0, 300, 150))


@pytest.fixture
def mode(qgis_new_project):
    from deep_learning_toolbox.ui.labelling.tile_mode import TileMode

    canvas = QgsMapCanvas()
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    canvas.resize(300, 300)
    canvas.show()
    made = TileMode(canvas, QgsProject.instance())
    made.canvas = canvas
    made.use(memory("labels_1"))
    yield made
    made.remove()


def memory(key, file=None):
    from deep_learning_toolbox.ui.labelling.tile_memory import TileMemory

    return TileMemory(QgsProject.instance(), key, file)


def grid(area, size):
    from deep_learning_toolbox.ui.labelling.tile_grid import make_grid

    return make_grid(area, size, "EPSG:32632")


def bands(canvas):
    return [item for item in canvas.scene().items() if isinstance(item, QgsRubberBand)]


def test_tiles_go_to_and_fro_and_are_cut_off_at_the_border():
    assert grid(AREA, 100).tiles == [
        (0, 50, 100, 150), (100, 50, 200, 150), (200, 50, 300, 150),
        (200, 0, 300, 50), (100, 0, 200, 50), (0, 0, 100, 50),
    ]  # fmt: skip


def test_leaves_out_tiles_that_the_mask_only_touches():
    mask = QgsGeometry.fromWkt("POLYGON((0 0, 100 0, 100 300, 300 300, 300 200, 200 200, 200 100, 100 100, 0 0))")
    tiles = grid(mask, 100).tiles
    assert (0, 200, 100, 300) not in tiles  # the mask only runs along it
    assert {(100, 200, 200, 300), (200, 200, 300, 300), (0, 0, 100, 100), (100, 100, 200, 200)} == set(tiles)


@pytest.mark.parametrize(
    ("area", "size", "said"),
    [(AREA, 0.0, "above 0"), (AREA, float("nan"), "above 0"), (AREA, 0.1, "4500000"), (QgsGeometry(), 10.0, "no area")],
)
def test_says_what_is_wrong_with_area_or_size(area, size, said):
    from deep_learning_toolbox.backend.errors import ToolboxError

    with pytest.raises(ToolboxError, match=said):
        grid(area, size)


def test_keys_step_through_the_tiles_and_skip_what_is_done(mode):
    mode.begin(AREA, 100)
    press = lambda key: QTest.keyClick(mode.canvas, key)  # noqa: E731  short, and used here only
    press(Qt.Key.Key_D)
    assert (mode.grid.done, mode.grid.current) == ({0}, 1)
    press(Qt.Key.Key_N)
    assert mode.grid.current == 2
    press(Qt.Key.Key_B)
    press(Qt.Key.Key_B)
    assert mode.grid.current == 0
    press(Qt.Key.Key_B)
    assert mode.grid.current == 5
    press(Qt.Key.Key_N)
    assert mode.grid.current == 1  # 0 is done


def test_shows_the_whole_tile_in_its_frame(mode):
    mode.begin(AREA, 100)
    mode.next()
    assert mode.canvas.extent().contains(QgsRectangle(100, 50, 200, 150))
    assert mode.canvas.extent().width() < 150
    frame = bands(mode.canvas)[0].asGeometry().boundingBox()
    assert len(bands(mode.canvas)) == 1
    assert (frame.xMinimum(), frame.yMinimum(), frame.xMaximum(), frame.yMaximum()) == (100, 50, 200, 150)


def test_stays_at_the_last_tile_when_all_are_done(mode):
    mode.begin(AREA, 100)
    for _ in range(6):
        mode.mark_done()
    assert (len(mode.grid.done), mode.grid.current) == (6, 5)


def test_goes_on_where_it_was_in_a_saved_project(mode, tmp_path):
    from deep_learning_toolbox.ui.labelling.tile_mode import TileMode

    mode.begin(AREA, 100)
    mode.mark_done()
    mode.next()
    project = QgsProject.instance()
    assert project.write(str(tmp_path / "p.qgz"))
    mode.remove()
    assert bands(mode.canvas) == []
    project.clear()
    assert project.read(str(tmp_path / "p.qgz"))
    again = TileMode(mode.canvas, project)
    again.use(memory("labels_1"))
    assert (again.grid.done, again.grid.current, len(again.grid.tiles)) == ({0}, 2, 6)
    again.use(memory("labels_2"))
    assert again.grid is None
    assert bands(mode.canvas) == []


def test_every_project_finds_the_tiles_beside_the_labels(mode, tmp_path):
    file = tmp_path / "labels.gpkg.labels.tiles"
    mode.use(memory("labels_1", file))
    mode.begin(AREA, 100)
    mode.mark_done()
    QgsProject.instance().clear()  # never saved
    mode.use(memory("another_id", file))
    assert (mode.grid.done, mode.grid.current) == ({0}, 1)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    mode.end()
    assert list(tmp_path.iterdir()) == []


def test_project_keeps_the_tiles_when_nothing_can_be_written_beside_the_labels(mode, tmp_path):
    file = tmp_path / "gone" / "labels.gpkg.labels.tiles"
    mode.use(memory("labels_1", file))
    mode.begin(AREA, 100)
    mode.mark_done()
    mode.use(memory("labels_1", file))
    assert mode.grid.done == {0}
    file.parent.mkdir()
    mode.mark_done()
    assert QgsProject.instance().readEntry("DeepLearningToolbox", "label_tiles/labels_1")[0] == ""
    mode.use(memory("labels_1", file))
    assert mode.grid.done == {0, 1}


@pytest.mark.parametrize("text", ["{", "[]", '{"crs": "", "tiles": [[0, 0, 1]], "done": [], "current": 0}',
                                  '{"crs": "", "tiles": [[0, 0, 1, 1]], "done": [7], "current": 0}'])  # fmt: skip
def test_passes_over_broken_texts(mode, text, tmp_path):
    (tmp_path / "tiles").write_text(text, encoding="utf-8")
    mode.use(memory("labels_1", tmp_path / "tiles"))
    assert mode.grid is None
    QgsProject.instance().writeEntry("DeepLearningToolbox", "label_tiles/labels_1", text)
    mode.use(memory("labels_1"))
    assert mode.grid is None


def test_shows_tiles_in_another_project_crs(mode):
    mode.begin(QgsGeometry.fromRect(QgsRectangle(500000, 5300000, 501000, 5301000)), 500)
    mode.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    mode.next()
    assert 8.9 < mode.canvas.extent().center().x() < 9.1
    assert 47 < mode.canvas.extent().center().y() < 48.5


def test_keys_are_given_back_when_it_ends(mode):
    mode.begin(AREA, 100)
    mode.end()
    QTest.keyClick(mode.canvas, Qt.Key.Key_D)
    assert mode.grid is None
    assert QgsProject.instance().readEntry("DeepLearningToolbox", "label_tiles/labels_1")[0] == ""


def test_the_bar_begins_marks_and_ends(mode):
    from deep_learning_toolbox.ui.labelling.tile_bar import TileBar

    mode.canvas.setExtent(QgsRectangle(0, 0, 400, 400))
    bar = TileBar(mode.canvas, mode)
    bar.show()
    bar.size_box.setValue(200)
    QTest.mouseClick(bar.start, LEFT_BUTTON)
    assert bar.progress.maximum() == 4
    QTest.mouseClick(bar.finish, LEFT_BUTTON)
    assert bar.progress.value() == 1
    assert not bar.start.isVisible()
    QTest.mouseClick(bar.stop, LEFT_BUTTON)
    assert mode.grid is None
    assert bar.start.isVisible()


def test_the_bar_cuts_the_selected_polygons_of_a_mask_in_another_crs(mode):
    from deep_learning_toolbox.ui.labelling.tile_bar import TileBar

    boxes = [QgsRectangle(9, 48, 9.01, 48.01), QgsRectangle(12, 48, 12.01, 48.01)]
    mask = make_layer([(QgsGeometry.fromRect(box),) for box in boxes], [], crs="EPSG:4326")
    QgsProject.instance().addMapLayer(mask)
    first = next(mask.getFeatures())
    mask.selectByIds([first.id()])
    bar = TileBar(mode.canvas, mode)
    bar.show()
    bar.area.setLayer(mask)
    bar.size_box.setValue(100_000)
    QTest.mouseClick(bar.start, LEFT_BUTTON)
    assert len(mode.grid.tiles) == 1  # the other one lies 220 km away
    assert mode.grid.rectangle.xMinimum() == pytest.approx(500_000, abs=1)  # 9 degrees east is the central meridian of the zone
    mask.removeSelection()
    mode.end()
    QTest.mouseClick(bar.start, LEFT_BUTTON)
    assert len(mode.grid.tiles) == 2


def test_the_frame_follows_a_new_project_crs(mode):
    mode.begin(QgsGeometry.fromRect(QgsRectangle(500000, 5300000, 501000, 5301000)), 500)
    mode.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    assert bands(mode.canvas)[0].asGeometry().boundingBox().xMaximum() < 10
