# SPDX-License-Identifier: GPL-2.0-or-later
"""The label dock on a real canvas: classes, objects, keys, guidance and the way to the export tool."""

import pytest
from label_desk import LabelDesk, box
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)
from qgis.PyQt.QtCore import Qt

KEY = Qt.Key


@pytest.fixture
def desk(plugin, scene):
    desk = LabelDesk(scene)
    yield desk
    desk.close()


@pytest.fixture
def labels(desk, folder):
    """A new label layer with two classes."""
    return desk.new(folder / "labels.gpkg", "Water", "Forest")


def class_texts(desk):
    return [[item.text(column) for column in range(5)] for item in desk.dock.schema._items()]


def test_new_layer_has_the_images_coordinates_and_arcgis_fields(desk, labels, scene):
    assert labels.crs() == desk.image.crs()
    assert labels.fields().names()[1:] == ["Classname", "Classvalue", "Classcode", "Imagery"]
    assert desk.active is labels


def test_suggests_the_uppermost_picture_in_view_and_no_map_of_classes(plugin, scene, folder):
    from deep_learning_toolbox.ui.labelling.dock import LabelDock
    from deep_learning_toolbox.ui.labelling.labelling import Labelling
    from qgis.core import QgsPalettedRasterRenderer

    desk = LabelDesk(scene)
    try:
        classes, hidden = QgsRasterLayer(str(scene), "a map"), QgsRasterLayer(str(scene), "hidden")
        entry = QgsPalettedRasterRenderer.Class(1)
        classes.setRenderer(QgsPalettedRasterRenderer(classes.dataProvider(), 1, [entry]))
        for layer in (classes, hidden):
            desk.project.addMapLayer(layer)  # each on top of the others
        desk.project.layerTreeRoot().findLayer(hidden.id()).setItemVisibilityChecked(False)
        desk.labelling.stop()
        desk.dock.deleteLater()
        desk.dock = LabelDock(desk.window)
        desk.labelling = Labelling(desk.dock, desk.canvas, desk.messages, desk.project, desk, {})
        desk.labelling.suggest()
        assert desk.dock.imagery.currentLayer() is desk.image
        assert desk.dock.layer.currentText() == "(none)"
    finally:
        desk.close()


def test_classes_get_the_next_value_colour_and_key(desk, labels):
    assert [row[:3] for row in class_texts(desk)] == [["Water", "1", "1"], ["Forest", "2", "2"]]
    first, second = desk.editor.schema.classes
    assert first.color != second.color


def test_drawn_shape_becomes_a_label_of_the_current_class_with_image_and_code(desk, labels):
    desk.labelling.choose(2)
    desk.draw(box(10, 10))
    (feature,) = labels.getFeatures()
    assert [feature[name] for name in ("Classname", "Classvalue", "Classcode", "Imagery")] == ["Forest", 2, "2", "scene"]
    assert feature.geometry().isGeosEqual(box(10, 10))
    assert desk.saved() == []  # not before it is saved
    desk.dock.save.click()
    assert desk.saved() == [(2, "Forest")]
    assert labels.isEditable()


def test_undo_and_redo_take_single_shapes(desk, labels):
    desk.draw(box(0, 0))
    desk.draw(box(20, 0))
    desk.dock.undo.click()
    assert labels.featureCount() == 1
    desk.dock.undo.click()
    assert labels.featureCount() == 0
    assert not desk.dock.undo.isEnabled()
    desk.dock.redo.click()
    desk.dock.redo.click()
    assert labels.featureCount() == 2


def test_digits_choose_classes_also_on_the_canvas_but_not_while_a_name_is_typed(desk, labels):
    desk.press(KEY.Key_2)
    assert desk.editor.current == 2
    desk.press(KEY.Key_1, desk.dock.schema.tree)
    assert desk.editor.current == 1
    desk.dock.objects.search.setFocus()
    desk.press(KEY.Key_2, desk.dock.objects.search)
    assert desk.dock.objects.search.text() == "2"
    assert desk.editor.current == 1


