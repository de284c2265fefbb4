# SPDX-License-Identifier: GPL-2.0-or-later
"""Trainings whose output lies on a disk with little room."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.training import loop, room, train, unfinished
from deep_learning_toolbox.backend.training.unfinished import UNFINISHED

from .test_train import list_files, run, texts

NETWORK = torch.nn.Linear(1000, 1000, bias=False)  # 4 MB


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 4)
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN", 0.0)
    monkeypatch.chdir(tmp_path)


def fill_disk(monkeypatch, times):
    """Makes that many attempts to write the package fail as on a full disk."""
    original, calls = train.write_package, []

    def write(path, *parts):
        calls.append(path)
        if len(calls) <= times:
            raise OSError(28, "No space left on device")
        original(path, *parts)

    monkeypatch.setattr(train, "write_package", write)


def test_a_disk_without_room_for_the_model_is_told_before_the_first_step(settings, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda _: 10**6)
    with pytest.raises(ToolboxError, match=r"has 1 MB free, but the model takes \d+ MB; free space, or choose another OUTPUT"):
        run(settings())
    assert not Path(settings().output).exists()


@pytest.mark.parametrize(("free", "warnings"), [(63 * 10**6, 1), (65 * 10**6, 0)])
def test_too_little_room_for_the_state_is_warned_of(tmp_path, monkeypatch, free, warnings):
    monkeypatch.setattr(room, "free_bytes", lambda _: free)
    assert len([event for event in room.check_room(tmp_path, NETWORK) if "64 MB are" in event["message"]]) == warnings


def test_a_model_that_does_not_fit_beside_the_checkpoints_is_written_without_them(settings, monkeypatch):
    fill_disk(monkeypatch, 1)
    events, outputs = run(settings(refit="never"))
    assert "nearly full, so the checkpoints were left out" in texts(events, "warning")
    assert not any("checkpoints" in name for name in list_files(outputs["OUTPUT"]))
    assert load_model(outputs["MODEL"])[0].training["epochs"] == 1


def test_a_training_whose_model_cannot_be_written_goes_on_from_its_end_once_there_is_room(settings, monkeypatch):
    options = {"refit": "never", "max_epochs": 2}
    fill_disk(monkeypatch, 2)
    with pytest.raises(ToolboxError, match="is full, so the model cannot be written; free some space, then run again with the same"):
        run(settings(**options))
    assert list_files(settings().output) == [UNFINISHED]
    events, outputs = run(settings(resume=True, **options))
    assert "Going on after epoch 2" in texts(events, "info")
    assert not [event for event in events if event["event"] == "metric"]
    assert outputs["EPOCHS"] == 2


def test_without_a_state_to_go_on_from_the_message_says_so(settings, monkeypatch):
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN", 1e9)
    fill_disk(monkeypatch, 2)
    with pytest.raises(ToolboxError, match=r"free some space, then train again\. There is no state to go on from"):
        run(settings(refit="never"))


def test_a_failure_for_another_reason_is_not_taken_for_a_full_disk(tmp_path):
    def fail():
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        list(room.write_in_room(fail, tmp_path / "checkpoints", tmp_path / UNFINISHED))
