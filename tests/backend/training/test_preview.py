# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures and memory that a training shows while it runs."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.training import loop, preview
from deep_learning_toolbox.backend.training.preview import Preview, measure_memory
from deep_learning_toolbox.backend.training.train import train

from .stores import split_store


class Constant(torch.nn.Module):
    """Always the same class."""

    def __init__(self, index):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.index = index

    def forward(self, image):
        logits = torch.zeros(image.shape[0], 2, *image.shape[2:])
        logits[:, self.index] = 1
        return logits


@pytest.fixture
def store(chips):
    return split_store(chips, 30)


@pytest.fixture
def folder(tmp_path):
    """A job's folder in which events are recorded."""
    (tmp_path / "events.jsonl").touch()
    return tmp_path


def read(path):
    return np.round(255 * matplotlib.image.imread(path)[..., :3]).astype(int)


def test_pictures_show_image_label_and_prediction_of_the_same_chips_each_time(store, folder):
    show = Preview(store, folder)
    (first,), (second,) = show.show(Constant(0), 1), show.show(Constant(1), 4)
    assert (first["epoch"], second["epoch"]) == (1, 4)
    assert [caption.partition(":")[0] for caption in first["captions"]] == [
        caption.partition(":")[0] for caption in second["captions"]
    ]
    assert len(first["files"]) == preview.MOST_CHIPS
    assert first["legend"][1][0] == "Wald"
    colours = [np.array(entry.color) for entry in store.classes.classes]
    for files, colour in ((first["files"], colours[0]), (second["files"], colours[1])):
        picture = read(folder / files[0])
        assert picture.shape == (160, 3 * 160 + 2 * preview.GAP, 3)  # chips of 32 pixels, five times as large
        predicted = picture[:, -160:].reshape(-1, 3)
        assert ((predicted == colour).all(1) | (predicted == 255).all(1)).all()
        assert (predicted == colour).all(1).mean() > 0.5
    label = read(folder / first["files"][0])[:, 164:324].reshape(-1, 3)
    assert any((label == colour).all(1).any() for colour in colours)


def test_nothing_is_painted_where_nobody_records_the_events(store, tmp_path):
    assert list(Preview(store, tmp_path).show(Constant(0), 1)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_only_costs_the_pictures(store, folder):
    (folder / "samples").touch()  # a file where the folder should be
    assert list(Preview(store, folder).show(Constant(0), 1)) == []


def test_only_the_first_and_the_newest_pictures_are_kept(store, folder, monkeypatch):
    monkeypatch.setattr(preview, "KEPT_EPOCHS", 3)
    show = Preview(store, folder)
    for epoch in range(1, 7):
        list(show.show(Constant(0), epoch))
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["00001", "00005", "00006"]


def test_memory_is_that_of_this_process():
    event = measure_memory(torch.device("cpu"), "CPU")
    assert event["place"] == "RAM"
    assert 100 < event["used_mb"] < event["total_mb"]  # PyTorch alone takes more
    kept = torch.ones(100 * 2**20 // 4)
    assert measure_memory(torch.device("cpu"), "CPU")["used_mb"] > event["used_mb"] + 0.8 * kept.nbytes / 2**20


def test_a_training_tells_its_pictures_and_memory_with_the_epochs(settings, folder, monkeypatch):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 4)
    monkeypatch.chdir(folder)
    events = list(train(settings(max_epochs=3), "job"))
    epochs = [event["epoch"] for event in events if event["event"] == "metric"]
    scores = [event["values"]["miou"] for event in events if event["event"] == "metric"]
    better = [epoch for place, epoch in enumerate(epochs) if scores[place] > max([-1, *scores[:place]])]
    assert [event["epoch"] for event in events if event["event"] == "samples"] == better
    assert all((folder / file).is_file() for event in events if event["event"] == "samples" for file in event["files"])
    assert sum(event["event"] == "memory" for event in events) == 3
