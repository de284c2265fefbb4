# SPDX-License-Identifier: GPL-2.0-or-later
"""The drawing tools on a real canvas with real mouse and keys: what they give, and that nothing stays on the canvas."""

import math

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsSnappingConfig,
    QgsTolerance,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt, QVariant
from qgis.PyQt.QtGui import QColor, QMouseEvent, QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication
from qgis_helpers import make_layer

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
INT = QVariant.Type.Int


class Hand:
    """A canvas of 400 × 300 pixels, 10 units each, with its upper left corner at (0, 3000), and a tool that is used by hand."""

    def __init__(self, name, crs="EPSG:32632", rotation=0.0):
        from deep_learning_toolbox.ui.labelling.tools import make_tools
        from deep_learning_toolbox.ui.labelling.tools.transform import MoveRotateTool

        self.canvas = QgsMapCanvas()
        self.canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
        self.canvas.resize(400, 300)
        self.canvas.show()
        self.canvas.setFrameStyle(0)
        self.canvas.resize(400, 300)
        self.canvas.setExtent(QgsRectangle(0, 0, 4000, 3000))
        self.canvas.setRotation(rotation)
        QApplication.processEvents()
        self.tools = {**make_tools(self.canvas), "move": MoveRotateTool(self.canvas)}
        self.tool = self.tools[name]
        self.held = Qt.MouseButton.NoButton
        self.drawn, self.removed = [], []
        self.tool.drawn.connect(self.drawn.append)
        self.tool.removed.connect(self.removed.append)
        self.canvas.setMapTool(self.tool)

    def map(self, x, y):
        """Map point of a pixel."""
        return self.canvas.getCoordinateTransform().toMapCoordinates(x, y)

    def press(self, x, y, button=LEFT, keys=Qt.KeyboardModifier.NoModifier):
        self.held = button
        QTest.mousePress(self.canvas.viewport(), button, keys, QPoint(x, y))

    def move(self, x, y):
        # Not QTest.mouseMove, which moves the cursor and leaves it to the platform whether an event follows.
        place, viewport = QPoint(x, y), self.canvas.viewport()
        kind, nothing = QEvent.Type.MouseMove, Qt.KeyboardModifier.NoModifier
        global_place = QPointF(viewport.mapToGlobal(place))
        event = QMouseEvent(kind, QPointF(place), global_place, Qt.MouseButton.NoButton, self.held, nothing)
        QApplication.sendEvent(viewport, event)

    def release(self, x, y, button=LEFT, keys=Qt.KeyboardModifier.NoModifier):
        self.held = Qt.MouseButton.NoButton
        QTest.mouseRelease(self.canvas.viewport(), button, keys, QPoint(x, y))

    def click(self, x, y, button=LEFT):
        self.move(x, y)
        QTest.mouseClick(self.canvas.viewport(), button, Qt.KeyboardModifier.NoModifier, QPoint(x, y))

    def drag(self, *places, keys=Qt.KeyboardModifier.NoModifier):
        self.press(*places[0], keys=keys)
        for place in places[1:]:
            self.move(*place)
        self.release(*places[-1], keys=keys)

    def key(self, key):
        QTest.keyClick(self.canvas, key)

    def bands(self):
        return [item for item in self.canvas.scene().items() if isinstance(item, QgsRubberBand)]

    def close(self):
        for tool in self.tools.values():
            tool.remove()
        self.canvas.close()
        self.canvas.deleteLater()


@pytest.fixture
def hand(plugin):
    made = []

    def make(name, **options):
        made.append(Hand(name, **options))
        return made[-1]

    QgsProject.instance().clear()
    yield make
    for entry in made:
        assert entry.bands() == []  # each test ends with nothing under way
        entry.close()
    QgsProject.instance().clear()


def rectangle(hand, left, top, right, bottom):
    return QgsGeometry.fromPolygonXY([[hand.map(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))]])


def same(first, second, tolerance=1e-6):
    return first.symDifference(second).area() <= tolerance * second.area()


