# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels of others that are not as ours: outlines that cross themselves, layers of single polygons, class fields of texts."""

import pytest
from label_desk import LabelDesk, box
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import CRS, LEFT, TOP, make_layer

BOW = [(50, 50), (60, 40), (60, 50), (50, 40), (50, 50)]
SPIKE = [(50, 50), (60, 50), (60, 40), (60, 30), (60, 40), (50, 40), (50, 50)]


@pytest.fixture
def desk(plugin, scene):
    desk = LabelDesk(scene)
    yield desk
    desk.close()


def polygon(corners):
    """A polygon of corners in pixels of the scene."""
    return QgsGeometry.fromPolygonXY([[QgsPointXY(LEFT + 10 * column, TOP - 10 * row) for column, row in corners]])


@pytest.fixture
def crooked(desk, folder):
    """Puts a label with a bad outline into a new layer, as another tool would."""

    def put(corners):
        layer = desk.new(folder / "labels.gpkg", "Water", "Forest")
        desk.labelling.choose(1)
        values = {layer.fields().lookupField("Classvalue"): 1, layer.fields().lookupField("Classname"): "Water"}
        layer.startEditing()
        layer.addFeature(QgsVectorLayerUtils.createFeature(layer, polygon(corners), values))
        desk.process()
        return layer

    return put


@pytest.mark.parametrize(("corners", "area"), [(BOW, 50), (SPIKE, 100)])
def test_cutting_or_painting_on_a_label_with_a_bad_outline_keeps_it(desk, crooked, corners, area):
    layer = crooked(corners)
    inside = polygon([(51, 44), (52, 44), (52, 46), (51, 46), (51, 44)])
    desk.editor.cut(inside, layer.crs())
    (label,) = layer.getFeatures()
    assert label.geometry().area() / 100 == pytest.approx(area - 2)
    desk.draw(inside, "brush")
    (label,) = layer.getFeatures()
    assert label.geometry().area() / 100 == pytest.approx(area)
    layer.undoStack().undo()
    layer.undoStack().undo()
    (label,) = layer.getFeatures()
    assert label.geometry().isGeosEqual(polygon(corners)) or label.geometry().asWkt() == polygon(corners).asWkt()


def test_overlap_with_a_label_that_has_a_spike_is_told(desk, crooked):
    layer = crooked(SPIKE)
    desk.labelling.choose(2)
    desk.draw(box(55, 35))
    assert "overlaps 1 of other classes" in " ".join(desk.told())
    layer.rollBack()


@pytest.mark.parametrize("ending", ["gpkg", "geojson"])
def test_pieces_that_a_layer_of_single_polygons_cannot_hold_become_labels(desk, folder, ending):
    memory = QgsVectorLayer(f"Polygon?crs={CRS}&field=Classname:string&field=Classvalue:int", "single", "memory")
    feature = QgsFeature(memory.fields())
    feature.setAttributes(["Water", 1])
    feature.setGeometry(box(0, 0, 20))
    memory.dataProvider().addFeature(feature)
    path, options = folder / f"single.{ending}", QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = {"gpkg": "GPKG", "geojson": "GeoJSON"}[ending]
    QgsVectorFileWriter.writeAsVectorFormatV3(memory, str(path), QgsCoordinateTransformContext(), options)
    desk.labelling.files.open(str(path))
    desk.dock.notice.buttons[0].click()
    desk.editor.cut(QgsGeometry.fromRect(QgsRectangle(LEFT + 80, TOP - 1000, LEFT + 100, TOP + 100)), desk.layer.crs())
    desk.draw(QgsGeometry.collectGeometry([box(40, 0), box(60, 0)]))
    desk.labelling.save()
    assert desk.saved(path) == [(1, "Water")] * 4
    again = QgsVectorLayer(str(path), "again", "ogr")
    assert sorted(round(label.geometry().area() / 100) for label in again.getFeatures()) == [100, 100, 160, 200]


def test_new_class_of_a_layer_whose_classes_are_texts_is_counted(desk):
    layer = make_layer([(box(0, 0), "Wald"), (box(20, 0), "Wasser")], [("Classvalue", QVariant.Type.String)])
    desk.project.addMapLayer(layer)
    desk.dock.layer.setLayer(layer)
    desk.dock.notice.buttons[0].click()
    desk.add_class("Feld")
    desk.labelling.choose(3)
    desk.draw(box(40, 0))
    assert len(desk.editor.labels_of(3)) == 1
    desk.type_into(3, 0, "Acker")
    assert sorted(label["Classvalue"] for label in layer.getFeatures()) == ["Acker", "Wald", "Wasser"]
    assert len(desk.editor.labels_of(3)) == 1
    layer.rollBack()
