# SPDX-License-Identifier: GPL-2.0-or-later
"""The training monitor beside real trainings: what it shows, how it ends them, and that nothing harms it."""

import json
import shutil
from pathlib import Path

import pytest
from deep_learning_toolbox.algorithms.notices import NOTICES
from deep_learning_toolbox.backend.runtime.jobs import RUNNING_FILE
from deep_learning_toolbox.backend.runtime.lock import hold
from deep_learning_toolbox.ui.curve_plot import CurvePlot, find_ticks
from deep_learning_toolbox.ui.tool_task import ToolTask
from deep_learning_toolbox.ui.training_dock import TrainingDock
from deep_learning_toolbox.ui.training_monitor import OPENS, TrainingMonitor
from deep_learning_toolbox.ui.training_run import State
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent, QPixmap
from qgis.PyQt.QtWidgets import QMessageBox
from qgis_helpers import QUICK_TRAINING, run, wait_until


@pytest.fixture
def monitor(plugin):
    monitor = TrainingMonitor(TrainingDock())
    monitor.dock.show()
    yield monitor
    monitor.stop()
    monitor.dock.close()


@pytest.fixture
def training(chips, folder):
    """Starts a training that would take long, in the background; gives the task and its job's folder; cancels it at the end."""
    tasks = []

    def start(name="model", **changes):
        folders, ends = [], []

        def note(stage, job):
            folders.append((stage, Path(job)))

        NOTICES.job_started.connect(note)
        parameters = {"INPUT": str(chips), "OUTPUT": str(folder / name), **QUICK_TRAINING, "MAX_EPOCHS": 500, "EARLY_STOPPING": False}
        task = ToolTask("deeplearning:trainmodel", {**parameters, **changes})
        task.finished.connect(lambda outputs, error: ends.append((outputs, error)))
        assert task.start() == ""
        wait_until(lambda: folders)
        NOTICES.job_started.disconnect(note)
        tasks.append((task, ends))
        assert folders[0][0] == "train"
        return ends, folders[0][1]

    yield start
    for task, ends in tasks:
        task.cancel()
        wait_until(lambda ends=ends: ends)


def test_it_follows_a_training_and_stops_it_with_the_best_epoch_kept(monitor, training, folder):
    ends, job = training()
    monitor.open(job)
    wait_until(lambda: monitor.run.history and monitor.run.samples)
    dock = monitor.dock
    assert monitor.run.state is State.RUNNING
    assert dock.runs.currentText().endswith("chips → model  (running)")
    assert "best so far: epoch" in dock.headline.text()
    assert "Device: CPU" in dock.details.text()
    assert "Memory: " in dock.details.text()
    assert "500" in dock.details.text()
    assert "training" in dock.losses.describe()
    assert "mean IoU" in dock.figures.describe()
    assert dock.pictures.count() == 4
    assert dock.pictures.itemAt(0).widget().pixmap.width() > 300
    assert "Water" in dock.legend.text()
    assert (dock.stop.isEnabled(), dock.report.isVisible()) == (True, False)
    dock.stop.click()
    assert not dock.stop.isEnabled()
    assert "Stopping" in dock.headline.text()
    wait_until(lambda: ends)
    assert Path(ends[0][0]["MODEL"]).is_file()
    wait_until(lambda: monitor.run.state is State.DONE)
    assert "Finished: epoch" in dock.headline.text()
    assert dock.report.isVisible()
    assert "finished" in dock.runs.currentText()


def test_cancelling_asks_first_and_leaves_no_model(monitor, training, folder, monkeypatch):
    ends, job = training()
    monitor.open(job)
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *arguments: answers.pop(0))
    monitor.dock.cancel.click()
    assert not (job / "cancel").exists()
    wait_until(lambda: monitor.run.state is State.RUNNING)
    monitor.dock.cancel.click()
    wait_until(lambda: ends)
    assert ends[0][0] is None
    wait_until(lambda: monitor.run.state is State.CANCELLED)
    assert "no model was written" in monitor.dock.headline.text()
    assert not (folder / "model").exists()


def test_two_trainings_at_once_are_told_apart(monitor, training):
    _, first = training("one")
    _, second = training("two")
    monitor.open(first)
    wait_until(lambda: monitor.run.history)

    def names():
        monitor.open()
        return [monitor.dock.runs.itemText(place) for place in range(monitor.dock.runs.count())]

    def is_running(model):
        return any(f"→ {model}" in name and "(running)" in name for name in names())

    wait_until(lambda: is_running("one") and is_running("two"))  # one that has only just been made does not run yet
    place = next(place for place, name in enumerate(names()) if "→ two" in name)
    monitor.dock.runs.activated.emit(place)
    assert monitor.run.folder == second
    wait_until(lambda: monitor.run.history)
    assert monitor.run.settings["output"].endswith("two")


