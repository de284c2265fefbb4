# SPDX-License-Identifier: GPL-2.0-or-later
"""Unsaved labels in odd moments: a save of QGIS that failed, a full disk, another window that died, edits that were all undone."""

import json
import sqlite3

import pytest
from label_desk import LabelDesk, box, journal_lines
from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QLockFile


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
    """A label layer with a saved label."""
    layer = desk.new(path, "Water", "Forest")
    desk.labelling.choose(1)
    desk.draw(box(0, 0))
    desk.labelling.save()
    return layer


def reopen(desk, path):
    desk.project.removeMapLayer(desk.layer.id())
    desk.process()
    desk.labelling.files.open(str(path))
    desk.process()


def shapes(desk):
    return [feature.geometry() for feature in desk.layer.getFeatures()]


def test_labels_are_kept_after_qgis_own_button_could_not_save(desk, labels, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    desk.draw(box(20, 0))
    assert not labels.commitChanges(False)
    desk.process()
    before = len(journal_lines(path))
    desk.draw(box(40, 0))
    other.close()
    assert len(journal_lines(path)) == before + 1


def test_labels_that_a_full_disk_refused_are_kept_with_the_next_one(desk, labels, path, monkeypatch):
    def refuse(_file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("os.fsync", refuse)
        desk.draw(box(20, 0))
        path.with_name("labels.gpkg.labels.unsaved").unlink()
    assert "No space left on device" in " ".join(desk.told())
    desk.draw(box(40, 0))
    reopen(desk, path)
    assert len(shapes(desk)) == 3


def test_labels_of_a_window_that_died_meanwhile_come_back_before_the_first_shape(desk, labels, path):
    desk.project.removeMapLayer(labels.id())
    journal = path.with_name("labels.gpkg.labels.unsaved")
    lock = QLockFile(f"{journal}.lock")
    lock.setStaleLockTime(0)
    assert lock.tryLock(0)
    states = [[-2 - row, bytes(box(40, 12 * row).asWkb().toHex()).decode(), {"Classvalue": 1}] for row in range(3)]
    lines = [{"version": 1, "owner": "another window", "highest": 1}, *states]
    journal.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    desk.labelling.files.open(str(path))
    assert "being labelled in another QGIS window" in " ".join(desk.told())
    desk.draw(box(60, 0))
    assert len(shapes(desk)) == 1
    lock.unlock()  # its process has ended
    desk.draw(box(60, 0))
    assert "not saved when QGIS ended are back: 3" in desk.dock.notice.text.text()
    assert len(shapes(desk)) == 1 + 3 + 1
    desk.labelling.save()
    assert len(desk.saved(path)) == 5


def test_edits_that_were_all_undone_are_not_replayed_over_what_others_did_later(desk, labels, path):
    (fid,) = labels.allFeatureIds()
    desk.editor.replace(fid, box(50, 50), labels.crs())
    assert journal_lines(path)
    labels.undoStack().undo()
    desk.process()
    assert list(path.parent.glob("*.unsaved")) == []
    desk.project.removeMapLayer(labels.id())
    layer = QgsVectorLayer(str(path), "elsewhere", "ogr")
    layer.startEditing()
    layer.changeGeometry(fid, box(70, 70))
    assert layer.commitChanges()
    desk.labelling.files.open(str(path))
    assert shapes(desk)[0].isGeosEqual(box(70, 70))


def test_taking_out_recovered_labels_never_takes_what_was_drawn_since(desk, labels, path):
    desk.draw(box(20, 0))
    reopen(desk, path)
    desk.draw(box(60, 60))
    desk.dock.notice.buttons[1].click()
    assert any(shape.isGeosEqual(box(60, 60)) for shape in shapes(desk))
    assert "Other edits followed" in " ".join(desk.told())
    labels = desk.layer
    labels.undoStack().undo()
    labels.undoStack().undo()
    assert len(shapes(desk)) == 1


def test_box_shows_no_other_layer_after_the_labelled_one_was_removed(desk, labels, folder):
    desk.new(folder / "other.gpkg", "Field")
    desk.new(folder / "third.gpkg", "Field")
    desk.dock.layer.setLayer(labels)
    desk.project.removeMapLayer(labels.id())
    desk.process()
    assert desk.layer is None
    assert desk.dock.layer.currentLayer() is None


def test_digits_that_are_no_number_are_refused_as_a_class_value(desk, labels):
    desk.type_into(1, 1, "²")
    assert "“²” is no whole number" in " ".join(desk.told())
