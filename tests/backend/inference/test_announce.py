# SPDX-License-Identifier: GPL-2.0-or-later
"""What the log tells before and at the beginning of a classification, and whether it comes true."""

import pytest
from deep_learning_toolbox.backend.inference import classify as stage
from deep_learning_toolbox.backend.inference import writer
from deep_learning_toolbox.backend.inference.classify import classify, classify_with
from deep_learning_toolbox.backend.inference.pace import Pace, describe_seconds
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.runtime.ranks import Ranks

from ..rasters import write_raster
from .known import FirstBandNetwork, model, scene

MEGABYTE = 2**20


def request(tmp_path, values, **settings):
    source = write_raster(tmp_path / "image.tif", values, names=("a", "b"))
    return ClassifySettings(source, "m.dlpk", str(tmp_path / "out" / "classes.tif"), device="cpu", **settings)


@pytest.mark.parametrize(("more", "result", "meanwhile"), [({}, "0.6", "1.0"), ({"confidence": "sure.tif"}, "1.1", "2.0")])
def test_first_lines_tell_device_tiles_cost_memory_and_disk(tmp_path, monkeypatch, more, result, meanwhile):
    monkeypatch.setattr(stage, "load_model", lambda path: (model(), FirstBandNetwork(3)))
    more = {name: str(tmp_path / "out" / path) for name, path in more.items()}
    asked = request(tmp_path, scene(300, 1500), tile_size=128, overlap=16, precision="fp32", **more)
    events = list(classify(asked, "job"))
    first = events[: next(place for place, event in enumerate(events) if event["event"] == "progress")]
    assert (first[0]["event"], first[0]["kind"]) == ("device", "cpu")
    assert [event["message"] for event in first[2:]] == [
        # Three rows and 14 columns of tiles: 42 × 128² = 688,128 pixels for 450,000.
        "1,500 × 300 pixels in 42 tiles of 128 × 128; with overlap and padding the network computes 1.53 pixels for each.",
        # 1,500 columns of 128 rows: probabilities of 3 classes twice, 2 bands with their mask five times.
        f"The image data takes 18 MB of memory, the result up to {result} MB of disk ({meanwhile} MB while it is made). "
        "Precision: fp32.",
    ]


def test_time_is_told_once_after_a_few_tiles(tmp_path):
    network = FirstBandNetwork(3)
    told = []
    for event in classify_with(request(tmp_path, scene(120, 90), tile_size=32, batch_size=1), model(), network, Ranks()):
        if "more at most, measured on 4 tiles" in event.get("message", ""):
            told.append(len(network.sizes))
    assert told == [5]  # the first one is not measured
    assert len(network.sizes) > 12


def test_pace_leaves_out_the_first_step_and_counts_what_is_left():
    pace = Pace()
    assert [pace.add(1, 60.0, 103), pace.add(2, 3.0, 101)] == ["", ""]
    assert pace.add(2, 5.0, 99).startswith("The run takes 3 min more at most, measured on 4 tiles;")  # 99 × 2 s
    assert pace.add(2, 5.0, 97) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (9000, "2.5 h")])
def test_times_are_told_as_people_say_them(seconds, text):
    assert describe_seconds(seconds) == text


def test_disk_is_told_within_a_quarter_for_a_raster_that_cannot_be_compressed(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "POLL_SECONDS", 0.001)
    classes = 250
    asked = request(tmp_path, scene(1024, 1024, classes), tile_size=64, overlap=0, precision="fp32")
    most = told = 0
    for event in classify_with(asked, model(tuple(range(1, classes + 1))), FirstBandNetwork(classes), Ranks()):
        if "MB while it is made" in event.get("message", ""):
            told = float(event["message"].split(" MB while")[0].rpartition("(")[2]) * MEGABYTE
        most = max(most, sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.tif*")))
    assert most == pytest.approx(told, rel=0.25)
    finished = (tmp_path / "out" / "classes.tif").stat().st_size
    assert finished == pytest.approx(1024 * 1024 * 4 / 3, rel=0.25)