def test_a_drag_gives_a_rectangle_to_the_pixel(hand):
    entry = hand("rectangle")
    entry.drag((50, 40), (90, 70), (150, 110))
    assert len(entry.drawn) == 1
    assert same(entry.drawn[0], rectangle(entry, 50, 40, 150, 110))
    assert entry.drawn[0].area() == pytest.approx(1000 * 700)


def test_two_clicks_give_a_rectangle_too(hand):
    entry = hand("rectangle")
    entry.click(50, 40)
    assert entry.drawn == []
    entry.move(120, 90)
    assert len(entry.bands()) == 1
    entry.press(150, 110)
    entry.release(150, 110)
    assert same(entry.drawn[0], rectangle(entry, 50, 40, 150, 110))


def test_on_a_rotated_canvas_a_rectangle_is_upright_on_the_screen(hand):
    entry = hand("rectangle", rotation=30)
    entry.drag((150, 100), (170, 120), (230, 160))
    corners = entry.drawn[0].asPolygon()[0]
    screen = sorted((round(x), round(y)) for x, y in (entry.tool.to_screen(corner) for corner in corners[:4]))
    assert screen == [(150, 100), (150, 160), (230, 100), (230, 160)]


def test_a_rectangle_without_area_is_none(hand):
    entry = hand("rectangle")
    entry.drag((50, 40), (90, 40), (150, 40))
    assert entry.drawn == []


def test_clicks_give_a_polygon_and_backspace_drops_the_last_corner(hand):
    entry = hand("polygon")
    for place in ((50, 50), (150, 50), (300, 250), (150, 150)):
        entry.click(*place)
        if place == (300, 250):
            entry.key(Qt.Key.Key_Backspace)
    entry.click(50, 150)
    assert entry.drawn == []
    entry.click(200, 200, RIGHT)
    assert same(entry.drawn[0], rectangle(entry, 50, 50, 150, 150))


def test_a_polygon_of_two_corners_goes_on(hand):
    entry = hand("polygon")
    entry.click(50, 50)
    entry.click(150, 50)
    entry.click(150, 50, RIGHT)
    assert entry.drawn == [] and len(entry.bands()) == 1
    entry.click(150, 150)
    entry.click(10, 10, RIGHT)
    assert entry.drawn[0].area() == pytest.approx(1000 * 1000 / 2)


def test_dropping_all_corners_ends_the_drawing(hand):
    entry = hand("polygon")
    entry.click(50, 50)
    entry.key(Qt.Key.Key_Backspace)
    assert entry.bands() == []


def test_an_outline_that_crosses_itself_keeps_all_that_it_encloses(hand):
    entry = hand("polygon")
    for place in ((50, 50), (150, 150), (150, 50), (50, 150)):
        entry.click(*place)
    entry.click(0, 0, RIGHT)
    assert entry.drawn[0].isGeosValid()
    assert entry.drawn[0].area() == pytest.approx(2 * 1000 * 500 / 2)


def test_a_drag_from_the_centre_gives_a_circle(hand):
    entry = hand("circle")
    entry.drag((200, 150), (220, 150), (250, 150))
    assert entry.drawn[0].area() == pytest.approx(math.pi * 500**2, rel=0.002)
    centre = entry.drawn[0].centroid().asPoint()
    assert (centre.x(), centre.y()) == pytest.approx((2000, 1500), abs=1)


def test_a_freehand_outline_closes_when_the_mouse_is_released(hand):
    entry = hand("freehand")
    around = [(200 + round(80 * math.cos(a / 20)), 150 + round(80 * math.sin(a / 20))) for a in range(126)]
    entry.drag(*around)
    assert entry.drawn[0].isGeosValid()
    assert entry.drawn[0].area() == pytest.approx(math.pi * 800**2, rel=0.02)
    assert entry.drawn[0].constGet().nCoordinates() < 100


def test_a_freehand_figure_of_eight_keeps_both_lobes(hand):
    entry = hand("freehand")
    eight = [(200 + round(80 * math.sin(a / 20)), 150 + round(60 * math.sin(a / 10))) for a in range(126)]
    entry.drag(*eight)
    assert entry.drawn[0].isGeosValid()
    assert entry.drawn[0].contains(QgsGeometry.fromPointXY(entry.map(240, 170)))
    assert entry.drawn[0].contains(QgsGeometry.fromPointXY(entry.map(160, 130)))


