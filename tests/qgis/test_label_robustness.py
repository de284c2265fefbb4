# SPDX-License-Identifier: GPL-2.0-or-later
"""What must not cost a label nor raise: layers that go, files that cannot be written, edits rolled back, files of others."""

import gc
import os
import sqlite3
import subprocess
import sys

import pytest
from label_desk import LabelDesk, box, write_shapefile
from qgis.core import QgsVectorLayer
from qgis_helpers import make_layer


@pytest.fixture
def desk(plugin, scene):
    desk = LabelDesk(scene)
    yield desk
    desk.close()


@pytest.fixture
def path(folder):
    return folder / "labels.gpkg"


@pytest.fixture
def labels(desk, path):
    """A label layer with a saved and an unsaved label."""
    layer = desk.new(path, "Water", "Forest")
    desk.labelling.choose(1)
    desk.draw(box(0, 0))
    desk.labelling.save()
    desk.draw(box(20, 0))
    return layer


@pytest.fixture(autouse=True)
def no_traceback(monkeypatch):
    """Qt swallows what a slot raises; a test must not."""
    raised = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, failure, trace: raised.append(failure))
    yield
    assert raised == []


def test_layer_removed_from_the_project_comes_back_with_its_unsaved_label(desk, labels, path):
    desk.project.removeMapLayer(labels.id())
    desk.process()
    assert desk.layer is None
    assert desk.dock.objects.proxy.rowCount() == 0
    desk.draw(box(40, 0))  # no traceback, but a hint
    assert "no label layer" in desk.dock.notice.text.text()
    assert desk.saved(path) == [(1, "Water")]
    desk.labelling.files.open(str(path))
    assert desk.rows() == [(1, "Water")] * 2


def test_closing_the_project_keeps_unsaved_labels_for_the_next_opening(desk, labels, path):
    desk.project.clear()
    desk.process()
    gc.collect()
    assert desk.layer is None
    desk.labelling.files.open(str(path))
    assert desk.rows() == [(1, "Water")] * 2


def test_plugin_reloaded_in_the_middle_goes_on_with_the_same_edits(desk, labels, path):
    from deep_learning_toolbox.ui.labelling.dock import LabelDock
    from deep_learning_toolbox.ui.labelling.labelling import Labelling

    desk.labelling.stop()
    desk.dock.deleteLater()
    desk.process()
    desk.dock = LabelDock(desk.window)
    desk.labelling = Labelling(desk.dock, desk.canvas, desk.messages, desk.project, desk, {})
    desk.labelling.suggest()
    assert desk.layer is labels
    assert desk.rows() == [(1, "Water")] * 2  # the edit buffer has them; the journal is not played on top
    desk.editor.add(box(40, 0), labels.crs())
    desk.labelling.save()
    assert desk.saved(path) == [(1, "Water")] * 3


def test_edits_rolled_back_can_be_brought_back(desk, labels, path):
    labels.rollBack()
    desk.process()
    assert desk.rows() == [(1, "Water")]
    (button,) = desk.dock.notice.buttons
    assert button.text() == "Bring them back"
    button.click()
    assert desk.rows() == [(1, "Water")] * 2
    desk.labelling.save()
    assert desk.saved(path) == [(1, "Water")] * 2
    assert list(path.parent.glob("*.discarded")) == []


def test_file_locked_by_another_program_keeps_the_labels_until_it_is_free(desk, labels, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    desk.labelling.save()
    assert "cannot be saved to “labels” now" in " ".join(desk.told())
    assert desk.rows() == [(1, "Water")] * 2
    assert labels.isEditable()
    desk.draw(box(40, 0))
    other.execute("ROLLBACK")
    other.close()
    desk.labelling.save()
    assert desk.saved(path) == [(1, "Water")] * 3


def test_labels_open_in_another_qgis_are_refused_there(desk, labels, path, scene):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from qgis.core import QgsApplication, QgsVectorLayer\n"
        "app = QgsApplication([], False); app.initQgis()\n"
        "from deep_learning_toolbox.ui.labelling.store import LabelStore\n"
        "store = LabelStore(QgsVectorLayer(sys.argv[2], 'labels', 'ogr'))\n"
        "try:\n    store.unsaved()\nexcept Exception as failure:\n    print(failure)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, os.path.dirname(__file__), str(path)], capture_output=True, text=True, check=False
    )
    assert "being labelled in another QGIS window" in done.stdout


def test_read_only_file_is_shown_and_not_edited(desk, labels, path):
    desk.labelling.save()
    desk.project.removeMapLayer(labels.id())
    layer = QgsVectorLayer(str(path), "labels", "ogr")
    layer.setReadOnly(True)  # permissions do not stop the administrator, as whom tests may run
    desk.project.addMapLayer(layer)
    desk.dock.layer.setLayer(layer)
    desk.labelling.choose(1)
    desk.draw(box(40, 0))
    assert "“labels” is read-only" in " ".join(desk.told())
    assert desk.rows() == [(1, "Water")] * 2


