# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.training.augment import Placement, cut, draw_scales, vary_radiometry
from deep_learning_toolbox.backend.training.losses import IGNORE


def place(centre, scale=1.0, symmetry=0):
    return Placement(np.array([centre], float), np.array([scale]), np.array([symmetry]))


@pytest.fixture
def chip():
    image = torch.arange(2 * 6 * 8, dtype=torch.float32).view(1, 2, 6, 8)
    target = torch.arange(48).view(1, 6, 8) % 5
    return image, torch.ones(1, 6, 8, dtype=torch.bool), target


def test_the_middle_of_the_chip_gives_the_chip_back(chip):
    image, valid, target = cut(*chip, place((3, 4)), (6, 8))
    assert torch.allclose(image, chip[0], atol=1e-4)
    assert bool(valid.all())
    assert torch.equal(target, chip[2])


def test_a_crop_is_cut_around_its_centre(chip):
    image, _, target = cut(*chip, place((2, 5)), (2, 4))
    assert torch.allclose(image, chip[0][:, :, 1:3, 3:7], atol=1e-4)
    assert torch.equal(target, chip[2][:, 1:3, 3:7])


def test_the_outside_is_invalid_unlabelled_and_zero(chip):
    image, valid, target = cut(*chip, place((0, 4)), (6, 8))
    assert not bool(valid[:, :3].any())
    assert bool(valid[:, 3:].all())
    assert bool((target[:, :3] == IGNORE).all())
    assert float(image[:, :, :3].abs().sum()) == 0
    assert torch.equal(target[:, 3:], chip[2][:, :3])


@pytest.mark.parametrize("symmetry", range(8))
def test_the_eight_symmetries_move_image_and_labels_alike(symmetry):
    target = torch.arange(36).view(1, 6, 6)
    image = target[:, None].float()
    turned, valid, labels = cut(image, torch.ones(1, 6, 6, dtype=torch.bool), target, place((3, 3), symmetry=symmetry), (6, 6))
    assert bool(valid.all())
    assert torch.allclose(turned[:, 0], labels.float(), atol=1e-4)
    square = target[0].numpy()
    known = {np.rot90(flipped, turns).tobytes() for flipped in (square, square[:, ::-1]) for turns in range(4)}
    assert np.ascontiguousarray(labels[0].numpy()).tobytes() in known


def test_all_eight_symmetries_differ():
    target = torch.arange(36).view(1, 6, 6)
    valid = torch.ones(1, 6, 6, dtype=torch.bool)
    seen = {
        cut(target[:, None].float(), valid, target, place((3, 3), symmetry=number), (6, 6))[2].numpy().tobytes() for number in range(8)
    }
    assert len(seen) == 8


def test_a_scale_of_two_shows_every_pixel_twice(chip):
    _, _, target = cut(*chip, place((2.5, 4), scale=2.0), (6, 8))
    assert torch.equal(target, chip[2][:, 1:4, 2:6].repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_invalid_pixels_do_not_bleed_into_their_neighbours():
    image = torch.full((1, 1, 8, 8), 5.0)
    valid = torch.ones(1, 8, 8, dtype=torch.bool)
    valid[:, :, :4] = False
    image = image * valid[:, None]
    cropped, kept, target = cut(image, valid, torch.zeros(1, 8, 8, dtype=torch.int32), place((4, 4), scale=1.3), (8, 8))
    assert torch.allclose(cropped[:, 0][kept], torch.tensor(5.0), atol=1e-4)
    assert float(cropped[:, 0][~kept].abs().sum()) == 0
    assert bool((target[~kept] == IGNORE).all())


def test_large_class_indices_survive():
    target = torch.full((1, 4, 4), 65_000)
    assert bool(
        (cut(torch.zeros(1, 1, 4, 4), torch.ones(1, 4, 4, dtype=torch.bool), target, place((2, 2)), (4, 4))[2] == 65_000).all()
    )


def test_radiometry_keeps_invalid_pixels_at_zero_and_repeats_with_the_seed():
    image = torch.randn(4, 5, 6, 6)
    valid = torch.rand(4, 6, 6) > 0.3
    first, second = (vary_radiometry(image, valid, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, image)
    assert float(first[(~valid)[:, None].expand_as(first)].abs().sum()) == 0


def test_only_many_bands_lose_one():
    valid = torch.ones(400, 2, 2, dtype=torch.bool)
    for bands, expected in ((3, 0), (6, 40)):
        varied = vary_radiometry(torch.full((400, bands, 2, 2), 3.0), valid, torch.Generator().manual_seed(0))
        lost = (varied == 0).all(dim=(2, 3)).sum(dim=1)
        assert int(lost.max()) <= 1
        assert int(lost.sum()) == pytest.approx(expected, abs=15)


def test_scales_stay_in_range_and_half_of_them_are_one():
    scales = draw_scales(2000, np.random.default_rng(0))
    assert 0.75 <= scales.min() < 0.78
    assert 1.29 < scales.max() <= 1.33
    assert np.mean(scales == 1) == pytest.approx(0.5, abs=0.05)
