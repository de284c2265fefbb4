# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.training import dataset
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.losses import IGNORE
from deep_learning_toolbox.backend.training.split import split_blocks

from ..chips.test_export import run
from ..rasters import classes, pixel_box, write_labels
from .stores import settings_of


def scan(paths, unlabelled="auto", split="spatial"):
    store = ChipStore(settings_of(*paths, unlabelled=unlabelled, split=split))
    assert list(store.scan())[-1] == 1.0
    return store


def label_places(store, validation):
    """Ground position of every labelled pixel that one side sees."""
    places = set()
    for number in range(len(store)):
        target = store.get([number], validation)[0].target.numpy()
        column, row, _, _ = store.locations[number].record.window
        folder = store.locations[number].folder
        places |= {(folder, int(y) + row, int(x) + column) for y, x in np.argwhere(target != IGNORE)}
    return places


def test_chips_come_normalised_with_class_indices(chips, scene):
    store = scan([chips])
    chip = store.get([0], validation=False)[0]
    assert store.class_values == (3, 8)
    assert store.chip_size == (32, 32)
    assert not bool(chip.valid[:4, :4].any())
    assert float(chip.image[:, :4, :4].abs().sum()) == 0
    mean, std = store.bands[1].mean, store.bands[1].std
    assert float(chip.image[1, 10, 10]) == pytest.approx((float(scene[0][1, 10, 10]) - mean) / std, abs=1e-4)
    assert int(chip.target[10, 10]) == 0
    assert int(chip.target[25, 25]) == IGNORE
    assert sorted(store.census) == list(range(1, 9))


@pytest.mark.parametrize("kept", [True, False])
def test_no_labelled_pixel_is_in_both_sets_and_none_is_lost(chips, scene, kept, monkeypatch):
    monkeypatch.setattr(dataset, "MEMORY_BYTES", 1 << 30 if kept else 1)
    store = scan([chips])
    store.apply_split(split_blocks(store.census, 20, 42))
    training, validation = label_places(store, False), label_places(store, True)
    assert validation
    assert not training & validation
    assert training | validation == {(0, int(y), int(x)) for y, x in np.argwhere(scene[1] > 0)}
    assert store.pixels.sum() == sum((store.get([n], False)[0].target != IGNORE).sum().item() for n in range(len(store)))
    assert store.validation_chips == [n for n in range(len(store)) if bool((store.get([n], True)[0].target != IGNORE).any())]


