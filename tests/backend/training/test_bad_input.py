# SPDX-License-Identifier: GPL-2.0-or-later
"""Chips that nobody should train on, or not as they are: told by the stage in a sentence, never by a crash or a silent result.

A class without validation, chips without labels and values that no class has are in test_train, a full disk and a kill in
test_unfinished.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from deep_learning_toolbox.backend.chips.index import ChipIndex
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model
from deep_learning_toolbox.backend.training import loop
from deep_learning_toolbox.backend.training.train import train

from .conftest import make_scene
from .test_train import run, texts


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "SMALLEST_EPOCH", 3)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path, scene, save_folder):
    """A chip folder that may be spoiled."""
    return save_folder(tmp_path / "chips", *scene)


def keep_chips(folder, count):
    index = ChipIndex.read(folder)
    replace(index, chips=index.chips[:count]).write(folder)


def rewrite_image(path, change):
    """Stores what `change` makes of the pixels (bands, rows, columns)."""
    with rasterio.open(path) as dataset:
        profile, array = dataset.profile, change(dataset.read())
    profile.update(dtype=array.dtype, count=array.shape[0])
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(array)


def refuse(settings, **changes):
    with pytest.raises(ToolboxError) as refusal:
        list(train(settings(**changes), "job"))
    return str(refusal.value)


def test_a_folder_without_chips_is_refused(settings, folder):
    keep_chips(folder, 0)
    assert "The folder chips holds no chips; export training data first." in refuse(settings, folder=str(folder))


def test_one_chip_with_two_polygons_can_be_trained_on_and_one_without_cannot(settings, tmp_path, scene, save_folder):
    image, label, blocks = scene
    label[4:12, 4:20], label[12:20, 4:20] = 3, 8
    blocks[4:8, 4:20], blocks[8:12, 4:20], blocks[12:16, 4:20], blocks[16:20, 4:20] = 11, 12, 13, 14
    folder = save_folder(tmp_path / "chips", image, label, blocks)
    keep_chips(folder, 1)
    events, outputs = run(settings(folder=str(folder), refit="never"))
    assert "Training on 1 chips" in texts(events, "info")
    assert math.isfinite(outputs["SCORE"])
    assert "SPLIT" in refuse(settings, folder=str(folder), split="random")


def test_labels_of_one_class_only_are_refused_by_its_name(settings, tmp_path, scene, save_folder):
    image, label, blocks = scene
    label[label == 3] = 0
    folder = save_folder(tmp_path / "chips", image, label, blocks * (label > 0))
    assert "All labelled pixels are of the class Wald, so there is nothing to tell apart" in refuse(settings, folder=str(folder))


@pytest.mark.parametrize(("kind", "spoil"), [
    ("images", lambda path: path.write_bytes(path.read_bytes()[:300])),
    ("labels", lambda path: path.write_bytes(b"no image")),
    ("blocks", lambda path: path.unlink()),
])  # fmt: skip
def test_a_damaged_chip_is_named_and_ends_the_run_or_is_skipped(settings, folder, kind, spoil):
    spoil(folder / kind / "000000000007.tif")
    refusal = refuse(settings, folder=str(folder))
    assert f"{kind}/000000000007.tif" in refusal
    assert "DAMAGED_CHIPS=skip" in refusal
    events, outputs = run(settings(folder=str(folder), damaged_chips="skip"))
    assert "Skipped 1 damaged chip(s): " in texts(events, "warning")
    assert f"{kind}/000000000007.tif" in texts(events, "warning")
    assert "Training on 24 chips" in texts(events, "info")
    assert load_model(outputs["MODEL"])[0].training


def test_the_chips_that_are_left_after_skipping_keep_their_own_labels(settings, folder):
    keep_chips(folder, 12)
    (folder / "images" / "000000000000.tif").write_bytes(b"")
    _, skipped = run(settings(folder=str(folder), damaged_chips="skip", refit="never"))
    index = ChipIndex.read(folder)
    replace(index, chips=index.chips[1:]).write(folder)
    _, without = run(settings(folder=str(folder), refit="never", output=skipped["OUTPUT"] + " 2"))
    assert skipped["SCORE"] == without["SCORE"]


def test_a_folder_in_which_no_chip_can_be_read_is_refused(settings, folder):
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    assert "None of the 25 chips can be read, for example: " in refuse(settings, folder=str(folder), damaged_chips="skip")


def test_pixels_that_are_not_a_number_are_left_out(settings, folder):
    def spoil(array):
        array = array.astype(np.float32)
        array[1, ::2] = np.nan
        array[0, 1, 1] = np.inf
        return array

    for path in (folder / "images").iterdir():
        rewrite_image(path, spoil)
    events, outputs = run(settings(folder=str(folder)))
    losses = [event["values"]["train_loss"] for event in events if event["event"] == "metric"]
    assert all(map(math.isfinite, [*losses, outputs["SCORE"]]))


def test_a_band_without_any_number_is_refused(settings, folder):
    for path in (folder / "images").iterdir():
        rewrite_image(path, lambda array: np.stack([array[0].astype(np.float32), np.full(array.shape[1:], np.nan, np.float32)]))
    assert "No chip holds a labelled pixel with data" in refuse(settings, folder=str(folder))


@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_chips_of_any_number_type_train_alike(settings, folder, dtype):
    _, plain = run(settings(folder=str(folder), refit="never"))
    for path in (folder / "images").iterdir():
        rewrite_image(path, lambda array: array.astype(dtype))
    _, other = run(settings(folder=str(folder), refit="never", output=plain["OUTPUT"] + " 2"))
    assert other["SCORE"] == plain["SCORE"]


def test_complex_numbers_are_refused(settings, folder):
    rewrite_image(folder / "images" / "000000000003.tif", lambda array: array.astype(np.complex64))
    assert "000000000003.tif holds complex numbers" in refuse(settings, folder=str(folder))


def test_folders_with_other_bands_or_another_chip_size_are_refused_with_both_named(settings, folder, tmp_path, save_folder):
    more = save_folder(tmp_path / "three", *make_scene(bands=3), names=("red", "nir", "swir"), origin=(5000.0, 960.0))
    text = refuse(settings, folder=str(folder), more_folders=[str(more)])
    assert "chips has red, nir; three has red, nir, swir" in text
    for change, count in ((lambda array: np.concatenate([array, array[:1]]), 3), (lambda array: array[:1], 1)):
        rewrite_image(folder / "images" / "000000000003.tif", change)
        assert f"000000000003.tif has {count} bands, the folder's list 2; export again." in refuse(settings, folder=str(folder))


def test_chips_of_several_sizes_are_refused_by_name(settings, folder):
    for kind in ("images", "labels", "blocks"):
        path = folder / kind / "000000000003.tif"
        with rasterio.open(path) as dataset:
            profile, array = dataset.profile, dataset.read()[:, :16]
        profile.update(height=16)
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(array)
    assert "Chip 000000000003 has (16, 32) pixels, others have (32, 32)" in refuse(settings, folder=str(folder))


def test_a_batch_of_one_trains_where_the_network_can_and_is_refused_where_not(settings, tmp_path):
    _, outputs = run(settings(batch_size=1, refit="never"))
    assert load_model(outputs["MODEL"])[0].training["batch_size"] == 1
    assert "BATCH_SIZE is 1, but MODEL_TYPE 'deeplabv3plus'" in refuse(settings, batch_size=1, model_type="deeplabv3plus")
    _, first = run(settings(model_type="deeplabv3plus", refit="never", output=str(tmp_path / "pooled")))
    going_on = {"batch_size": 1, "pretrained_model": first["MODEL"], "output": str(tmp_path / "second")}
    assert "BATCH_SIZE is 1, but MODEL_TYPE 'deeplabv3plus'" in refuse(settings, **going_on)


def test_a_label_that_is_no_class_value_is_refused_by_name(settings, folder):
    rewrite_image(folder / "labels" / "000000000003.tif", lambda array: array.astype(np.float32) + np.float32(0.5))
    assert "000000000003.tif" in refuse(settings, folder=str(folder))
