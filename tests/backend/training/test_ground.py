# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import numpy as np
import pytest
import torch
from affine import Affine
from deep_learning_toolbox.backend.training.dataset import ChipStore
from deep_learning_toolbox.backend.training.evaluation import count_trained
from deep_learning_toolbox.backend.training.ground import SAME_DEPTH, Frame, Ground
from deep_learning_toolbox.backend.training.losses import IGNORE
from deep_learning_toolbox.backend.training.split import hold_out_folders, split_blocks

from .stores import settings_of
from .test_evaluation import drive

SHAPE = (12, 20)


def frame(column, row, image=0, cell=0.25):
    """A chip of 12 x 20 pixels that starts at a pixel of an image far from the origin."""
    return Frame(image, Affine(cell, 0, 5e6, 0, -cell, 4e6) * Affine.translation(column, row), SHAPE)


def seen_by(frames, shape):
    """How often each pixel (row, column) of the image is spoken for, and how often it is shown."""
    own, shown = np.zeros(shape, int), np.zeros(shape, int)
    ground = Ground({number: entry for number, (_, _, entry) in frames.items()})
    for number, (column, row, _) in frames.items():
        place = np.s_[row : row + SHAPE[0], column : column + SHAPE[1]]
        own[place] += ground.find_own(number)
        shown[place] += 1
    return own, shown


@pytest.mark.parametrize("step", [(3, 5), (5, 10), (6, 10), (7, 3), (12, 20)])
def test_each_place_is_spoken_for_by_one_chip_whatever_the_stride(step):
    places = [(column, row) for row in range(0, 30, step[0]) for column in range(0, 50, step[1])]
    own, shown = seen_by({7 * number: (*place, frame(*place)) for number, place in enumerate(places)}, (60, 90))
    assert np.array_equal(own, shown > 0)


def test_places_rounded_to_a_hundredth_of_a_pixel_are_neither_lost_nor_counted_twice():
    noise = np.random.default_rng(0).uniform(-0.01, 0.01, (2, 100)) * 0.25
    places = [(column, row) for row in range(0, 40, 6) for column in range(0, 60, 10)]
    frames = {}
    for number, place in enumerate(places):
        moved = Affine.translation(*noise[:, number]) * frame(*place).transform
        frames[number] = (*place, Frame(0, moved, SHAPE))
    own, shown = seen_by(frames, (60, 90))
    assert np.array_equal(own, shown > 0)


def test_a_place_belongs_to_the_chip_in_which_it_lies_deepest():
    ground = Ground({0: frame(0, 0), 1: frame(10, 0)})
    first, second = ground.find_own(0), ground.find_own(1)
    assert first[6].nonzero()[0].tolist() == list(range(15))  # the middle of the ten columns that both show
    assert second[6].nonzero()[0].tolist() == list(range(5, 20))
    assert first[0, 10:19].all()  # at the upper edge both show it equally well, and the first one has it


def test_chips_of_different_images_and_pictures_without_a_place_share_nothing():
    assert Ground({0: frame(0, 0), 1: frame(4, 0, image=1)}).find_own(1).all()
    assert Ground({0: frame(0, 0), 1: frame(0, 0), 2: frame(0, 0)}).find_own(2).all()


@pytest.mark.parametrize("angle", [30, 90])
def test_turned_chips_share_the_ground_that_both_show(angle):
    turned = Frame(0, Affine(1, 0, 0, 0, -1, 0) * Affine.translation(10, 4) * Affine.rotation(angle), SHAPE)
    straight = Frame(0, Affine(1, 0, 0, 0, -1, 0), SHAPE)
    ground = Ground({0: straight, 1: turned})
    spoken = np.argwhere(ground.find_own(0))[:, ::-1] + 0.5  # x, y
    position = ~turned.transform * straight.transform
    here, there = ([min(x, 20 - x, y, 12 - y) for x, y in places] for places in (spoken, [position * tuple(xy) for xy in spoken]))
    assert all(own >= other - SAME_DEPTH for own, other in zip(here, there, strict=True))
    assert 0 < len(spoken) < 12 * 20
    assert len(spoken) + ground.find_own(1).sum() < 2 * 12 * 20


@pytest.mark.parametrize(("split", "once"), [("spatial", True), ("random", False)])
def test_each_labelled_pixel_is_measured_once_and_counted_once(chips, scene, split, once):
    store = ChipStore(settings_of(chips, split=split))
    list(store.scan())
    store.apply_split(split_blocks(store.census, 30, 3))
    measured = np.zeros(scene[1].shape, int)
    held_out = np.zeros(scene[1].shape, bool)
    for number in store.validation_chips:
        column, row, width, height = store.locations[number].record.window
        known = store.get([number], validation=True)[0].target != IGNORE
        measured[row : row + height, column : column + width] += (known & store.find_measured(number)).numpy()
        held_out[row : row + height, column : column + width] |= known.numpy()
    assert held_out.any()
    assert np.array_equal(measured, held_out)
    trained = sum(drive(count_trained(store, 0.9))[0].values())
    labelled = int((scene[1] > 0).sum())
    assert trained + held_out.sum() == labelled if once else trained > labelled - held_out.sum()


def test_a_validation_folder_is_measured_once_as_well(tmp_path, chips, scene, save_folder):
    elsewhere = save_folder(tmp_path / "elsewhere", *scene, origin=(5000.0, 960.0))
    store = ChipStore(settings_of(chips, split="folder", validation_folder=str(elsewhere)))
    list(store.scan())
    store.apply_split(hold_out_folders(store.census, store.first_validation_folder))
    chips_and_masks = [(store.get([n], True)[0].target, store.find_measured(n)) for n in store.validation_chips]
    total = sum(int(torch.where(mask, target, IGNORE).ne(IGNORE).sum()) for target, mask in chips_and_masks)
    assert total == (scene[1] > 0).sum() < sum(int(target.ne(IGNORE).sum()) for target, _ in chips_and_masks)
