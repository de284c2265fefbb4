# SPDX-License-Identifier: GPL-2.0-or-later
"""Every drawing tool with real mouse and key events on a real canvas: geometry, class, undo and redo, and what is saved."""

import pytest
from label_desk import LabelDesk, box
from label_hand import RIGHT_BUTTON, SHIFT, Hand, mover, real_tools
from qgis.core import QgsGeometry, QgsPointXY, QgsVectorLayer
from qgis.PyQt.QtCore import Qt, QVariant
from qgis_helpers import LEFT, TOP, make_layer


@pytest.fixture
def desk(plugin, scene, folder):
    desk = LabelDesk(scene, real_tools, mover)
    desk.new(folder / "labels.gpkg", "Water", "Forest")
    desk.labelling.choose(2)
    yield desk
    desk.close()


@pytest.fixture
def hand(desk):
    return Hand(desk)


def shapes(desk):
    return [feature.geometry() for feature in desk.layer.getFeatures()]


def use(desk, name):
    (action,) = [action for action in desk.dock.tools.actions() if action is desk.labelling.switch.actions[name]]
    action.trigger()
    assert action.isChecked()


def likeness(first, second):
    """Shared area of two shapes over the area of both, 0 to 1."""
    return first.intersection(second).area() / first.combine(second).area()


def polygon(*places):
    return QgsGeometry.fromPolygonXY([[QgsPointXY(LEFT + column * 10, TOP - row * 10) for column, row in places]])


STAR = [(20, 20), (60, 24), (70, 60), (30, 66)]


def draw_rectangle(hand):
    hand.drag((20, 20), (35, 30), (50, 45))
    return box(20, 20, 30).boundingBox(), polygon((20, 20), (50, 20), (50, 45), (20, 45))


def draw_polygon(hand):
    for place in STAR:
        hand.click(*place)
    hand.click(*STAR[-1], button=RIGHT_BUTTON)
    return None, polygon(*STAR)


def draw_circle(hand):
    hand.drag((48, 48), (55, 48), (68, 48))
    return None, QgsGeometry.fromPointXY(QgsPointXY(LEFT + 480, TOP - 480)).buffer(200, 32)


def draw_freehand(hand):
    hand.drag((20, 20), (40, 22), (60, 24), (65, 42), (70, 60), (50, 63), (30, 66), (25, 43), (20, 22))
    return None, polygon(*STAR)


@pytest.mark.parametrize(
    ("name", "draw"),
    [("rectangle", draw_rectangle), ("polygon", draw_polygon), ("circle", draw_circle), ("freehand", draw_freehand)],
)
def test_tool_draws_a_label_of_the_current_class_that_can_be_undone_redone_and_saved(desk, hand, name, draw):
    use(desk, name)
    expected = draw(hand)[1]
    (shape,) = shapes(desk)
    assert likeness(shape, expected) > 0.93
    assert desk.rows() == [(2, "Forest")]
    desk.dock.undo.click()
    assert shapes(desk) == []
    desk.dock.redo.click()
    assert desk.rows() == [(2, "Forest")]
    desk.dock.save.click()
    assert desk.saved() == [(2, "Forest")]


def test_digit_between_two_rectangles_changes_the_class_of_the_second(desk, hand):
    use(desk, "rectangle")
    hand.drag((5, 5), (10, 10), (15, 15))
    desk.press(Qt.Key.Key_1)
    hand.drag((30, 5), (35, 10), (40, 15))
    assert desk.rows() == [(2, "Forest"), (1, "Water")]


def test_escape_drops_the_shape_under_way(desk, hand):
    use(desk, "polygon")
    hand.click(20, 20)
    hand.click(40, 20)
    desk.press(Qt.Key.Key_Escape)
    hand.click(60, 60, button=RIGHT_BUTTON)
    assert shapes(desk) == []
    assert desk.canvas.mapTool() is desk.tools["polygon"]


def test_segments_become_labels_by_a_click_and_several_by_a_drag(desk, hand):
    segments = make_layer([(box(20, 20, 10),), (box(30, 20, 10),), (box(40, 20, 10),)], [])
    desk.project.addMapLayer(segments)
    use(desk, "segment")
    assert not desk.dock.segment_row.isHidden()
    hand.click(25, 25)
    assert shapes(desk) == []
    assert "layer of segments" in " ".join(desk.told())
    desk.dock.segments.setLayer(segments)
    hand.click(25, 25)
    assert likeness(shapes(desk)[0], box(20, 20, 10)) == pytest.approx(1)
    hand.drag((35, 25), (38, 25), (45, 25))
    assert likeness(shapes(desk)[1], box(30, 20, 10).combine(box(40, 20, 10))) == pytest.approx(1)


