# SPDX-License-Identifier: GPL-2.0-or-later
"""Two processes that train together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.runtime import companions, launch
from deep_learning_toolbox.backend.runtime.protocol import Request
from deep_learning_toolbox.backend.training import unfinished
from deep_learning_toolbox.backend.training.loop import average_gradients

from .test_train import FILES, list_files, run, texts
from .test_unfinished import interrupt

EPOCHS = 4


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_two_processes_score_like_one_within_noise(settings, tmp_path):
    _, alone = run(settings(max_epochs=EPOCHS, refit="always", output=str(tmp_path / "alone")))
    events, both = run(settings(max_epochs=EPOCHS, refit="always", device="cpu,cpu", output=str(tmp_path / "both")))
    assert "2 processes train together; this is number 1." in texts(events, "info")
    assert both["SCORE"] == pytest.approx(alone["SCORE"], abs=0.15)
    assert both["SCORE"] > 0.7
    assert sorted(Path(name).suffix for name in list_files(both["OUTPUT"])) == sorted(Path(name).suffix for name in FILES)
    assert "RANK" not in os.environ
    assert not list(tmp_path.glob(".companions*"))
    assert load_model(both["MODEL"])[0].training["batch_size"] == 2  # of four a step, each process takes two


@pytest.mark.parametrize(("before", "after", "batch"), [("cpu", "cpu,cpu", 2), ("cpu,cpu", "cpu", 4)])
def test_a_training_goes_on_with_another_number_of_processes_and_steps_of_the_same_size(settings, monkeypatch, before, after, batch):
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN", 0.0)
    options = {"max_epochs": EPOCHS, "refit": "never"}
    interrupt(settings(device=before, **options), monkeypatch, 2)
    events, outputs = run(settings(device=after, resume=True, **options))
    assert "Going on after epoch 2" in texts(events, "info")
    assert "25 chips of 32 x 32 pixels, 4 a step" in texts(events, "info")
    training = load_model(outputs["MODEL"])[0].training
    assert (training["batch_size"], training["processes"]) == (batch, 4 // batch)
    assert training["epochs"] == EPOCHS
    assert outputs["SCORE"] > 0.7
    together = "2 chips in each of 2 processes" if batch == 2 else "4 chips, peak"
    assert together in Path(outputs["OUTPUT_HTML"]).read_text(encoding="utf-8")


def test_torchrun_runs_the_same_request(settings, tmp_path):
    request = settings(max_epochs=EPOCHS, refit="never", output=str(tmp_path / "model"))
    path = tmp_path / "request.json"
    Request("train", asdict(request), "job", __version__).write(path)
    module = [str(launch.__file__), str(path)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *module]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (outputs,) = [event["outputs"] for event in events if event["event"] == "result" and event["outputs"]]
    assert outputs["EPOCHS"] == EPOCHS
    assert outputs["SCORE"] > 0.7


def test_a_cancelled_training_takes_its_companions_along(settings, tmp_path):
    from deep_learning_toolbox.backend.training.train import train

    request = settings(max_epochs=50, device="cpu,cpu")
    events = train(request, "job")
    while next(events)["event"] != "metric":
        pass
    events.close()
    assert not Path(request.output).exists()
    assert not list(tmp_path.glob(".companions*"))


def test_a_process_that_dies_ends_all_with_one_sentence(settings, tmp_path, monkeypatch):
    from deep_learning_toolbox.backend.training.train import train

    started, original = [], subprocess.Popen
    monkeypatch.setattr(companions.subprocess, "Popen", lambda *args, **more: started.append(original(*args, **more)) or started[-1])
    events = train(settings(max_epochs=50, device="cpu,cpu"), "job")
    with pytest.raises(ToolboxError, match="Another one of the 2 processes that work on this job has ended; the log tells why"):
        for event in events:
            if event["event"] == "metric":
                started[0].kill()
    assert started[0].poll() is not None
    assert not list(tmp_path.glob(".companions*"))


def test_devices_are_dealt_out_by_rank(monkeypatch):
    assert companions.split_devices("cuda:0, cuda:1") == ["cuda:0", "cuda:1"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert companions.own_device("cuda:0,cuda:3") == "cuda:3"
    assert companions.own_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "5")
    assert companions.own_device("auto") == "cuda:1"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert companions.own_device("auto") == "auto"


def test_processes_that_see_different_unfinished_trainings_are_told_to_share_the_folder():
    class Group:
        size = 2

        def gather(self, value):
            return [value, (True, 3)]

    def state(first, epoch):
        return {"first": first, "trainer": {"epoch": epoch}}

    unfinished.refuse_disagreement(state(None, 3), Group())
    for other in (None, state(None, 2), state({}, 3)):
        with pytest.raises(ToolboxError, match=r"Not all of the 2 processes see the same unfinished training.*machines share"):
            unfinished.refuse_disagreement(other, Group())


class Pair:
    """A group whose other rank has given gradients, or none."""

    size = 2

    def __init__(self, other):
        self.other = other

    def add_up(self, flat):
        return flat.add_(self.other)


def test_gradients_are_averaged_over_the_ranks_that_have_some():
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([1.0, 3.0])
    assert average_gradients([parameter], Pair(torch.tensor([3.0, 1.0, 1.0])))
    assert parameter.grad.tolist() == [2.0, 2.0]
    parameter.grad = None  # a batch without labels here
    assert average_gradients([parameter], Pair(torch.tensor([3.0, 1.0, 1.0])))
    assert parameter.grad.tolist() == [3.0, 1.0]
    parameter.grad = None
    assert not average_gradients([parameter], Pair(torch.zeros(3)))
