# SPDX-License-Identifier: GPL-2.0-or-later
"""Classifications that are interrupted, and go on; and those that several processes share."""

import copy
import json
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import rasterio
import torch
from deep_learning_toolbox.backend import __version__
from deep_learning_toolbox.backend.imagery.raster import RasterReader, ReadFailedError
from deep_learning_toolbox.backend.inference import unfinished
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.models.package import write_package
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime import launch
from deep_learning_toolbox.backend.runtime.protocol import CANCEL_FILE, Request
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from rasterio.errors import RasterioIOError

from ..rasters import drive, write_raster
from .known import FirstBandNetwork, model, run, scene
from .test_classify import TileDependentNetwork


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(unfinished, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)


def request_of(tmp_path, values, name="classes.tif", **settings):
    source = write_raster(tmp_path / "image.tif", values, names=("a", "b"))
    output = tmp_path / "out" / name
    options = {"tile_size": 32, "overlap": 12, "confidence": str(output.with_name(f"percent-{name}")), **settings}
    return ClassifySettings(source, "m.dlpk", str(output), **options)


def interrupt(request, network, after):
    """Closes a run, as when QGIS ends, once so many tiles are done."""
    events = classify_with(request, model(), network, Ranks())
    for event in events:
        if event["event"] == "progress" and int(event["message"].split()[0]) >= after:
            break
    events.close()


def read(path):
    with rasterio.open(path) as raster:
        return raster.read()


def rough(rows=150, columns=90):
    """Values for a network whose answers depend on whole tiles, so that a wrong seam shows."""
    values = np.random.default_rng(3).normal(0.7, 1, (2, rows, columns)).astype(np.float32)
    return values + np.linspace(-1, 1, rows, dtype=np.float32)[:, None]


@pytest.fixture
def each_step_tells(monkeypatch):
    from deep_learning_toolbox.backend.inference import job

    monkeypatch.setattr(job, "PROGRESS_SECONDS", 0.0)


@pytest.mark.parametrize("memory_mb", [1024, 64])
def test_interrupted_run_goes_on_and_gives_the_same_pixels(tmp_path, each_step_tells, memory_mb):
    wide = {"tile_size": 1024, "overlap": 400, "memory_mb": 64} if memory_mb == 64 else {}
    values = rough(1500, 1700) if wide else rough()
    whole = request_of(tmp_path, values, "whole.tif", **wide)
    drive(classify_with(whole, model(), TileDependentNetwork(), Ranks()))
    request = request_of(tmp_path, values, **wide)
    interrupt(request, TileDependentNetwork(), after=5 if wide else 12)
    assert not (tmp_path / "out" / "classes.tif").exists()
    assert len(list((tmp_path / "out").glob(".partial-*"))) == 2
    events = drive(classify_with(request, model(), TileDependentNetwork(), Ranks()))
    assert any("Going on with an interrupted run" in event["message"] for event in events["info"])
    assert np.array_equal(read(request.output), read(whole.output))
    assert np.array_equal(read(request.confidence), read(whole.confidence))
    assert (tmp_path / "out" / "classes.tif.aux.xml").read_text() == (tmp_path / "out" / "whole.tif.aux.xml").read_text()
    assert not list((tmp_path / "out").glob(".partial-*"))


@pytest.mark.parametrize("change", ["setting", "image", "model"])
def test_anything_different_starts_anew_and_clears_what_was_left(tmp_path, each_step_tells, change):
    values = scene(150, 90)
    request = request_of(tmp_path, values)
    interrupt(request, FirstBandNetwork(3), after=12)
    description = model()
    if change == "setting":
        request = replace(request, overlap=10)
    elif change == "image":
        values = scene(150, 90, seed=5)
        request = request_of(tmp_path, values)
    else:
        description = model(values=(4, 5, 6))
    events = drive(classify_with(request, description, FirstBandNetwork(3), Ranks()))
    assert not any("Going on" in event["message"] for event in events["info"])
    assert np.array_equal(read(request.output)[0], values[0] + description.class_values[0])
    assert not list((tmp_path / "out").glob(".partial-*"))


def test_a_drive_that_goes_away_costs_only_what_was_not_kept_yet(tmp_path, each_step_tells, monkeypatch):
    request = request_of(tmp_path, scene(900, 90))
    read_bands = RasterReader._read_bands

    def fail_below(reader, window):
        if window.row_off > 450:  # about 512 rows are read at a time
            raise RasterioIOError("the network is down")
        return read_bands(reader, window)

    monkeypatch.setattr(RasterReader, "_read_bands", fail_below)
    with pytest.raises(ReadFailedError, match=r"in the rows 5\d\d to .*the network is down.*run again"):
        drive(classify_with(request, model(), FirstBandNetwork(3), Ranks()))
    monkeypatch.undo()
    events = drive(classify_with(request, model(), FirstBandNetwork(3), Ranks()))
    assert any("Going on with an interrupted run" in event["message"] for event in events["info"])
    assert np.array_equal(read(request.output)[0], scene(900, 90)[0] + 1)


@pytest.mark.parametrize("content", ["", '{"band": 0, "row"'])
def test_damaged_state_starts_anew(tmp_path, each_step_tells, content):
    request = request_of(tmp_path, scene(150, 90))
    interrupt(request, FirstBandNetwork(3), after=12)
    (state,) = (tmp_path / "out").glob(".partial-*/state.json")
    state.write_text(content)
    events = drive(classify_with(request, model(), FirstBandNetwork(3), Ranks()))
    assert not any("Going on" in event["message"] for event in events["info"])
    assert np.array_equal(read(request.output)[0], scene(150, 90)[0] + 1)
    assert not list((tmp_path / "out").glob(".partial-*"))


