# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole stage with a network whose right answer is known: the class is what the first band says."""

import json
import threading
import time

import numpy as np
import pytest
import rasterio
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.inference.classify import classify, classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.models.definition import ModelDescription
from deep_learning_toolbox.backend.models.package import write_package
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime.ranks import Ranks

from ..rasters import drive, write_raster
from .known import FirstBandNetwork, model, run, scene


@pytest.mark.parametrize(("rows", "columns"), [(70, 90), (32, 32), (33, 31), (1, 1), (5, 200), (64, 96)])
@pytest.mark.parametrize("overlap", [0, 7, 16])
def test_every_pixel_gets_its_class_for_any_shape_and_overlap(tmp_path, rows, columns, overlap):
    values = scene(rows, columns)
    classes, _ = run(tmp_path, values, overlap=overlap, batch_size=3)
    assert np.array_equal(classes, values[0] + 1)


class TileDependentNetwork(torch.nn.Module):
    """Three logits that depend on the tile's mean, so that a wrongly blended seam shows."""

    def forward(self, image):
        first = image[:, :1]
        mean = first.mean((2, 3), keepdim=True)
        return torch.cat([first, 0.3 * first + mean, 1.5 - mean + 0 * first], 1)


def test_column_bands_give_the_same_pixels(tmp_path):
    values = np.random.default_rng(3).normal(0.7, 1, (2, 40, 1700)).astype(np.float32)
    values += np.linspace(-1, 1, 1700, dtype=np.float32)  # the tiles' means differ
    percent = tmp_path / "out" / "percent.tif"
    results = []
    for memory_mb in (2048, 64):
        options = {"tile_size": 1024, "overlap": 400, "confidence": str(percent), "memory_mb": memory_mb}
        classes, events = run(tmp_path, values, network=TileDependentNetwork(), **options)
        with rasterio.open(percent) as result:
            results.append((classes, result.read(1), events["info"][0]["message"]))
    (whole, whole_percent, message), (cut, cut_percent, cut_message) = results
    assert "column bands" not in message
    assert "4 column bands" in cut_message
    assert np.array_equal(whole, cut)
    assert np.array_equal(whole_percent, cut_percent)
    assert len(np.unique(whole)) == 3


def test_symmetries_average_to_the_same_answer(tmp_path):
    values = scene()
    network = FirstBandNetwork(3)
    classes, _ = run(tmp_path, values, network=network, test_time_augmentation=True, batch_size=1000)
    assert np.array_equal(classes, values[0] + 1)
    assert len(network.sizes) % 8 == 0


def test_nodata_stays_nodata_and_tiles_without_data_are_not_computed(tmp_path):
    values = scene(64, 160)
    values[1, :, 64:] = -5
    network = FirstBandNetwork(3)
    classes, _ = run(tmp_path, values, network=network, raster={"nodata": -5}, overlap=0, batch_size=1)
    assert (classes[:, 64:] == 255).all()
    assert np.array_equal(classes[:, :64], values[0, :, :64] + 1)
    assert len(network.sizes) == 4


def test_masked_and_nan_pixels_become_nodata_in_both_rasters(tmp_path):
    values = scene(40, 50)
    values[1, 3, 4] = np.nan
    mask = np.full((40, 50), 255, np.uint8)
    mask[10, 20:30] = 0
    percent = tmp_path / "out" / "percent.tif"
    classes, _ = run(tmp_path, values, raster={"mask": mask}, confidence=str(percent))
    expected = values[0] + 1
    expected[3, 4] = expected[10, 20:30] = 255
    assert np.array_equal(classes, expected)
    with rasterio.open(percent) as result:
        assert np.array_equal(result.read(1) == 255, expected == 255)


def test_raster_without_any_data_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ToolboxError, match="nodata everywhere"):
        run(tmp_path, np.zeros((2, 40, 40), np.float32), raster={"nodata": 0})
    assert not (tmp_path / "out").exists()


def test_background_is_zero_and_can_be_suppressed(tmp_path):
    description = model(values=(4, 9), has_background=True)
    classes, _ = run(tmp_path, scene(), description)
    assert set(np.unique(classes)) == {0, 4, 9}
    classes, _ = run(tmp_path, scene(), description, predict_background=False)
    assert set(np.unique(classes)) == {4, 9}


def test_suppressing_a_background_that_is_not_there_is_said(tmp_path):
    _, events = run(tmp_path, scene(), predict_background=False)
    assert any("no effect" in event["message"] for event in events["info"])