def test_tapping_space_takes_up_the_last_tool_again(desk, labels):
    desk.dock.tools.actions()[0].trigger()
    assert desk.canvas.mapTool() is desk.tools["rectangle"]
    desk.canvas.unsetMapTool(desk.tools["rectangle"])
    desk.press(KEY.Key_Space)
    assert desk.canvas.mapTool() is desk.tools["rectangle"]


def test_closed_dock_gives_keys_and_canvas_back(desk, labels):
    desk.dock.tools.actions()[0].trigger()
    desk.dock.close()
    desk.process()
    assert desk.canvas.mapTool() is not desk.tools["rectangle"]
    desk.labelling.choose(1)
    desk.press(KEY.Key_2)
    assert desk.editor.current == 1


def test_tool_draws_in_the_colour_of_the_class(desk, labels):
    desk.labelling.choose(2)
    assert desk.tools["rectangle"].color.getRgb()[:3] == desk.editor.schema.get(2).color


def test_renaming_a_class_renames_its_labels_in_one_step(desk, labels):
    for column in (0, 20, 40):
        desk.labelling.choose(1)
        desk.draw(box(column, 0))
    desk.type_into(1, 0, "River")
    assert desk.rows() == [(1, "River")] * 3
    desk.dock.undo.click()
    assert desk.rows() == [(1, "Water")] * 3


def test_changing_a_value_changes_the_labels_and_refuses_one_that_is_taken(desk, labels):
    desk.labelling.choose(1)
    desk.draw(box(0, 0))
    desk.type_into(1, 1, "2")
    assert "Two classes have the value “2”" in desk.told()[0]
    assert desk.rows() == [(1, "Water")]
    assert class_texts(desk)[0][1] == "1"
    desk.type_into(1, 1, "70000")
    assert "70000 is not allowed" in " ".join(desk.told())
    desk.type_into(1, 1, "9")
    assert desk.rows() == [(9, "Water")]


def test_deleting_a_class_in_use_asks_and_takes_its_labels_along(desk, labels):
    desk.labelling.choose(1)
    desk.draw(box(0, 0))
    questions = []
    desk.labelling.schema_edits._confirm = lambda _tree, text: bool(questions.append(text))
    desk.dock.schema.remove.click()
    assert questions == ["1 labels are of the class “Water”. Delete the class and these labels?"]
    assert desk.rows() == [(1, "Water")]
    desk.labelling.schema_edits._confirm = lambda _tree, _text: True
    desk.dock.schema.remove.click()
    assert desk.rows() == []
    assert [entry.name for entry in desk.editor.schema.classes] == ["Forest"]


def test_order_names_keys_and_colours_come_back_with_the_file(desk, labels):
    desk.labelling.choose(1)
    desk.dock.schema.down.click()
    desk.type_into(1, 2, "7")
    schema, path = desk.editor.schema, labels.source()
    assert [entry.name for entry in schema.classes] == ["Forest", "Water"]
    desk.project.removeAllMapLayers()
    desk.process()
    desk.labelling.files.open(path.partition("|")[0])
    assert desk.editor.schema == schema
    assert [category.label() for category in desk.layer.renderer().categories()] == ["Forest", "Water"]


def test_objects_are_listed_with_class_area_share_and_image(desk, labels):
    desk.labelling.choose(1)
    desk.draw(box(0, 0, 10))
    desk.labelling.choose(2)
    desk.draw(box(20, 0, 20))
    model = desk.dock.objects.proxy
    rows = [[model.index(row, column).data() for column in range(4)] for row in range(model.rowCount())]
    assert [(row[0], row[2], row[3]) for row in rows] == [("Water", "20.00 %", "scene"), ("Forest", "80.00 %", "scene")]
    assert float(rows[0][1].split()[0].replace(",", "")) == pytest.approx(1.0, rel=0.01)  # hectares, on the ellipsoid
    assert [row[3:] for row in class_texts(desk)] == [["1", "20.0 %"], ["1", "80.0 %"]]