def test_one_other_weight_makes_another_work(tmp_path):
    request, network = request_of(tmp_path, scene(40, 40)), torch.nn.Conv2d(2, 3, 1)
    digest = unfinished.digest_work(unfinished.Work(request, model(), network, Ranks()))
    other = copy.deepcopy(network)
    assert unfinished.digest_work(unfinished.Work(request, model(), other, Ranks())) == digest
    with torch.no_grad():
        other.bias[2] += 1e-6
    assert unfinished.digest_work(unfinished.Work(request, model(), other, Ranks())) != digest


def test_run_that_its_user_cancels_leaves_nothing(tmp_path, each_step_tells):
    request = request_of(tmp_path, scene(150, 90))
    (tmp_path / CANCEL_FILE).touch()
    interrupt(request, FirstBandNetwork(3), after=12)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def packaged(tmp_path):
    """A request with a real, small model for processes of their own."""
    torch.manual_seed(0)
    description = model(values=(5, 6, 7), chip=64)
    write_package(tmp_path / "m.dlpk", description, build_network("unet", "resnet18", 2, 3).state_dict())
    return lambda name: replace(
        request_of(tmp_path, rough(300, 200), name, tile_size=64, overlap=20, batch_size=2),
        model=str(tmp_path / "m.dlpk"),
        device="cpu",
    )


def write_request(tmp_path, settings):
    path = tmp_path / "request.json"
    Request("classify", asdict(settings), "job", __version__).write(path)
    return path


RUN = [sys.executable, str(launch.__file__)]
# As RUN, but with a checkpoint after each row of tiles, and a violent death at some moment.
RUN_TO_DEATH = """
import os, runpy, signal, sys
from pathlib import Path
moment, *sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import launch
import rasterio.shutil
from deep_learning_toolbox.backend.inference import unfinished
unfinished.SECONDS_BETWEEN = 0.0
save, saved = unfinished.Unfinished.save, []

def save_and_die(self):
    save(self)
    saved.append(1)
    if moment == "rows" and len(saved) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

def copy_half(source, target, **options):
    Path(target).write_bytes(Path(source).read_bytes()[:100])
    os.kill(os.getpid(), signal.SIGKILL)

unfinished.Unfinished.save = save_and_die
if moment == "copy":
    rasterio.shutil.copy = copy_half
from deep_learning_toolbox.backend.runtime.worker import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a signal that cannot be caught")
@pytest.mark.parametrize("moment", ["rows", "copy"])
def test_killed_process_goes_on_and_gives_the_same_pixels(tmp_path, packaged, moment):
    request = packaged("classes.tif")
    path = write_request(tmp_path, request)
    killed = subprocess.run(
        [sys.executable, "-c", RUN_TO_DEATH, moment, str(launch.__file__), str(path)], stdout=subprocess.DEVNULL, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "out").glob(".partial-*/state.json"))) == 1
    assert not (tmp_path / "out" / "classes.tif").exists()
    done = subprocess.run([*RUN, str(path)], capture_output=True, text=True, check=True)
    assert "Going on with an interrupted run" in done.stdout
    whole = packaged("whole.tif")
    subprocess.run([*RUN, str(write_request(tmp_path, whole))], capture_output=True, check=True)
    assert np.array_equal(read(request.output), read(whole.output))
    assert np.array_equal(read(request.confidence), read(whole.confidence))
    assert not list((tmp_path / "out").glob(".partial-*"))


@pytest.mark.parametrize("how", ["torchrun", "devices"])
def test_two_processes_give_the_pixels_of_one(tmp_path, packaged, how):
    alone, both = packaged("alone.tif"), packaged("both.tif")
    subprocess.run([*RUN, str(write_request(tmp_path, alone))], capture_output=True, check=True)
    command = RUN
    if how == "torchrun":
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(launch.__file__)]
    else:
        both = replace(both, device="cpu,cpu")
    done = subprocess.run([*command, str(write_request(tmp_path, both))], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert any("2 processes share the raster; this is number 1" in event.get("message", "") for event in events)
    assert np.array_equal(read(both.output), read(alone.output))
    assert np.array_equal(read(both.confidence), read(alone.confidence))
    assert (tmp_path / "out" / "both.tif.aux.xml").read_text() == (tmp_path / "out" / "alone.tif.aux.xml").read_text()
    assert not list((tmp_path / "out").glob(".partial-*"))


def test_second_run_of_the_same_request_is_refused_while_the_first_is_under_way(tmp_path, each_step_tells):
    request = request_of(tmp_path, scene(150, 90))
    first = classify_with(request, model(), FirstBandNetwork(3), Ranks())
    while next(first)["event"] != "progress":
        pass
    events = classify_with(request, model(), FirstBandNetwork(3), Ranks())
    with pytest.raises(Exception, match="classifying the same raster into the same file"):
        drive(events)
    drive(first)
    assert np.array_equal(read(request.output)[0], scene(150, 90)[0] + 1)


def test_memory_that_does_not_hold_a_tile_makes_it_smaller(tmp_path):
    class Greedy(FirstBandNetwork):
        def forward(self, image):
            if image.shape[2] > 64:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory")
            return super().forward(image)

    classes, events = run(tmp_path, scene(200, 200), network=Greedy(3), tile_size=160, batch_size=2)
    assert np.array_equal(classes, scene(200, 200)[0] + 1)
    assert [event["message"].split(";")[0] for event in events["warning"]] == [
        "The memory of the device ran out",
        "The memory does not suffice for a tile of 160 pixels",
        "The memory of the device ran out",
        "The memory does not suffice for a tile of 96 pixels",
    ]