def test_slow_network_keeps_telling_and_is_left_at_once(tmp_path):
    class SlowNetwork(FirstBandNetwork):
        def forward(self, image):
            time.sleep(2.5)
            return super().forward(image)

    source = write_raster(tmp_path / "image.tif", scene(32, 32), names=("a", "b"))
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "out" / "classes.tif"), tile_size=32)
    events = classify_with(request, model(), SlowNetwork(3), Ranks())
    started = time.monotonic()
    for _ in range(4):  # one line of information, then progress
        next(events)
    assert time.monotonic() - started < 2
    asked = time.monotonic()
    events.close()
    assert time.monotonic() - asked < 1
    assert not (tmp_path / "out").exists()


def test_batch_of_one_that_does_not_fit_says_what_to_do(tmp_path):
    class Hopeless(FirstBandNetwork):
        def forward(self, image):
            raise torch.OutOfMemoryError("too much")

    with pytest.raises(ToolboxError, match="smaller TILE_SIZE or DEVICE=cpu"):
        run(tmp_path, scene(), network=Hopeless(3))
    assert not (tmp_path / "out").exists()


def test_cancel_removes_everything_and_ends_the_reader(tmp_path):
    source = write_raster(tmp_path / "image.tif", scene(300, 300), names=("a", "b"))
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "new" / "classes.tif"), tile_size=32)
    events = classify_with(request, model(), FirstBandNetwork(3), Ranks())
    while next(events)["event"] != "progress":
        pass
    assert list((tmp_path / "new").iterdir())
    events.close()
    assert not (tmp_path / "new").exists()
    assert "strip reader" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("precision", "advice"), [("fp32", "train the model again"), ("bf16", "choose PRECISION=fp32")])
def test_network_whose_answers_are_no_numbers_is_refused(tmp_path, precision, advice):
    class Diverged(FirstBandNetwork):
        def forward(self, image):
            return torch.where(image[:, :1] == 2, torch.nan, super().forward(image))

    with pytest.raises(ToolboxError, match=f"no numbers \\(NaN\\) in {precision}.*; {advice}"):
        run(tmp_path, scene(), network=Diverged(3), precision=precision)
    assert not (tmp_path / "out").exists()


def test_memory_that_runs_out_halves_the_batch(tmp_path):
    class Greedy(FirstBandNetwork):
        def forward(self, image):
            if len(image) > 2:
                raise torch.OutOfMemoryError("too much")
            return super().forward(image)

    classes, events = run(tmp_path, scene(), network=Greedy(3), batch_size=8)
    assert np.array_equal(classes, scene()[0] + 1)
    assert [event["message"].split()[-4] for event in events["warning"]] == ["4", "2"]


def test_network_sees_what_training_sees(tmp_path):
    from deep_learning_toolbox.backend.imagery.normalise import normalise

    seen = []

    class Recorder(FirstBandNetwork):
        def forward(self, image):
            seen.append(image.clone())
            return super().forward(image)

    statistics = (BandStatistics("a", 0, 9, 1.0, 0.5, 0.0, 1.9, 9), BandStatistics("b", 0, 9, 2.0, 2.0, 0, 9, 9))
    description = ModelDescription("m", "unet", "resnet18", statistics, model().classes, False, 32, 10.0)
    values = scene(32, 32)
    run(tmp_path, values, description, network=Recorder(3))
    expected = normalise(torch.from_numpy(values), torch.ones(32, 32, dtype=torch.bool), statistics)
    assert torch.equal(seen[0][0], expected)


def test_events_are_plain_json(tmp_path):
    _, events = run(tmp_path, scene())
    assert json.loads(json.dumps(events)) == events


def test_whole_stage_from_a_model_package(tmp_path):
    torch.manual_seed(0)
    description = model(values=(5, 6))
    network = build_network("unet", "resnet18", 2, 2)
    write_package(tmp_path / "m.dlpk", description, network.state_dict())
    values = scene(40, 70, classes=9)
    source = write_raster(tmp_path / "image.tif", values, names=("a", "b"))
    output = tmp_path / "classes.tif"
    percent = tmp_path / "percent.tif"
    request = ClassifySettings(source, str(tmp_path / "m.dlpk"), str(output), str(percent), device="cpu")
    events = drive(classify(request, "test"))
    name = events["device"][0]["name"]
    assert events["result"][0]["outputs"] == {"OUTPUT": str(output), "OUTPUT_CONFIDENCE": str(percent), "DEVICE_USED": name}
    # One tile of 256, continued by mirror images: what the network says of that is the answer.
    mirrored = np.pad(values, ((0, 0), (0, 216), (0, 186)), mode="reflect")
    with torch.inference_mode():
        logits = network.eval()(torch.from_numpy(mirrored)[None])[0, :, :40, :70]
    expected = np.array([5, 6])[logits.argmax(0).numpy()]
    with rasterio.open(output) as result:
        assert (result.read(1) == expected).mean() > 0.999  # ties apart