@pytest.fixture
def segments():
    """Four segments of 10 × 10 pixels beside each other."""
    boxes = [QgsGeometry.fromRect(QgsRectangle(1000 + 100 * n, 2000, 1100 + 100 * n, 2100)) for n in range(4)]
    layer = make_layer([(box, n) for n, box in enumerate(boxes)], [("segment", INT)], "EPSG:32632")
    return boxes, layer


def test_a_click_takes_a_segment_and_a_drag_several_as_one(hand, segments):
    boxes, layer = segments
    entry = hand("segment")
    entry.tool.set_segments(layer)
    entry.click(105, 95)
    assert same(entry.drawn[0], boxes[0])
    entry.drag((115, 95), (118, 95), (125, 95), (130, 60))
    assert same(entry.drawn[1], QgsGeometry.unaryUnion(boxes[1:3]))
    entry.click(300, 250)
    assert len(entry.drawn) == 2


def test_segments_in_another_coordinate_system_are_taken_where_they_are_seen(hand, segments):
    from qgis.core import QgsCoordinateTransform

    boxes, _ = segments
    to_degrees = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:32632"), QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
    )
    shape = QgsGeometry(boxes[0])
    shape.transform(to_degrees)
    entry = hand("segment")
    entry.tool.set_segments(make_layer([(shape, 1)], [("segment", INT)], "EPSG:4326"))
    entry.click(105, 95)
    assert same(entry.drawn[0], boxes[0], 1e-3)


def test_without_segments_the_tool_says_so(hand, segments):
    entry = hand("segment")
    told = []
    entry.tool.missing.connect(lambda: told.append(True))
    entry.click(105, 95)
    assert told == [True] and entry.drawn == []


def test_the_brush_paints_and_with_shift_cuts(hand):
    entry = hand("brush")
    entry.drag((100, 100), (150, 100), (200, 100))
    assert entry.drawn[0].area() == pytest.approx(1000 * 200 + math.pi * 100**2, rel=0.02)
    entry.drag((100, 100), (150, 100), keys=SHIFT)
    assert len(entry.drawn) == 1
    assert entry.removed[0].area() == pytest.approx(500 * 200 + math.pi * 100**2, rel=0.02)


def test_cursor_is_as_large_as_the_brush(hand):
    tool = hand("brush").tool
    sides = []
    for radius in (4, 20):
        tool.set_radius(radius)
        picture = tool._canvas.cursor().pixmap()
        sides.append(picture.width() / picture.devicePixelRatio())
    assert sides == [13, 45]  # twice the radius, and room for the line
    tool.set_radius(150)
    assert tool._canvas.cursor().shape() == Qt.CursorShape.CrossCursor


def test_one_click_of_the_brush_is_a_dot(hand):
    entry = hand("brush")
    entry.click(100, 100)
    assert entry.drawn[0].area() == pytest.approx(math.pi * 100**2, rel=0.03)


