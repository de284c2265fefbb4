# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a training's folder while others write, break or remove it."""

import json
import os
import shutil

import pytest
from deep_learning_toolbox.backend.runtime.jobs import RUNNING_FILE
from deep_learning_toolbox.backend.runtime.lock import hold
from deep_learning_toolbox.ui import training_run
from deep_learning_toolbox.ui.training_run import State, TrainingRun, describe_run, peek_state

STARTED = {"event": "started", "schema": 1, "version": "0.1.0", "stage": "train", "time": 1000.0}


def metric(epoch, **values):
    return {"event": "metric", "epoch": epoch, "values": values, "time": 1000.0 + epoch}


def line(event):
    return (json.dumps(event) + "\n").encode()


@pytest.fixture
def job(folder):
    job = folder / "20261127-134210-train-1a2b3c4d"
    job.mkdir()
    request = {"settings": {"folder": "/d/chips", "output": "/d/model", "monitor": "miou", "max_epochs": 9}}
    (job / "request.json").write_text(json.dumps(request), encoding="utf-8")
    return job


def write(job, *events, end=b""):
    with (job / "events.jsonl").open("ab") as file:
        file.write(b"".join(map(line, events)) + end)


def test_events_become_the_state_of_the_training(job):
    write(
        job,
        STARTED,
        {"event": "device", "name": "CPU", "kind": "cpu", "reason": "no GPU"},
        {"event": "progress", "fraction": 0.5, "message": "Epoch 1", "time": 1010.0},
        metric(1, train_loss=0.9, miou=0.4),
        metric(2, train_loss=0.7, miou=0.6),
        metric(3, train_loss=0.6, miou=0.6),
        {"event": "samples", "epoch": 2, "files": ["samples/2/0.png"], "captions": ["a: 50%"], "legend": [["Water", "#0000ff"]]},
        {"event": "memory", "used_mb": 512, "total_mb": 2048, "place": "RAM"},
        {"event": "warning", "message": "odd"},
    )
    run = TrainingRun(job)
    with hold(job / RUNNING_FILE):
        assert run.look()
        assert not run.look()
    assert (run.state, run.device, run.fraction, run.message) == (State.RUNNING, "CPU (no GPU)", 0.5, "Epoch 1")
    assert run.best_epoch == 2  # the first of equals
    assert (run.started, run.latest) == (1000.0, 1010.0)
    assert run.samples[0].files == [job / "samples/2/0.png"]
    assert run.memory["used_mb"] == 512
    assert run.log == ["⚠ odd"]
    write(job, {"event": "result", "outputs": {"OUTPUT_HTML": "x.html"}})
    run.look()
    assert (run.state, run.fraction, run.outputs) == (State.DONE, 1.0, {"OUTPUT_HTML": "x.html"})


def test_the_smallest_loss_is_the_best(job):
    (job / "request.json").write_text('{"settings": {"monitor": "valid_loss"}}', encoding="utf-8")
    write(job, metric(1, valid_loss=0.9), metric(2, valid_loss=0.5), metric(3, valid_loss=0.7))
    run = TrainingRun(job)
    run.look()
    assert run.best_epoch == 2


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_in_the_middle_is_read_once_it_is_whole(job, cut):
    whole = line(metric(1, miou=0.25))
    write(job, STARTED, end=whole[:cut])
    run = TrainingRun(job)
    run.look()
    assert run.history == {}
    write(job, end=whole[cut:])
    run.look()
    assert run.history == {1: {"miou": 0.25}}


@pytest.mark.parametrize(
    "rubbish",
    [b"\xff\xfe\n", b"[1]\n", b"{}\n", b'{"event": "metric"}\n', b'{"event": "metric", "epoch": "x", "values": 3}\n',
     b'{"event": "progress", "fraction": null, "message": ""}\n', b'{"event": "unknown"}\n', b"[" * 100_000 + b"\n", b"\n\n"],
)  # fmt: skip
def test_rubbish_between_events_costs_only_itself(job, rubbish):
    write(job, STARTED, end=rubbish)
    write(job, metric(1, miou=0.5))
    run = TrainingRun(job)
    run.look()
    assert run.history == {1: {"miou": 0.5}}


def test_a_job_that_was_killed_is_shown_as_interrupted(job):
    write(job, STARTED, metric(1, miou=0.5), end=b'{"event": "progr')
    run = TrainingRun(job)
    with hold(job / RUNNING_FILE):
        run.look()
        assert (run.state, peek_state(job)) == (State.RUNNING, State.RUNNING)
    run.look()
    assert (run.state, peek_state(job)) == (State.LOST, State.LOST)


def test_a_job_that_has_only_just_been_made_is_starting(job):
    run = TrainingRun(job)
    run.look()
    assert run.state is State.STARTING
    os.utime(job, (0, 0))
    run.look()
    assert (run.state, peek_state(job)) == (State.LOST, State.LOST)


def test_a_folder_that_is_removed_is_no_error(job):
    write(job, STARTED, metric(1, miou=0.5))
    run = TrainingRun(job)
    run.look()
    shutil.rmtree(job)
    run.look()
    assert run.state is State.LOST
    assert describe_run(job) == "2026-11-27 13:42"


def test_another_file_in_its_place_is_read_from_its_start(job):
    write(job, STARTED, metric(1, miou=0.5), metric(2, miou=0.6))
    run = TrainingRun(job)
    run.look()
    (job / "events.jsonl").write_bytes(line(metric(1, miou=0.1)))
    run.look()
    run.look()
    assert run.history == {1: {"miou": 0.1}}


def test_a_long_transcript_is_read_in_pieces(job, monkeypatch):
    monkeypatch.setattr(training_run, "PIECE", 100)
    write(job, *(metric(epoch, miou=epoch / 100) for epoch in range(1, 40)), {"event": "cancelled"})
    run, looks = TrainingRun(job), 0
    while not looks or run.is_behind:
        run.look()
        looks += 1
    assert looks > 20
    assert len(run.history) == 39
    assert run.state is State.CANCELLED


def test_pictures_outside_the_jobs_folder_are_not_taken(job):
    write(job, {"event": "samples", "epoch": 1, "files": ["../x.png", "/etc/x.png", "samples/a.png"], "captions": []})
    run = TrainingRun(job)
    run.look()
    assert run.samples[0].files == [job / "samples/a.png"]


@pytest.mark.parametrize(
    ("last", "state"),
    [
        ({"event": "result", "outputs": {}}, State.DONE),
        ({"event": "error", "message": "x"}, State.FAILED),
        ({"event": "cancelled"}, State.CANCELLED),
    ],
)
def test_the_end_tells_how_a_past_training_went(job, last, state):
    write(job, STARTED, last)
    assert peek_state(job) is state


def test_a_training_is_told_from_others_by_time_chips_and_model(job):
    assert describe_run(job) == "2026-11-27 13:42  chips → model"