def test_segments_that_the_tool_made_are_found_by_themselves(desk, hand):
    others = make_layer([(box(20, 20, 10),)], [("Name", QVariant.Type.String)], name="a")
    segments = make_layer([(box(20, 20, 30), 1, 900)], [("segment", QVariant.Type.Int), ("pixels", QVariant.Type.Int)], name="b")
    desk.project.addMapLayers([others, segments])
    use(desk, "segment")
    hand.click(25, 25)
    assert likeness(shapes(desk)[0], box(20, 20, 30)) == pytest.approx(1)


def test_brush_paints_on_the_label_it_touches_and_cuts_with_shift(desk, hand):
    use(desk, "rectangle")
    hand.drag((20, 20), (35, 30), (50, 50))
    area = shapes(desk)[0].area()
    use(desk, "brush")
    hand.drag((48, 35), (55, 35), (70, 35))
    (shape,) = shapes(desk)
    assert shape.area() > area
    hand.drag((10, 35), (30, 35), (90, 35), modifiers=SHIFT)
    assert sum(shape.area() for shape in shapes(desk)) < area
    for _ in range(3):
        desk.dock.undo.click()
    assert shapes(desk) == []


def test_label_moves_with_the_mouse_and_turns_with_shift(desk, hand):
    use(desk, "rectangle")
    hand.drag((20, 20), (30, 30), (50, 30))
    desk.labelling.switch.actions["move"].trigger()
    hand.drag((35, 25), (36, 35), (35, 55))
    (shape,) = shapes(desk)
    assert likeness(shape, polygon((20, 50), (50, 50), (50, 60), (20, 60))) > 0.85
    hand.drag((49, 55), (45, 62), (35, 69), modifiers=SHIFT)
    (shape,) = shapes(desk)
    bounds = shape.boundingBox()
    assert bounds.height() > bounds.width()  # a quarter turn
    assert desk.rows() == [(2, "Forest")]


def take_segments(desk, hand):
    segments = make_layer([(box(20, 20, 10),), (box(30, 20, 10),)], [])
    desk.project.addMapLayer(segments)
    use(desk, "segment")
    desk.dock.segments.setLayer(segments)
    hand.drag((25, 25), (28, 25), (35, 25))


def paint(desk, hand):
    use(desk, "brush")
    hand.drag((15, 25), (30, 25), (60, 25))


def cut_through(desk, hand):
    use(desk, "brush")
    hand.drag((30, 5), (30, 30), (30, 90), modifiers=SHIFT)


def move(desk, hand):
    desk.labelling.switch.actions["move"].trigger()
    hand.drag((25, 22), (26, 35), (35, 55))


def turn(desk, hand):
    desk.labelling.switch.actions["move"].trigger()
    hand.drag((39, 22), (35, 30), (30, 39), modifiers=SHIFT)


@pytest.mark.parametrize("work", [take_segments, paint, cut_through, move, turn])
def test_what_other_tools_do_is_one_step_back_and_forth_and_saved(desk, hand, work):
    use(desk, "rectangle")
    hand.drag((20, 20), (30, 30), (40, 25))
    before = as_texts(shapes(desk))
    work(desk, hand)
    after = as_texts(shapes(desk))
    assert after != before
    desk.dock.undo.click()
    assert as_texts(shapes(desk)) == before
    desk.dock.redo.click()
    assert as_texts(shapes(desk)) == after
    desk.dock.save.click()
    file = QgsVectorLayer(desk.layer.source(), "again", "ogr")
    assert as_texts([feature.geometry() for feature in file.getFeatures()]) == after
    assert {name for _value, name in desk.saved()} == {"Forest"}


def as_texts(geometries):
    """Shapes to the centimetre, as single polygons, in any order."""
    return sorted(part.asWkt(2) for geometry in geometries for part in geometry.asGeometryCollection())


def test_tools_draw_where_the_mouse_is_on_a_rotated_canvas(desk, hand):
    desk.canvas.setRotation(30)
    desk.process()
    use(desk, "polygon")
    expected = draw_polygon(hand)[1]
    assert likeness(shapes(desk)[0], expected) > 0.93


def test_unloading_takes_the_tools_off_the_canvas(desk, hand):
    use(desk, "rectangle")
    desk.labelling.stop()
    desk.process()
    assert desk.canvas.mapTool() is None or desk.canvas.mapTool() not in desk.tools.values()
    hand.drag((20, 20), (30, 30), (50, 30))  # no traceback
