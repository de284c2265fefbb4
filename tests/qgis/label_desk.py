# SPDX-License-Identifier: GPL-2.0-or-later
"""A window with canvas and label dock, as the label tests use it, and layers to label."""

import json

from qgis.core import QgsGeometry, QgsProject, QgsRasterLayer, QgsRectangle, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsMessageBar
from qgis.PyQt.QtCore import Qt, QVariant, pyqtSignal
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMainWindow
from qgis_helpers import CRS, LEFT, TOP


class ClickTool(QgsMapTool):
    """The contract of the drawing tools, without drawing."""

    drawn = pyqtSignal(QgsGeometry)
    removed = pyqtSignal(QgsGeometry)
    color = None

    def set_colour(self, colour):
        self.color = colour

    def remove(self):
        self.deleteLater()


class LabelDesk:
    """Window, canvas and dock around QGIS's project; `asked` lists the tools that the dock opened."""

    def __init__(self, scene, tools=None, mover=None):
        from deep_learning_toolbox.ui.labelling.dock import LabelDock
        from deep_learning_toolbox.ui.labelling.labelling import Labelling

        self.asked, self.active, self.scene = [], None, scene
        self.project = QgsProject.instance()
        self.project.clear()
        self.image = QgsRasterLayer(str(scene), "scene")
        self.project.addMapLayer(self.image)
        self.project.setCrs(self.image.crs())
        self.window = QMainWindow()
        self.window.resize(1000, 800)
        self.canvas = QgsMapCanvas(self.window)
        self.canvas.setDestinationCrs(self.image.crs())
        self.canvas.setLayers([self.image])
        self.canvas.setExtent(self.image.extent())
        self.window.setCentralWidget(self.canvas)
        self.messages = QgsMessageBar(self.window)
        self.dock = LabelDock(self.window)
        self.window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.tools = tools(self.canvas) if tools else {"rectangle": ClickTool(self.canvas), "brush": ClickTool(self.canvas)}
        mover = mover(self.canvas) if mover else None
        self.labelling = Labelling(self.dock, self.canvas, self.messages, self.project, self, self.tools, mover)
        self.labelling.suggest()
        self.window.show()
        self.window.activateWindow()
        QTest.qWaitForWindowActive(self.window)
        self.process()

    def open_tool(self, name, parameters):
        self.asked.append((name, parameters))

    def set_active_layer(self, layer):
        self.active = layer

    @property
    def layer(self):
        return self.labelling.editor.layer

    @property
    def editor(self):
        return self.labelling.editor

    def new(self, path, *names):
        """Labels a new layer with classes of these names, of values 1, 2, …"""
        self.labelling.files.make(str(path))
        for name in names:
            self.add_class(name)
        return self.layer

    def add_class(self, name):
        self.dock.schema.add.click()
        entry = self.editor.schema.classes[-1]
        self.type_into(entry.value, 0, name)

    def type_into(self, value, column, text):
        """Types into a cell of the class tree, as an editor would write it."""
        for item in self.dock.schema._items():
            if item.data(0, Qt.ItemDataRole.UserRole) == value:
                item.setText(column, text)
                break
        self.process()

    def draw(self, geometry, tool="rectangle"):
        self.tools[tool].drawn.emit(geometry)
        self.process()

    def press(self, key, widget=None):
        QTest.keyClick(widget or self.canvas, key)
        self.process()

    def told(self):
        return [item.text() for item in self.messages.items()] + [self.dock.notice.text.text()]

    def rows(self, layer=None):
        """(value, name) of each label in the layer as it is shown, by id."""
        layer = layer or self.layer
        return [(feature["Classvalue"], feature["Classname"]) for feature in layer.getFeatures()]

    def saved(self, path=None):
        """The same, read from the file anew."""
        return self.rows(QgsVectorLayer(str(path or self.layer.source()), "again", "ogr"))

    def process(self):
        for _ in range(3):
            QApplication.processEvents()

    def close(self):
        if self.window is None:
            return
        self.labelling.stop()
        self.window.close()
        self.window.deleteLater()
        self.window = None
        for layer in self.project.mapLayers().values():
            if isinstance(layer, QgsVectorLayer) and layer.isEditable():
                layer.rollBack()
        self.project.clear()


def box(column, row, size=10):
    """A rectangle of pixels of the scene."""
    x, y = LEFT + column * 10, TOP - row * 10
    return QgsGeometry.fromRect(QgsRectangle(x, y - size * 10, x + size * 10, y))


FIELDS = [("Classname", QVariant.Type.String), ("Classvalue", QVariant.Type.Int)]


def write_shapefile(path, labels, crs=CRS):
    """A shapefile of (geometry, name, value), as another program would leave it."""
    from qgis.core import QgsCoordinateTransformContext, QgsVectorFileWriter
    from qgis_helpers import make_layer

    layer = make_layer([(geometry, name, value) for geometry, name, value in labels], FIELDS, crs)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "ESRI Shapefile"
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), QgsCoordinateTransformContext(), options)
    return path


def journal_lines(path):
    """The lines of the journal beside a store; None without one."""
    (found,) = path.parent.glob(f"{path.name}.*.unsaved") or (None,)
    return [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines() if line]