def test_shapefile_of_another_program_is_counted_and_left_as_it_is(desk, folder):
    shapefile = write_shapefile(folder / "samples.shp", [(box(0, 0), "Wasser", 5), (box(20, 0), "Wald", 7)])
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    desk.labelling.files.open(str(shapefile))
    assert [(entry.value, entry.name) for entry in desk.editor.schema.classes] == [(5, "Wasser"), (7, "Wald")]
    assert desk.dock.objects.proxy.rowCount() == 2
    desk.draw(box(40, 0))
    desk.add_class("Feld")
    desk.type_into(5, 0, "Fluss")
    desk.labelling.save()
    assert not desk.layer.isEditable()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [button.text() for button in desk.dock.notice.buttons] == ["Edit it as it is", "Copy to a label layer…"]
    desk.dock.notice.buttons[1].click()
    assert desk.asked == [("convertlabels", {"INPUT": desk.layer})]


def test_shapefile_is_edited_as_it_is_once_the_user_says_so(desk, folder):
    shapefile = write_shapefile(folder / "samples.shp", [(box(0, 0), "Wasser", 5)])
    desk.labelling.files.open(str(shapefile))
    desk.dock.notice.buttons[0].click()
    desk.draw(box(20, 0))
    desk.labelling.save()
    assert desk.saved(shapefile) == [(5, "Wasser")] * 2


def test_layer_with_values_that_cannot_be_is_shown_with_the_reason(desk):
    from qgis.PyQt.QtCore import QVariant

    layer = make_layer([(box(0, 0), 1.5)], [("Classvalue", QVariant.Type.Double)])
    desk.project.addMapLayer(layer)
    desk.dock.layer.setLayer(layer)
    assert "1.5 is not a whole number" in " ".join(desk.told())
    assert desk.dock.objects.proxy.rowCount() == 1


def test_new_layer_never_takes_the_file_of_a_layer_in_the_project(desk, labels, path):
    desk.labelling.files.make(str(path))
    assert "choose another name" in " ".join(desk.told())
    assert desk.saved(path) == [(1, "Water")]


def test_switching_to_another_layer_keeps_both_journals(desk, labels, path, folder):
    desk.new(folder / "more.gpkg", "Field")
    desk.draw(box(50, 50))
    labels.undoStack().undo()  # QGIS's own undo on the layer left behind
    labels.undoStack().redo()
    desk.process()
    desk.dock.layer.setLayer(labels)
    assert desk.rows() == [(1, "Water")] * 2
    assert {file.name for file in folder.glob("*.unsaved")} == {"labels.gpkg.labels.unsaved", "more.gpkg.more.unsaved"}


def test_class_field_with_texts_is_counted_and_gets_texts(desk):
    from qgis.PyQt.QtCore import QVariant

    layer = make_layer([(box(0, 0), "Wasser"), (box(20, 0), "Wald")], [("Classvalue", QVariant.Type.String)])
    desk.project.addMapLayer(layer)
    desk.dock.layer.setLayer(layer)
    assert [(row.text(0), row.text(1), row.text(3)) for row in desk.dock.schema._items()] == [("Wald", "1", "1"), ("Wasser", "2", "1")]
    desk.dock.notice.buttons[0].click()
    desk.labelling.choose(2)
    desk.draw(box(40, 0))
    assert sorted(feature["Classvalue"] for feature in layer.getFeatures()) == ["Wald", "Wasser", "Wasser"]
    layer.rollBack()


def test_undone_value_of_a_class_is_shown_again(desk, labels):
    desk.type_into(1, 1, "9")
    desk.dock.undo.click()
    desk.process()
    assert {row.text(1): row.text(3) for row in desk.dock.schema._items()} == {"9": "0", "2": "0", "1": "2"}


def test_labels_stay_readable_after_the_classes_were_written_into_a_file_that_is_not_edited(desk, folder):
    from deep_learning_toolbox.algorithms.label_layer import LabelLayerFile
    from deep_learning_toolbox.backend.labels.schema import ClassDefinition
    from qgis.core import QgsCoordinateTransformContext

    entry = ClassDefinition(1, "Water", (0, 0, 255))
    with LabelLayerFile(str(folder / "three.gpkg"), desk.image.crs(), QgsCoordinateTransformContext(), "test") as file:
        for column in (0, 20, 40):
            file.add(box(column, 0), entry)
        file.publish([entry])
    desk.labelling.files.open(str(folder / "three.gpkg"))
    desk.dock.schema.add.click()
    desk.labelling.classes.store()
    assert len(list(desk.layer.getFeatures())) == 3
    assert desk.editor.labels_of(1) != []
