# SPDX-License-Identifier: GPL-2.0-or-later
"""Trainings that are interrupted, and go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.runtime import launch
from deep_learning_toolbox.backend.runtime.protocol import Request
from deep_learning_toolbox.backend.training import fit_batch, loop, unfinished
from deep_learning_toolbox.backend.training.train import train
from deep_learning_toolbox.backend.training.unfinished import UNFINISHED

from .test_train import FILES, list_files, run, texts


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 6)
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN", 0.0)
    monkeypatch.chdir(tmp_path)


def interrupt(request, monkeypatch, epoch, phase=""):
    """Runs a training until it fails, as in a crash, after an epoch of either training."""
    original = loop.Trainer._train_epoch

    def fail(self, number):
        if number == epoch + 1 and self.plan.validates != bool(phase):
            raise OSError(5, "the lights went out")
        return original(self, number)

    monkeypatch.setattr(loop.Trainer, "_train_epoch", fail)
    with pytest.raises(OSError, match="lights"):
        list(train(request, "crashed"))
    monkeypatch.setattr(loop.Trainer, "_train_epoch", original)


def same(first, second):
    a, b = (load_model(outputs["MODEL"])[1].state_dict() for outputs in (first, second))
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("phase", ["", "second"])
def test_a_resumed_training_ends_as_if_it_had_never_been_interrupted(settings, tmp_path, monkeypatch, phase):
    options = {"max_epochs": 4, "refit": "always", "mixup": True}
    monkeypatch.setattr("deep_learning_toolbox.backend.training.refit.is_better", lambda *_: False)
    _, whole = run(settings(output=str(tmp_path / "whole"), **options))
    request = settings(output=str(tmp_path / "broken"), **options)
    interrupt(request, monkeypatch, 2, phase)
    assert list_files(request.output) == [UNFINISHED]
    events, outputs = run(settings(output=str(tmp_path / "broken"), resume=True, **options))
    assert "Going on after epoch 2 of the unfinished training." in texts(events, "info")
    assert same(outputs, whole)
    assert (outputs["SCORE"], outputs["EPOCHS"]) == (whole["SCORE"], whole["EPOCHS"])
    names = [name.replace("Modell ü", "broken") for name in FILES]
    assert list_files(outputs["OUTPUT"]) == sorted(names)


def test_what_a_crash_leaves_half_written_is_no_hindrance_and_is_tidied_up(settings, monkeypatch):
    request = settings(max_epochs=3)
    interrupt(request, monkeypatch, 1)
    folder = Path(request.output)
    (folder / unfinished.BEING_WRITTEN).write_bytes(b"half a state")
    (folder / ".partial-crashed" / "checkpoints").mkdir(parents=True)
    (folder / ".partial-other").mkdir()
    events, outputs = run(settings(max_epochs=3, resume=True))
    assert "Going on after epoch 1" in texts(events, "info")
    assert list_files(outputs["OUTPUT"]) == FILES
    assert [path.name for path in folder.glob(".partial-*")] == [".partial-other"]  # of a job that may be at work


def test_a_training_goes_on_on_a_device_with_another_usual_batch(settings, monkeypatch):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 1)
    options = {"max_epochs": 4, "batch_size": 0, "refit": "never"}
    monkeypatch.setitem(fit_batch.USUAL_BATCH, "cpu", 16)
    interrupt(settings(**options), monkeypatch, 2)
    monkeypatch.setitem(fit_batch.USUAL_BATCH, "cpu", 2)  # as if a card with memory had gone
    events, outputs = run(settings(resume=True, **options))
    assert outputs["EPOCHS"] == 4
    assert "Epoch 4 of 4, step 2 of 2" in texts(events, "progress")  # of 25 chips; the rest of what the schedule was made for


def test_without_resume_the_training_starts_anew_and_says_what_was_there(settings, monkeypatch):
    interrupt(settings(max_epochs=3), monkeypatch, 1)
    events, outputs = run(settings(max_epochs=3))
    assert "OUTPUT holds an unfinished training, which is replaced" in texts(events, "info")
    assert outputs["EPOCHS"] == 3
    assert list_files(outputs["OUTPUT"]) == FILES


def test_resume_without_anything_to_resume_starts_with_the_first_epoch(settings):
    events, outputs = run(settings(resume=True))
    assert "There is no unfinished training in OUTPUT" in texts(events, "info")
    assert outputs["EPOCHS"] == 1


def test_other_settings_or_a_damaged_state_are_refused_and_left(settings, monkeypatch):
    interrupt(settings(max_epochs=3), monkeypatch, 1)
    request = settings(max_epochs=5, loss="ce", resume=True)
    with pytest.raises(ToolboxError, match="MAX_EPOCHS 3, now 5; LOSS ce_dice, now ce"):
        list(train(request, "job"))
    path = Path(request.output) / UNFINISHED
    assert path.is_file()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ToolboxError, match="cannot be read; delete it or switch RESUME off"):
        list(train(settings(max_epochs=3, resume=True), "job"))
    assert path.is_file()


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_training_that_its_user_cancels_leaves_no_state_and_one_that_goes_down_with_qgis_does(settings, tmp_path, cancelled):
    request = settings(max_epochs=3)
    events = train(request, "job")
    while next(events)["event"] != "memory":
        pass
    next(events)  # the state is written when the epoch's events are through
    if cancelled:
        (tmp_path / "cancel").touch()
    events.close()
    assert not cancelled or not Path(request.output).exists()
    assert cancelled or list_files(request.output) == [UNFINISHED]


def test_a_full_disk_while_saving_the_state_is_told_and_the_last_good_one_survives(settings, monkeypatch):
    original, calls = torch.save, []

    def fill_up(value, file):
        calls.append(file)
        if len(calls) > 1:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        original(value, file)

    monkeypatch.setattr(torch, "save", fill_up)
    request, kept = settings(max_epochs=3, refit="never"), []
    events = []
    for event in train(request, "job"):
        events.append(event)
        if event["event"] == "warning" and "cannot be saved" in event["message"]:
            kept.append(torch.load(Path(request.output) / UNFINISHED, weights_only=True)["state"]["trainer"]["epoch"])
    assert kept == [1, 1]
    assert "(the disk is full); training goes on" in texts(events, "warning")
    assert events[-1]["outputs"]["EPOCHS"] == 3


def test_a_full_disk_while_saving_the_weights_is_told_and_those_before_stay(settings, monkeypatch):
    original, calls = Path.write_bytes, []

    def fill_up(self, data):
        if self.suffix == ".partial" and self.stem == "last":
            calls.append(self)
            if len(calls) == 2:
                original(self, data[:100])
                raise OSError(28, "No space left on device")
        return original(self, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    request, sizes = settings(max_epochs=2, refit="never"), []
    events = []
    for event in train(request, "job"):
        events.append(event)
        if event["event"] == "warning" and "cannot be saved" in event["message"]:
            sizes = [path.name for path in Path(request.output).glob(".partial-job/checkpoints/*")]
    assert sorted(sizes) == ["best.safetensors", "last.safetensors"]
    assert "The weights of epoch 2 cannot be saved (No space left on device)" in texts(events, "warning")
    assert events[-1]["outputs"]["EPOCHS"] == 2


def test_a_process_that_is_killed_loses_at_most_the_epoch_it_was_in(settings, tmp_path):
    """The real thing: SIGKILL in the middle of a run, then the same request with RESUME."""
    request = settings(max_epochs=400, early_stopping=False, refit="never", output=str(tmp_path / "killed"))
    path = tmp_path / "request.json"
    Request("train", asdict(request), "killed", __version__).write(path)
    script = tmp_path / "run.py"
    script.write_text(
        f"import runpy, sys\nsys.path.insert(0, {str(Path(launch.__file__).parents[3])!r})\n"
        "from deep_learning_toolbox.backend.training import unfinished\nunfinished.SECONDS_BETWEEN = 0.0\n"
        "from deep_learning_toolbox.backend.runtime.worker import main\nsys.exit(main(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE, text=True)
    seen = 0
    for line in process.stdout:
        seen += '"metric"' in line
        if seen == 3:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    state = tmp_path / "killed" / UNFINISHED
    assert state.is_file()
    reached = torch.load(state, weights_only=True)["state"]["trainer"]["epoch"]
    assert reached >= 2
    (tmp_path / "stop").touch()
    started = time.monotonic()
    events, outputs = run(settings(**{**asdict(request), "resume": True}))
    assert f"Going on after epoch {reached}" in texts(events, "info")
    assert outputs["EPOCHS"] == reached, time.monotonic() - started
    assert not list((tmp_path / "killed").glob(".partial-killed/*.safetensors"))