def test_keys_and_wheel_change_the_brush_within_limits(hand):
    entry = hand("brush")
    QTest.keyClicks(entry.canvas, "]]")
    assert entry.tool.radius == pytest.approx(10 * 1.25**2)
    nothing, alt = Qt.MouseButton.NoButton, Qt.KeyboardModifier.AltModifier
    place = QPointF(100, 100), QPointF(entry.canvas.mapToGlobal(QPoint(100, 100)))
    turn = QWheelEvent(*place, QPoint(), QPoint(0, -120), nothing, alt, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(entry.canvas.viewport(), turn)
    assert entry.tool.radius == pytest.approx(10 * 1.25)
    entry.tool.set_radius(1e9)
    assert entry.tool.radius == 200


def test_a_label_is_moved_by_a_drag_and_turned_with_shift(hand):
    box = QgsGeometry.fromRect(QgsRectangle(1000, 2000, 1400, 2200))
    layer = make_layer([(box, 1)], [("Classvalue", INT)], "EPSG:32632")
    entry = hand("move")
    entry.tool.set_layer(layer)
    got = []
    entry.tool.transformed.connect(lambda fid, shape: got.append((fid, shape)))
    entry.drag((120, 90), (140, 110), (150, 120))
    fid, shape = got[0]
    assert fid == next(layer.getFeatures()).id()
    moved = QgsGeometry(box)
    moved.translate(300, -300)
    assert same(shape, moved)
    entry.drag((135, 90), (120, 70), (120, 75), keys=SHIFT)  # from the east of the centre to its north
    upright = QgsGeometry.fromRect(QgsRectangle(1100, 1900, 1300, 2300))
    assert same(got[1][1], upright, 1e-3)
    entry.drag((300, 250), (310, 250))
    assert len(got) == 2


def test_snapping_of_the_project_holds_for_corners(hand):
    target = make_layer([(QgsGeometry.fromRect(QgsRectangle(1000, 2000, 1500, 2500)), 1)], [("n", INT)], "EPSG:32632")
    QgsProject.instance().addMapLayer(target)
    entry = hand("rectangle")
    entry.canvas.setLayers([target])
    config = QgsSnappingConfig(QgsProject.instance())
    config.setEnabled(True)
    config.setMode(QgsSnappingConfig.SnappingMode.AllLayers)
    config.setTypeFlag(QgsSnappingConfig.SnappingTypes.VertexFlag)
    config.setTolerance(12)
    config.setUnits(QgsTolerance.UnitType.Pixels)
    utils = entry.canvas.snappingUtils()
    utils.setConfig(config)
    utils.setMapSettings(entry.canvas.mapSettings())
    utils.locatorForLayer(target).init()  # else it is built in the background
    entry.move(103, 48)
    entry.drag((103, 48), (180, 120), (200, 150))
    corner = entry.drawn[0].boundingBox()
    assert (corner.xMinimum(), corner.yMaximum()) == (1000, 2500)


@pytest.mark.parametrize("name", ["rectangle", "polygon", "circle", "freehand", "brush"])
def test_escape_and_another_tool_end_a_drawing_without_a_label(hand, name):
    entry = hand(name)
    for end in (lambda: entry.key(Qt.Key.Key_Escape), lambda: entry.canvas.unsetMapTool(entry.tool)):
        entry.canvas.setMapTool(entry.tool)
        if name == "polygon":
            entry.click(50, 50)
            entry.click(90, 50)
            entry.move(90, 90)
        else:
            entry.press(50, 50)
            entry.move(80, 90)
            entry.move(120, 60)
        assert len(entry.bands()) == 1
        end()
        if name != "polygon":
            entry.release(130, 60)
        assert entry.bands() == [] and entry.drawn == []


def test_the_colour_of_the_class_and_the_area_are_shown_while_drawing(hand):
    from qgis.PyQt.QtWidgets import QLabel

    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    entry = hand("rectangle")
    entry.tool.set_colour(QColor(10, 200, 30))
    entry.press(50, 50)
    entry.move(150, 150)
    assert entry.bands()[0].strokeColor().name() == "#0ac81e"
    (label,) = [child for child in entry.canvas.viewport().findChildren(QLabel) if child.isVisible()]
    assert "m²" in label.text() or "ha" in label.text() or "km²" in label.text()
    entry.key(Qt.Key.Key_Escape)
    QApplication.processEvents()


def test_drawing_in_degrees_gives_degrees(hand):
    entry = hand("rectangle", crs="EPSG:4326")
    entry.canvas.setExtent(QgsRectangle(8, 48, 8.4, 48.3))
    QApplication.processEvents()
    entry.drag((50, 40), (90, 70), (150, 110))
    box = entry.drawn[0].boundingBox()
    first, last = entry.map(50, 110), entry.map(150, 40)
    assert (box.xMinimum(), box.yMinimum()) == pytest.approx((first.x(), first.y()))
    assert (box.xMaximum(), box.yMaximum()) == pytest.approx((last.x(), last.y()))
    assert isinstance(first, QgsPointXY)
