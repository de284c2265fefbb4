# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels outlive the death of QGIS: a real process is killed in the middle of labelling, and its labels come back."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from label_desk import LabelDesk, box
from qgis.core import QgsVectorLayer

SCRIPT = Path(__file__).with_name("label_crash.py")


@pytest.fixture
def killed(scene, folder):
    """A store whose labeller was killed with `kill -9`."""
    path = folder / "labels.gpkg"
    environment = {**os.environ, "QGIS_CUSTOM_CONFIG_PATH": tempfile.mkdtemp()}
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(scene), str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    lines = iter(process.stdout.readline, "")
    assert any(line == "READY\n" for line in lines)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return path


@pytest.fixture
def desk(plugin, scene):
    desk = LabelDesk(scene)
    yield desk
    desk.close()


def state(layer):
    """Class, and area in pixels of the scene, of each label."""
    return sorted((feature["Classvalue"], round(feature.geometry().area() / 100)) for feature in layer.getFeatures())


def test_killed_labeller_finds_every_finished_edit_again(desk, killed):
    on_disk = QgsVectorLayer(str(killed), "before", "ogr")
    assert state(on_disk) == [(1, 100), (1, 100), (1, 100)]
    del on_disk
    desk.labelling.files.open(str(killed))
    expected = [(1, 25), (2, 100), (2, 100), (2, 100)]
    assert state(desk.layer) == expected
    assert "not saved when QGIS ended are back: 5" in desk.dock.notice.text.text()
    assert [entry.name for entry in desk.editor.schema.classes] == ["Water", "Forest"]
    desk.dock.save.click()
    desk.process()
    assert state(QgsVectorLayer(str(killed), "after", "ogr")) == expected
    assert sorted(path.name for path in killed.parent.glob("*.unsaved*")) == ["labels.gpkg.labels.unsaved.lock"]


def test_recovery_is_one_step_to_undo_and_survives_a_second_crash(desk, killed):
    desk.labelling.files.open(str(killed))
    recovered = state(desk.layer)
    desk.labelling.stop()  # as if killed now: nothing saved, nothing rolled back
    journal = (killed.parent / "labels.gpkg.labels.unsaved").read_bytes()
    desk.project.mapLayersByName("labels")[0].rollBack()
    (killed.parent / "labels.gpkg.labels.unsaved").write_bytes(journal)
    desk.close()
    again = LabelDesk(desk.scene)
    again.labelling.files.open(str(killed))
    assert state(again.layer) == recovered
    again.dock.undo.click()
    again.process()
    assert state(again.layer) == [(1, 100), (1, 100), (1, 100)]
    again.close()


def test_line_cut_short_by_the_crash_costs_only_its_own_label(desk, killed):
    journal = killed.parent / "labels.gpkg.labels.unsaved"
    text = journal.read_text(encoding="utf-8").rstrip()
    journal.write_text(text + '\n[-99, "0106000000010', encoding="utf-8")
    desk.labelling.files.open(str(killed))
    assert len(state(desk.layer)) == 4
    desk.draw(box(50, 50))
    assert len(state(desk.layer)) == 5


def test_crash_between_commit_and_the_end_of_the_journal_doubles_no_label(desk, killed):
    journal = killed.parent / "labels.gpkg.labels.unsaved"
    lines = journal.read_bytes()
    desk.labelling.files.open(str(killed))
    desk.dock.save.click()
    saved = state(desk.layer)
    desk.project.removeAllMapLayers()
    journal.write_bytes(lines)  # it was not removed any more
    desk.labelling.files.open(str(killed))
    assert state(desk.layer) == saved