def test_objects_sort_filter_select_change_and_delete(desk, labels):
    for value, column in ((1, 0), (2, 12), (1, 24)):
        desk.labelling.choose(value)
        desk.draw(box(column, 0))
    objects = desk.dock.objects
    objects.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert [objects.proxy.index(row, 0).data() for row in range(3)] == ["Forest", "Water", "Water"]
    objects.search.setText("wat")
    assert objects.proxy.rowCount() == 2
    objects.view.selectAll()
    assert len(labels.selectedFeatureIds()) == 2
    objects.class_wanted.emit(objects.selected_fids(), 2)
    desk.process()
    assert desk.rows() == [(2, "Forest")] * 3
    objects.search.setText("")
    labels.selectByIds([next(labels.getFeatures()).id()])
    desk.process()
    assert len(objects.selected_fids()) == 1
    objects.delete.click()
    assert labels.featureCount() == 2


def test_only_this_image_filters_by_imagery(desk, labels, scene):
    desk.draw(box(0, 0))
    other = QgsRasterLayer(str(scene), "second image")
    desk.project.addMapLayer(other)
    desk.dock.imagery.setLayer(other)
    desk.draw(box(20, 20))
    assert [feature["Imagery"] for feature in labels.getFeatures()] == ["scene", "second image"]
    desk.dock.objects.only_image.setChecked(True)
    assert desk.dock.objects.proxy.rowCount() == 1


def test_shape_drawn_in_another_coordinate_system_lies_where_it_was_drawn(desk, labels):
    mercator = QgsCoordinateReferenceSystem("EPSG:3857")
    shape = box(10, 10, 60)
    shape.transform(QgsCoordinateTransform(labels.crs(), mercator, QgsProject.instance()))
    outline = shape.boundingBox()
    desk.canvas.setDestinationCrs(mercator)
    drawn = QgsGeometry.fromRect(outline)
    desk.draw(drawn)
    (feature,) = labels.getFeatures()
    exact = drawn.densifyByCount(200)
    exact.transform(QgsCoordinateTransform(mercator, labels.crs(), QgsProject.instance()))
    assert feature.geometry().symDifference(exact).area() < 1e-3 * exact.area()
    assert len(feature.geometry().asMultiPolygon()[0][0]) < 40  # as few points as the curves need


def test_overlap_with_another_class_is_told(desk, labels):
    desk.labelling.choose(1)
    desk.draw(box(0, 0))
    desk.labelling.choose(2)
    desk.draw(box(10, 0))  # a common edge only
    assert not any("overlaps" in text for text in desk.told())
    desk.draw(box(5, 5))
    assert any("overlaps 1 of other classes" in text or "overlaps 2 of other classes" in text for text in desk.told())


def test_outline_that_crosses_itself_is_repaired_and_told(desk, labels):
    x, y = box(0, 0).boundingBox().xMinimum(), box(0, 0).boundingBox().yMinimum()
    bow = QgsGeometry.fromWkt(f"POLYGON(({x} {y},{x + 100} {y + 100},{x + 100} {y},{x} {y + 100},{x} {y}))")
    desk.draw(bow)
    (feature,) = labels.getFeatures()
    assert feature.geometry().isGeosValid()
    assert feature.geometry().area() == pytest.approx(5000)
    assert "crosses itself" in " ".join(desk.told())


def test_line_without_area_is_no_label(desk, labels):
    desk.draw(QgsGeometry.fromWkt("POLYGON((600000 4000000,600010 4000000,600000 4000000))"))
    assert labels.featureCount() == 0
    assert "no area" in " ".join(desk.told())


def test_brush_adds_to_the_label_it_touches_and_cuts_from_labels(desk, labels):
    desk.labelling.choose(1)
    desk.draw(box(0, 0), "brush")
    desk.draw(box(5, 0), "brush")
    (feature,) = labels.getFeatures()
    assert feature.geometry().area() == pytest.approx(15_000)
    desk.tools["brush"].removed.emit(box(0, 0, 5))
    (feature,) = labels.getFeatures()
    assert feature.geometry().area() == pytest.approx(12_500)
    desk.tools["brush"].removed.emit(box(-5, -5, 40))
    assert labels.featureCount() == 0
    desk.dock.undo.click()
    assert labels.featureCount() == 1


def test_scarce_classes_are_named(desk, labels):
    assert desk.dock.hint.isHidden()
    desk.labelling.choose(1)
    for column in (0, 12, 24):
        desk.draw(box(column, 0))
    assert desk.dock.hint.text() == "Draw more of: Forest (0)"