def test_lazily_read_chips_equal_kept_ones(chips, monkeypatch):
    kept = scan([chips])
    monkeypatch.setattr(dataset, "MEMORY_BYTES", 1)
    lazy = scan([chips])
    for one, other in zip(kept.get([0, 7, 24], False), lazy.get([0, 7, 24], False), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("form", ["rcnn_masks", "panoptic", "kitti"])
def test_own_exports_with_a_class_for_each_labelled_pixel_are_trained_on(tmp_path, form):
    instances = {}
    if form == "panoptic":
        pairs = [(pixel_box(2, 2, 8, 8), 1)]
        instances = {"instances": write_labels(tmp_path / "i.gpkg", pairs, layer="instances"), "instance_classes": classes(1)}
    if form == "kitti":
        with pytest.raises(ToolboxError, match="export again"):
            run(tmp_path, metadata_format=form)
            scan([tmp_path / "chips"])
        return
    run(tmp_path, metadata_format=form, **instances)
    store = scan([tmp_path / "chips"])
    targets = torch.stack([chip.target for chip in store.get(range(len(store)), False)])
    assert [int((targets == index).sum()) for index in (0, 1)] == [36, 120]


@pytest.mark.parametrize("split", ["spatial", "random"])
def test_the_background_is_class_zero_on_valid_pixels_only_and_split_in_squares(chips, split):
    store = scan([chips], "background", split)
    assert store.class_values == (0, 3, 8)
    assert store.block_kind == ("square" if split == "spatial" else "chip")
    chip = store.get([0], validation=False)[0]
    assert int(chip.target[25, 25]) == 0
    assert int(chip.target[0, 0]) == IGNORE
    assert int(chip.target[10, 10]) == 1
    if split == "spatial":
        store.apply_split(split_blocks(store.census, 20, 1))
        assert not label_places(store, False) & label_places(store, True)


def test_one_class_alone_has_a_background_by_default(tmp_path, scene, save_folder):
    image, label, blocks = scene
    folder = save_folder(tmp_path / "one", image, np.where(label == 8, 8, 0).astype(np.uint16), blocks, [{"value": 8, "name": "Wald"}])
    assert scan([folder]).class_values == (0, 8)
    assert scan([folder], "ignore").class_values == (8,)


def test_a_folder_of_another_program_is_split_in_squares_of_ground(tmp_path, scene, save_folder):
    image, label, _ = scene
    store = scan([save_folder(tmp_path / "esri", image, label, None)])
    assert store.block_kind == "square"
    assert len(store.census) == 4
    store.apply_split(split_blocks(store.census, 20, 1))
    assert not label_places(store, False) & label_places(store, True)


def test_two_folders_of_the_same_ground_keep_a_pixel_on_one_side(tmp_path, chips, scene, save_folder):
    twin = save_folder(tmp_path / "twin", *scene)
    store = scan([chips, twin])
    assert store.block_kind == "square"
    store.apply_split(split_blocks(store.census, 20, 1))
    training = {place[1:] for place in label_places(store, False)}
    assert not training & {place[1:] for place in label_places(store, True)}


def test_polygons_of_folders_apart_are_numbered_apart(tmp_path, chips, scene, save_folder):
    store = scan([chips, save_folder(tmp_path / "apart", *scene, origin=(5000.0, 960.0))])
    assert store.block_kind == "label"
    assert len(store.census) == 16


def test_bands_of_a_second_folder_are_ordered_by_name(tmp_path, chips, scene, save_folder):
    image, label, blocks = scene
    swapped = save_folder(tmp_path / "swapped", image[::-1], label, blocks, names=("nir", "red"), origin=(5000.0, 960.0))
    store = scan([chips, swapped])
    assert [band.name for band in store.bands] == ["red", "nir"]
    assert torch.equal(store.get([3], False)[0].image, store.get([28], False)[0].image)


def test_folders_that_do_not_fit_are_refused(tmp_path, chips, scene, save_folder):
    image, label, blocks = scene
    other_bands = save_folder(tmp_path / "b", image, label, blocks, names=("red", "green"))
    with pytest.raises(ToolboxError, match=r"different bands: Chips ä has red, nir; b has red, green"):
        ChipStore(settings_of(chips, other_bands))
    other_name = save_folder(tmp_path / "c", image, label, blocks, classes=[{"value": 3, "name": "Stadt"}, CLASS_8])
    with pytest.raises(ToolboxError, match="Class 3 is 'Wässer <b>' in Chips ä and 'Stadt' in c"):
        ChipStore(settings_of(chips, other_name))


CLASS_8 = {"value": 8, "name": "Wald"}


@pytest.mark.parametrize("unlabelled", ["ignore", "background"])
def test_a_label_value_without_a_class_is_counted_and_ignored(tmp_path, scene, save_folder, unlabelled):
    image, label, blocks = scene
    folder = save_folder(tmp_path / "x", image, label, blocks, classes=[CLASS_8])
    store = scan([folder], unlabelled)
    chips = [store.get([number], False)[0] for number in range(len(store))]
    places = [(store.locations[number].record.window[1], store.locations[number].record.window[0]) for number in range(len(store))]
    strange = [label[row : row + 32, column : column + 32] == 3 for row, column in places]
    assert store.unlisted == {folder: {3: sum(int(where.sum()) for where in strange)}}
    assert all((chip.target.numpy()[where] == IGNORE).all() for chip, where in zip(chips, strange, strict=True))


def test_label_values_of_the_class_list_are_not_counted_as_unlisted(chips):
    assert scan([chips]).unlisted == {}
