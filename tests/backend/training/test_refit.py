# SPDX-License-Identifier: GPL-2.0-or-later
"""The second training: on all labels, with the figures of the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.training import loop, refit
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.losses import IGNORE
from deep_learning_toolbox.backend.training.split import split_blocks

from .stores import settings_of
from .test_train import run, texts


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 6)
    monkeypatch.chdir(tmp_path)


def tensors(outputs):
    return load_model(outputs["MODEL"])[1].state_dict()


def test_the_model_learns_from_all_labels_and_the_figures_stay(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(refit, "is_better", lambda *_: False)  # so short a training may fail
    _, once = run(settings(max_epochs=8, refit="never", output=str(tmp_path / "once")))
    events, twice = run(settings(max_epochs=8, seed=42, refit="always", output=str(tmp_path / "twice")))
    assert twice["SCORE"] == once["SCORE"]
    first, second = tensors(once), tensors(twice)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    description = load_model(twice["MODEL"])[0]
    assert description.training["refit_epochs"] == 8
    assert "Training again for" in texts(events, "info")
    report = (Path(twice["OUTPUT"]) / "model_metrics.html").read_text(encoding="utf-8")
    assert "trained anew on all labels" in report
    assert "trained anew on all labels" not in (Path(once["OUTPUT"]) / "model_metrics.html").read_text(encoding="utf-8")


def test_it_repeats_itself(settings, tmp_path):
    outputs = [run(settings(max_epochs=2, refit="always", output=str(tmp_path / name)))[1] for name in ("a", "b")]
    first, second = map(tensors, outputs)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_progress_never_goes_back(settings):
    events, _ = run(settings(max_epochs=2, refit="always"))
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] <= 1


def test_a_stop_file_in_the_second_training_keeps_the_first_network(settings, tmp_path, monkeypatch):
    _, once = run(settings(max_epochs=2, refit="never", output=str(tmp_path / "once")))
    original = refit.announce_refit

    def stop_in_between(first):
        Path("stop").touch()
        return original(first)

    monkeypatch.setattr("deep_learning_toolbox.backend.training.runner.announce_refit", stop_in_between)
    _, stopped = run(settings(max_epochs=2, refit="always", output=str(tmp_path / "stopped")))
    first, second = tensors(once), tensors(stopped)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert load_model(stopped["MODEL"])[0].training["refit_epochs"] == 0


def test_few_labels_ask_for_it_and_many_do_not(settings, chips, monkeypatch):
    store = ChipStore(settings_of(chips))
    list(store.scan())
    assert refit.wants_refit(settings(), store)
    monkeypatch.setattr(refit, "REFIT_BELOW", len(store.census))
    assert not refit.wants_refit(settings(), store)
    assert refit.wants_refit(settings(refit="always"), store)
    assert not refit.wants_refit(settings(refit="never"), store)


def test_a_second_training_that_fails_is_not_kept(settings, tmp_path, monkeypatch):
    _, once = run(settings(max_epochs=2, refit="never", output=str(tmp_path / "once")))
    monkeypatch.setattr(refit, "is_better", lambda *_: True)
    events, twice = run(settings(max_epochs=2, refit="always", output=str(tmp_path / "twice")))
    first, second = tensors(once), tensors(twice)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert "the network of the first is kept" in texts(events, "warning")


def test_all_labels_means_all_of_them(settings, chips):
    store = ChipStore(settings_of(chips))
    list(store.scan())
    store.apply_split(split_blocks(store.census, 20, 42))
    before = store.pixels.sum()
    store.use_all_labels()
    labelled = sum(int((chip.target != IGNORE).sum()) for chip in store.get(range(len(store)), validation=False))
    assert store.pixels.sum() == labelled > before
    assert np.array_equal(store.pixels.sum(axis=0), [sum(c.get(k, 0) for c in store.census.values()) for k in range(2)])