def test_only_unlabelled_covers_labels_on_the_canvas_and_leaves_the_layers_style(desk, labels):
    desk.draw(box(0, 0))
    renderer = labels.renderer().type()
    desk.dock.only_unlabelled.setChecked(True)
    assert "singleSymbol" in desk.canvas.layerStyleOverrides()[labels.id()]
    assert labels.renderer().type() == renderer
    desk.dock.only_unlabelled.setChecked(False)
    assert desk.canvas.layerStyleOverrides() == {}


def test_export_opens_the_tool_filled_in(desk, labels):
    assert not desk.dock.export.export.isEnabled()
    desk.draw(box(0, 0))
    desk.dock.export.size.setValue(64)
    desk.dock.export.export.click()
    ((name, filled),) = desk.asked
    assert name == "exporttrainingdata"
    assert (filled["INPUT"], filled["LABELS"]) == (desk.image, labels)
    assert (filled["TILE_SIZE_X"], filled["CLASS_VALUE_FIELD"], filled["CLASS_NAME_FIELD"]) == (64, "Classvalue", "Classname")


def test_drawing_without_layer_or_class_says_what_to_do(desk, folder):
    desk.draw(box(0, 0))
    assert "no label layer" in desk.dock.notice.text.text()
    assert [button.text() for button in desk.dock.notice.buttons] == ["New label layer…", "Open labels…"]
    desk.new(folder / "labels.gpkg")
    desk.draw(box(0, 0))
    assert "No class is chosen" in " ".join(desk.told())


def test_schema_made_before_the_layer_goes_into_it(desk, folder):
    desk.add_class("Water")
    desk.labelling.files.make(str(folder / "labels.gpkg"))
    again = QgsVectorLayer(str(folder / "labels.gpkg"), "again", "ogr")
    assert [category.label() for category in again.renderer().categories()] == ["Water"]


def test_shapes_of_qgis_own_tools_take_the_current_class_and_image(desk, labels):
    desk.labelling.choose(2)
    labels.startEditing()
    # As QGIS's "Add polygon" makes a feature.
    labels.addFeature(QgsVectorLayerUtils.createFeature(labels, box(0, 0)))
    (feature,) = labels.getFeatures()
    assert [feature[name] for name in ("Classname", "Classvalue", "Classcode", "Imagery")] == ["Forest", 2, "2", "scene"]
    desk.labelling.save()
    again = QgsVectorLayer(labels.source(), "again", "ogr")
    assert not again.defaultValueDefinition(again.fields().lookupField("Classname")).isValid()


def test_outlines_and_opacity_of_the_view_tab_outlast_a_new_class(desk, labels):
    controls = desk.labelling.sections.image_controls
    controls.outline.setChecked(True)
    controls.opacity.setValue(40)
    desk.add_class("Field")
    assert controls.outline.isChecked()
    assert labels.opacity() == pytest.approx(0.4)
    controls.outline.setChecked(False)
    desk.dock.schema.down.click()
    assert not controls.outline.isChecked()
    desk.project.removeMapLayer(labels.id())
    assert not controls.outline.isEnabled()


def test_tiles_belong_to_the_label_layer_and_go_on_where_they_were_left(desk, labels, folder):
    bar, tiles = desk.labelling.sections.tile_bar, desk.labelling.sections.tiles
    bar.start.click()
    total = len(tiles.grid.tiles)
    bar.finish.click()
    desk.press(KEY.Key_D)
    assert (bar.progress.value(), bar.progress.maximum()) == (2, total)
    desk.new(folder / "other.gpkg", "Field")
    assert tiles.grid is None
    desk.dock.layer.setLayer(labels)
    assert (bar.progress.value(), bar.progress.maximum()) == (2, total)
    desk.project.removeMapLayer(labels.id())
    assert tiles.grid is None
    assert not bar.isEnabled()
    desk.project.clear()
    desk.labelling.files.open(str(folder / "labels.gpkg"))  # in a new project
    assert (bar.progress.value(), bar.progress.maximum()) == (2, total)
