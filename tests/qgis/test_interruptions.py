# SPDX-License-Identifier: GPL-2.0-or-later
"""A tool that is cancelled or whose worker dies ends at once, says so, and leaves nothing half done; so does one without worker."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from qgis.core import QgsProcessingException
from qgis_helpers import QUICK_TRAINING, Log, make_labels, make_scene, run, scene_array, tree, write_raster

LONGEST_CANCEL = 3.0  # seconds
INSTALL_TOOL = "Install deep learning libraries"


def worker_pids():
    """Ids of the running workers that this process started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if int(state[1]) == os.getpid() and state[0] != "Z" and b"launch.py" in command:
                found.append(int(entry.name))
    return found


class Interrupter(Log):
    """Does something once, when a text of the log contains a word."""

    def __init__(self, word, action):
        super().__init__()
        self._word, self._action = word, action
        self.acted_at = None

    def _look(self, text):
        if self.acted_at is None and self._word in text:
            self.acted_at = time.monotonic()
            self._action(self)

    def pushInfo(self, info):  # noqa: N802 - Qt's spelling
        super().pushInfo(info)
        self._look(info)

    def setProgressText(self, text):  # noqa: N802 - Qt's spelling
        super().setProgressText(text)
        self._look(text)


def kill_worker(_log):
    """What the kernel does when the memory runs out."""
    (pid,) = worker_pids()
    os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def long_jobs(chips, model, tmp_path_factory):
    """Parameters, by tool, of jobs that would take far longer than a test."""
    big = make_scene_of(tmp_path_factory.mktemp("big") / "big.tif", 512)
    return {
        "exporttrainingdata": {
            "INPUT": big, "LABELS": make_labels(), "EMPTY_TILES": True,
            "TILE_SIZE_X": 16, "TILE_SIZE_Y": 16, "STRIDE_X": 4, "STRIDE_Y": 4,
        },
        "trainmodel": {"INPUT": chips, **QUICK_TRAINING, "MAX_EPOCHS": 500, "EARLY_STOPPING": False},
        "classifypixels": {"INPUT": big, "MODEL": model, "TILE_SIZE": 32, "OVERLAP": 16, "BATCH_SIZE": 1, "DEVICE": "cpu"},
    }  # fmt: skip


def make_scene_of(path, size):
    return write_raster(path, scene_array(size=size))


def interrupt(tool, word, action, output, parameters):
    """Runs a tool until a word appears in its log; returns what it says, and the seconds from the action to its end."""
    log = Interrupter(word, action)
    with pytest.raises(QgsProcessingException) as raised:
        run(tool, log, OUTPUT=output, **parameters)
    assert log.acted_at is not None
    return "\n".join([*log.errors, str(raised.value)]), time.monotonic() - log.acted_at


# The word shows that the job is at its work: it appears with the first chips, step, or tiles.
AT_WORK = {"exporttrainingdata": " chips", "trainmodel": "Epoch 1 of", "classifypixels": " tiles"}
OUTPUTS = {"exporttrainingdata": "chips", "trainmodel": "model", "classifypixels": "classes.tif"}


@pytest.mark.parametrize("tool", OUTPUTS)
def test_cancelled_tool_ends_within_three_seconds_and_leaves_nothing(long_jobs, folder, tool):
    message, seconds = interrupt(tool, AT_WORK[tool], Log.cancel, folder / "out" / OUTPUTS[tool], long_jobs[tool])
    assert seconds < LONGEST_CANCEL
    assert "cancelled" in message
    assert tree(folder / "out") == []
    assert worker_pids() == []


@pytest.mark.parametrize("tool", OUTPUTS)
def test_tool_cancelled_while_its_libraries_load_ends_within_three_seconds(long_jobs, folder, tool):
    message, seconds = interrupt(tool, "Request, events and log", Log.cancel, folder / "out" / OUTPUTS[tool], long_jobs[tool])
    assert seconds < LONGEST_CANCEL
    assert "cancelled" in message
    assert tree(folder / "out") == []
    assert worker_pids() == []


@pytest.mark.parametrize("tool", OUTPUTS)
def test_killed_worker_is_told_with_its_log_and_leaves_no_output(long_jobs, folder, tool):
    message, seconds = interrupt(tool, AT_WORK[tool], kill_worker, folder / "out" / OUTPUTS[tool], long_jobs[tool])
    assert seconds < LONGEST_CANCEL
    assert "The worker process was killed (signal 9)" in message
    assert "worker.log" in message
    # A classification may leave the rows that are done, from which the same request goes on.
    assert [name for name in tree(folder / "out") if not name.startswith(".partial-")] == []


def test_rows_left_by_a_killed_classification_go_with_the_next_one(long_jobs, scene, model, folder):
    output = folder / "out" / "classes.tif"
    interrupt("classifypixels", AT_WORK["classifypixels"], kill_worker, output, long_jobs["classifypixels"])
    run("classifypixels", INPUT=scene, MODEL=model, OUTPUT=output, DEVICE="cpu")
    assert [name for name in tree(output.parent) if ".partial-" in name] == []


def test_cancelled_classification_keeps_the_previous_class_raster(long_jobs, scene, model, folder):
    output = folder / "classes.tif"
    run("classifypixels", INPUT=scene, MODEL=model, OUTPUT=output, DEVICE="cpu")
    before = {name: (folder / name).read_bytes() for name in tree(folder)}
    interrupt("classifypixels", AT_WORK["classifypixels"], Log.cancel, output, long_jobs["classifypixels"])
    assert {name: (folder / name).read_bytes() for name in tree(folder)} == before


def test_cancelled_export_keeps_the_previous_chips(long_jobs, scene, folder):
    output = folder / "chips"
    run("exporttrainingdata", INPUT=scene, LABELS=make_labels(), OUTPUT=output, TILE_SIZE_X=48, TILE_SIZE_Y=48)
    before = tree(output)
    interrupt("exporttrainingdata", AT_WORK["exporttrainingdata"], Log.cancel, output, long_jobs["exporttrainingdata"])
    assert tree(output) == before
    assert np.asarray([path.stat().st_size for path in output.rglob("*.tif")]).all()


@pytest.mark.parametrize("tool", OUTPUTS)
def test_interpreter_that_is_not_there_is_refused_with_the_tool_that_installs_one(long_jobs, folder, monkeypatch, tool):
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_PYTHON", str(folder / "no" / "python"))
    with pytest.raises(QgsProcessingException) as raised:
        run(tool, OUTPUT=folder / "out" / OUTPUTS[tool], **long_jobs[tool])
    assert INSTALL_TOOL in str(raised.value)
    assert "DEEP_LEARNING_TOOLBOX_PYTHON" in str(raised.value)
    assert tree(folder / "out") == []


def test_missing_environment_is_refused_with_the_tool_that_installs_it(folder, monkeypatch):
    scene = make_scene(folder / "scene.tif")
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_PYTHON")
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(folder / "home"))
    with pytest.raises(QgsProcessingException) as raised:
        run("exporttrainingdata", INPUT=scene, LABELS=make_labels(), OUTPUT=folder / "out")
    assert "The deep learning libraries are not installed" in str(raised.value)
    assert f"“{INSTALL_TOOL}” (deeplearning:installbackend; or Raster → Deep Learning Toolbox → Set up)" in str(raised.value)
    assert not (folder / "out").exists()
