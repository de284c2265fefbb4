# SPDX-License-Identifier: GPL-2.0-or-later
"""Stopping a classification while one of its processes waits for the other."""

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.models.package import write_package
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime import launch
from deep_learning_toolbox.backend.runtime.protocol import CANCEL_FILE, Request

from ..rasters import write_raster
from .known import model, scene

# As the launcher, but the network of the second process is at one step for an hour, when it has begun to.
BUSY = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
import launch
from deep_learning_toolbox.backend.inference.job import Job
from deep_learning_toolbox.backend.runtime import companions
from deep_learning_toolbox.backend.runtime.worker import main
companions.LAUNCHER = Path(__file__)
Path(f"pid-{{os.environ.get('RANK', '0')}}").write_text(str(os.getpid()))
add = Job._add_tiles
def busy(self, strip, *others):
    if os.environ.get("RANK") == "1" and strip.row > self.rows.start:
        Path("busy").touch()
        time.sleep(3600)
    add(self, strip, *others)
Job._add_tiles = busy
sys.exit(main(sys.argv[1:]))
"""
LONGEST = 120  # only ends what hangs


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Starts a classification by two processes, and returns it when one is busy and the other waits for it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.manual_seed(0)
    write_package(tmp_path / "m.dlpk", model(chip=64), build_network("unet", "resnet18", 2, 3).state_dict())
    source = write_raster(tmp_path / "image.tif", scene(300, 64), names=("a", "b"))
    asked = ClassifySettings(source, str(tmp_path / "m.dlpk"), str(tmp_path / "out" / "classes.tif"), tile_size=64, overlap=20)
    Request("classify", asdict(replace(asked, device="cpu,cpu")), "job", __version__).write(tmp_path / "request.json")
    running = []

    def begin():
        script = tmp_path / "busy.py"
        script.write_text(BUSY.format(folder=str(Path(launch.__file__).parent)))
        command = [sys.executable, "-I", str(script), str(tmp_path / "request.json"), "--watch-stdin"]
        job = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        running.append(job)
        for line in job.stdout:
            if "Waiting for the other processes" in line:
                break
        deadline = time.monotonic() + LONGEST
        while not (tmp_path / "busy").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (tmp_path / "busy").exists()
        return job

    yield begin
    for job in running:
        job.kill()
        job.wait()
        for stream in (job.stdin, job.stdout):
            stream.close()


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the processes are looked for in /proc")
def test_a_process_that_waits_for_another_can_be_stopped(tmp_path, begun):
    job = begun()
    companion = int((tmp_path / "pid-1").read_text())
    assert is_running(companion)
    (tmp_path / CANCEL_FILE).touch()
    rest = job.stdout.read()
    assert job.wait(LONGEST) == 0
    events = [json.loads(line)["event"] for line in rest.splitlines() if line.startswith("{")]
    assert events[-1] == "cancelled"
    assert not is_running(companion)
    assert not list(tmp_path.glob(".companions*"))
    assert not list((tmp_path / "out").glob("*.tif"))  # rows of the one that was busy may be left for the next run
