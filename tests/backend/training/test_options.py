# SPDX-License-Identifier: GPL-2.0-or-later
"""Each option of the training changes what it says it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.training import loop, rate_finder
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.losses import IGNORE

from .conftest import CLASSES, make_scene
from .stores import settings_of
from .test_train import run, texts


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 6)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def elsewhere(tmp_path, save_folder):
    """A second folder of chips, of other ground."""
    return save_folder(tmp_path / "elsewhere", *make_scene(seed=5), origin=(50_000.0, 960.0))


def weights(outputs):
    return load_model(outputs["MODEL"])[1].state_dict()


def test_a_folder_of_its_own_is_validated_on_and_nothing_of_the_chips_is_held_out(settings, chips, elsewhere):
    events, outputs = run(settings(split="folder", validation_folder=str(elsewhere), max_epochs=4))
    assert f"Validated on {elsewhere}, " in texts(events, "info")
    assert "Training again" not in texts(events, "info")
    assert outputs["SCORE"] > 0.6
    assert f"Measured on the chips of {elsewhere}, none of which was trained on" in Path(outputs["OUTPUT_HTML"]).read_text("utf-8")
    store = ChipStore(settings_of(chips, split="folder", validation_folder=str(elsewhere)))
    list(store.scan())
    alone = ChipStore(settings_of(chips))
    assert [band.mean for band in store.bands] == [band.mean for band in alone.bands]  # its statistics come from training only


def test_a_validation_folder_of_the_same_ground_is_warned_of(settings, tmp_path, save_folder):
    same = save_folder(tmp_path / "same", *make_scene(seed=5))
    events, outputs = run(settings(split="folder", validation_folder=str(same)))
    assert "the score is optimistic" in texts(events, "warning")
    assert "the figures are optimistic" in Path(outputs["OUTPUT_HTML"]).read_text("utf-8")


def test_a_validation_folder_without_labels_is_refused(settings, tmp_path, save_folder, scene):
    image, label, blocks = scene
    empty = save_folder(tmp_path / "none", image, label * 0, blocks * 0, origin=(50_000.0, 960.0))
    with pytest.raises(ToolboxError, match="VALIDATION_INPUT holds no labelled pixel"):
        list(train_events(settings(split="folder", validation_folder=str(empty))))


def test_a_class_that_the_validation_folder_lacks_is_told(settings, tmp_path, save_folder, scene):
    image, label, blocks = scene
    partly = save_folder(tmp_path / "partly", image, np.where(label == 8, 0, label), blocks, origin=(50_000.0, 960.0))
    events, _ = run(settings(split="folder", validation_folder=str(partly)))
    assert "Not validated, since VALIDATION_INPUT has none of their labels: Wald." in texts(events, "warning")


def train_events(request):
    from deep_learning_toolbox.backend.training.train import train

    return train(request, "job")


@pytest.mark.parametrize("changes", [{"loss": "focal"}, {"loss": "dice"}, {"loss": "ce"}, {"mixup": True}, {"augmentation": "strong"},
                                     {"augmentation": "none"}, {"augmentation": "north_up"}, {"freeze": True},
                                     {"precision": "bf16"}])  # fmt: skip
def test_an_option_leads_to_another_model_that_works(settings, tmp_path, changes):
    _, plain = run(settings(refit="never", output=str(tmp_path / "plain")))
    events, other = run(settings(refit="never", output=str(tmp_path / "other"), max_epochs=6, **changes))
    first, second = weights(plain), weights(other)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    losses = [event["values"]["train_loss"] for event in events if event["event"] == "metric"]
    assert min(losses[1:]) < losses[0]


def test_a_frozen_encoder_stays_as_it_was_with_its_statistics(settings, tmp_path):
    _, first = run(settings(max_epochs=2, refit="never"))
    request = settings(pretrained_model=first["MODEL"], freeze=True, output=str(tmp_path / "frozen"), max_epochs=2, refit="never")
    _, second = run(request)
    before, after = weights(first), weights(second)
    encoder = [name for name in before if name.startswith("encoder.")]
    # Means of equal numbers differ in the last bit.
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in encoder)
    assert any(not torch.allclose(before[name], after[name], atol=1e-4) for name in before if name not in encoder)


def test_freezing_a_backbone_that_knows_nothing_is_warned_of(settings):
    events, _ = run(settings(freeze=True))
    assert "FREEZE keeps a backbone that knows nothing yet" in texts(events, "warning")


def test_ignored_classes_are_unknown_to_the_model_and_to_its_figures(settings, tmp_path, save_folder, scene):
    image, label, blocks = scene
    label[blocks == 8], label[blocks == 6] = 9, 9
    folder = save_folder(tmp_path / "three", image, label, blocks, [*CLASSES, {"value": 9, "name": "Wolke"}])
    events, outputs = run(settings(folder=str(folder), ignore_classes=[9]))
    description = load_model(outputs["MODEL"])[0]
    assert description.class_values == (3, 8)
    assert "its class list lacks" not in texts(events, "warning")
    assert "Wolke" not in description.training["per_class"]
    store = ChipStore(settings_of(folder, ignore_classes=[9], unlabelled="background"))
    list(store.scan())
    raw = store._load(0)
    assert (store._read(0).target.numpy()[raw.label == 9] == IGNORE).all()  # not background either


def test_ignored_classes_that_do_not_exist_or_leave_nothing_are_refused(chips):
    with pytest.raises(ToolboxError, match=r"IGNORE_CLASSES names 5, but the chips have the classes 3 \(Wässer <b>\), 8 \(Wald\)"):
        ChipStore(settings_of(chips, ignore_classes=[5]))
    with pytest.raises(ToolboxError, match="names every class"):
        ChipStore(settings_of(chips, ignore_classes=[3, 8]))


def test_half_precision_without_a_cuda_card_is_refused(settings):
    with pytest.raises(ToolboxError, match="PRECISION=fp16 needs a CUDA card"):
        list(train_events(settings(precision="fp16")))


def test_a_long_training_looks_for_a_learning_rate_and_a_short_one_takes_the_usual(settings, tmp_path, monkeypatch):
    events, _ = run(settings(output=str(tmp_path / "short")))
    assert "in a trial of" not in texts(events, "info")
    monkeypatch.setattr(rate_finder, "SHORTEST", 1)
    monkeypatch.setattr(rate_finder, "STEPS", 12)
    events, outputs = run(settings(output=str(tmp_path / "long"), refit="never", max_epochs=2))
    rate = load_model(outputs["MODEL"])[0].training["learning_rate"]
    assert f"Learning rate {rate:g}, where the loss fell fastest in a trial of" in texts(events, "info")
    assert 2e-3 / 30 <= rate <= 2e-2
    events, outputs = run(settings(output=str(tmp_path / "given"), learning_rate=0.0005, refit="never"))
    assert load_model(outputs["MODEL"])[0].training["learning_rate"] == 0.0005


def test_the_steepest_fall_decides_the_rate():
    rates = [10.0**power for power in range(-6, 1)]
    assert rate_finder.choose_rate(rates, [2.0, 2.0, 2.0, 1.0, 0.9, 0.9, 5.0], 1e-3) == 1e-3
    assert rate_finder.choose_rate(rates, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6], 0.7) == 0.7  # it never falls
    assert rate_finder.choose_rate([1e-3], [1.0], 0.7) == 0.7