def add_samples(job, epoch):
    """Appends the event of an epoch's picture, with the picture."""
    (job / "samples" / str(epoch)).mkdir(parents=True)
    picture = QPixmap(300, 100)
    picture.fill(Qt.GlobalColor.red)
    assert picture.save(str(job / "samples" / str(epoch) / "0.png"))
    event = {"event": "samples", "epoch": epoch, "files": [f"samples/{epoch}/0.png"], "captions": ["a: 50%"], "legend": []}
    with (job / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")


def test_the_newest_pictures_are_shown_until_earlier_ones_are_asked_for(monitor, private_home):
    job = private_home / "jobs" / "29990101-000003-train-x"
    job.mkdir(parents=True)
    for epoch in (1, 3):
        add_samples(job, epoch)
    monitor.open(job)
    dock = monitor.dock
    assert "Epoch 3" in dock.sample_title.text()
    add_samples(job, 7)
    monitor.look()
    assert "Epoch 7" in dock.sample_title.text()
    dock.slider.setValue(0)
    assert "Epoch 1" in dock.sample_title.text()
    add_samples(job, 8)
    monitor.look()
    assert "Epoch 1" in dock.sample_title.text()  # who looks back is not disturbed
    shutil.rmtree(job / "samples" / "1")
    monitor.look()
    assert "Epoch 3" in dock.sample_title.text()
    shutil.rmtree(job)


def test_a_removed_folder_leaves_an_empty_monitor(monitor, folder, private_home):
    job = private_home / "jobs" / "29990101-000000-train-x"
    job.mkdir(parents=True)
    (job / "events.jsonl").write_text('{"event": "metric", "epoch": 1, "values": {"miou": 0.5}}\n', encoding="utf-8")
    monitor.open(job)
    assert monitor.run.state is State.LOST
    assert "Interrupted" in monitor.dock.headline.text()
    shutil.rmtree(job)
    monitor.look()
    assert monitor.run is None
    assert "No training yet" in monitor.dock.headline.text()
    monitor.look()


def test_texts_of_a_job_are_not_taken_as_html(monitor, private_home):
    job = private_home / "jobs" / "29990101-000001-train-x"
    job.mkdir(parents=True)
    (job / "events.jsonl").write_text(json.dumps({"event": "error", "message": "<b>bad</b>"}) + "\n", encoding="utf-8")
    monitor.open(job)
    assert "&lt;b&gt;bad" in monitor.dock.headline.text()
    shutil.rmtree(job)


def test_a_hidden_monitor_does_not_look(monitor, private_home):
    job = private_home / "jobs" / "29990101-000002-train-x"
    job.mkdir(parents=True)
    with hold(job / RUNNING_FILE):
        monitor.open(job)
        assert monitor._timer.isActive()
        monitor.dock.hide()
        assert not monitor._timer.isActive()
        monitor.dock.show()
        assert monitor._timer.isActive()
    shutil.rmtree(job)


def test_whether_it_opens_by_itself_is_remembered(monitor):
    assert monitor.dock.opens.isChecked()
    monitor.dock.opens.click()
    assert QgsSettings().value(OPENS, True, type=bool) is False
    QgsSettings().remove(OPENS)


def test_a_quick_training_is_announced_in_any_way_of_running(plugin, chips, folder):
    told = []

    def note(*arguments):
        told.append(arguments)

    NOTICES.job_started.connect(note)
    run("trainmodel", INPUT=chips, OUTPUT=folder / "model", **QUICK_TRAINING)
    QCoreApplication.processEvents()
    NOTICES.job_started.disconnect(note)
    assert [stage for stage, _ in told] == ["train"]
    assert (Path(told[0][1]) / "events.jsonl").is_file()


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.13, 0.92, [0.2, 0.4, 0.6, 0.8]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (-0.1, 0.1, [-0.1, -0.05, 0, 0.05, 0.1]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks):
    assert find_ticks(low, high) == ticks


def test_the_chart_paints_its_curves_and_tells_the_epoch_pointed_at(plugin):
    plot = CurvePlot("x")
    plot.resize(400, 200)
    blank = plot.grab().toImage()
    plot.show_curves({"a": [(1, 0.5), (2, 0.25), (3, 0.125)], "b": [(2, 1.0)]}, 2)
    painted = plot.grab().toImage()
    colours = {painted.pixelColor(x, y).name() for x in range(400) for y in range(200)}
    assert painted != blank
    assert {"#0072b2", "#d55e00"} <= colours
    assert plot.describe() == "3: a 0.125"
    middle = plot._place(plot._area(), 2, 0.3)
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(QMouseEvent.Type.MouseMove, QPointF(middle), none, none, Qt.KeyboardModifier.NoModifier)
    plot.mouseMoveEvent(event)
    assert plot.describe() == "2: a 0.250, b 1.000"
    plot.show_curves({}, None)
    plot.mouseMoveEvent(event)
    assert plot.describe() == ""
