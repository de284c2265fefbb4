# SPDX-License-Identifier: GPL-2.0-or-later
"""What a classification will take, told beforehand, beside what it then says of itself."""

import os
import time
from dataclasses import replace

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference import classify as stage
from deep_learning_toolbox.backend.inference import estimate as trial
from deep_learning_toolbox.backend.inference.classify import classify
from deep_learning_toolbox.backend.inference.estimate import MOST_STEPS, estimate
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.runtime.protocol import progress

from ..rasters import drive, write_raster
from .known import FirstBandNetwork, model, scene

SLOW = 0.05  # seconds a tile


class SlowNetwork(FirstBandNetwork):
    """As its parent, and takes its time for each tile; has no room for more tiles at once than it is told."""

    def __init__(self, room=1000):
        super().__init__(3)
        self.room = room

    def forward(self, image):
        if len(image) > self.room:
            raise torch.OutOfMemoryError("no room")
        time.sleep(SLOW * len(image))
        return super().forward(image)


@pytest.fixture
def network(monkeypatch):
    network = SlowNetwork()
    for module in (stage, trial):
        monkeypatch.setattr(module, "load_model", lambda path: (model(), network))
    return network


def request(tmp_path, values=None, **settings):
    source = write_raster(tmp_path / "image.tif", scene(96, 128) if values is None else values, names=("a", "b"))
    options = {"device": "cpu", "tile_size": 32, "overlap": 0, "batch_size": 2, "precision": "fp32", **settings}
    return ClassifySettings(source, "m.dlpk", str(tmp_path / "out" / "classes.tif"), **options)


def outputs_of(settings):
    (result,) = drive(estimate(settings, "job"))["result"]
    return result["outputs"]


def test_tiles_cost_time_memory_and_disk_are_told_and_nothing_is_written(tmp_path, network):
    outputs = outputs_of(request(tmp_path))
    assert (outputs["TILES"], outputs["OVERLAP_FACTOR"]) == (12, 1.0)
    assert outputs["SECONDS"] > 11 * SLOW  # what the clock shows beyond twelve depends on the machine
    assert outputs["SUMMARY"].startswith("12 tiles of 32 × 32 pixels, 1.00 pixels computed for each · ")
    assert outputs["DEVICE_USED"] in outputs["SUMMARY"]
    assert [path.name for path in tmp_path.iterdir()] == ["image.tif"]


def test_only_a_few_steps_are_run(tmp_path, network):
    outputs_of(request(tmp_path, scene(320, 320)))
    assert len([size for size in network.sizes if size[0] == 2]) <= MOST_STEPS + 1


def test_a_smaller_extent_and_a_larger_overlap_change_the_figures(tmp_path, network):
    # The raster's upper left corner lies at (500000, 5200000), cells of 10 m.
    part = outputs_of(request(tmp_path, extent=(500_000, 5_199_680, 500_640, 5_200_000)))
    assert part["TILES"] == 2
    assert outputs_of(request(tmp_path, overlap=16))["OVERLAP_FACTOR"] > 2


def test_two_devices_take_half_the_time(tmp_path, network, monkeypatch):
    def time_job(job):
        yield progress(0.5)
        return 100.0

    monkeypatch.setattr(trial, "_time_job", time_job)
    alone, together = (outputs_of(request(tmp_path, device=device)) for device in ("cpu", "cpu,cpu"))
    assert (alone["SECONDS"], together["SECONDS"]) == (100, 50)
    assert " · about 50 s on " in together["SUMMARY"]


def test_a_batch_that_does_not_fit_is_halved(tmp_path, network):
    network.room = 1
    assert outputs_of(request(tmp_path, batch_size=4))["TILES"] == 12
    network.room = 0
    with pytest.raises(ToolboxError, match="does not suffice for a single tile; choose a smaller TILE_SIZE"):
        outputs_of(request(tmp_path))


def test_a_tile_that_does_not_fit_is_made_smaller_as_in_the_run(tmp_path, network, monkeypatch):
    whole = SlowNetwork.forward

    def forward(self, image):
        if image.shape[-1] > 64:
            raise torch.OutOfMemoryError("no room")
        return whole(self, image)

    monkeypatch.setattr(SlowNetwork, "forward", forward)
    assert outputs_of(request(tmp_path, tile_size=96))["SUMMARY"].startswith("4 tiles of 64 × 64 pixels")


def test_an_output_over_the_raster_is_refused(tmp_path, network):
    settings = request(tmp_path)
    os.link(settings.raster, tmp_path / "same.tif")
    with pytest.raises(ToolboxError, match="is one of the files that are read"):
        outputs_of(replace(settings, output=str(tmp_path / "same.tif")))


def test_the_lines_are_those_of_the_run(tmp_path, network):
    settings = request(tmp_path)
    told = {event["message"] for event in estimate(settings, "job") if event["event"] == "info"}
    said = [event["message"] for event in classify(settings, "job") if event["event"] == "info"]
    assert set(said[:3]) <= told


def test_what_the_run_would_refuse_is_refused(tmp_path, network):
    with pytest.raises(ToolboxError, match="EXTENT lies outside the raster"):
        outputs_of(request(tmp_path, extent=(0, 0, 10, 10)))
    with pytest.raises(ToolboxError, match="OVERLAP is 30, but at most half of the tile"):
        outputs_of(request(tmp_path, overlap=30))


def test_a_raster_without_data_is_judged_by_its_size(tmp_path, network):
    empty = scene(96, 128)
    empty[:] = float("nan")
    assert outputs_of(request(tmp_path, empty))["SECONDS"] > 11 * SLOW
