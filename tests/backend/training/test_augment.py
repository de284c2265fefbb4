# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.training.augment import apply_symmetry, draw_symmetry, vary_radiometry


def test_the_eight_symmetries_are_those_of_the_square_and_all_differ():
    square = np.arange(16).reshape(4, 4)
    known = {np.rot90(start, turns).tobytes() for start in (square, square[:, ::-1]) for turns in range(4)}
    assert {apply_symmetry(torch.from_numpy(square), number).numpy().tobytes() for number in range(8)} == known
    assert len(known) == 8
    assert torch.equal(apply_symmetry(torch.from_numpy(square), 0), torch.from_numpy(square))


def test_image_and_label_move_alike():
    label = torch.arange(20).view(4, 5)
    image = torch.stack([label, 2 * label])
    for number in range(8):
        turned = apply_symmetry(image, number)
        assert torch.equal(turned[0], apply_symmetry(label, number))
        assert torch.equal(turned[1], 2 * turned[0])


@pytest.mark.parametrize(("square", "expected"), [(True, set(range(8))), (False, {0, 2, 4, 6})])
def test_rectangles_keep_their_shape(square, expected):
    generator = np.random.default_rng(0)
    assert {draw_symmetry(generator, square) for _ in range(200)} == expected
    assert {apply_symmetry(torch.zeros(3, 5), number).shape for number in (0, 2, 4, 6)} == {(3, 5)}


def test_radiometry_keeps_invalid_pixels_at_zero_and_repeats_with_the_seed():
    image = torch.randn(4, 5, 6, 6)
    valid = torch.rand(4, 6, 6) > 0.3
    first, second = (vary_radiometry(image, valid, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, image)
    assert float(first[(~valid)[:, None].expand_as(first)].abs().sum()) == 0


def test_radiometry_has_the_stated_spread_per_band():
    valid = torch.ones(600, 8, 8, dtype=torch.bool)
    varied = vary_radiometry(torch.full((600, 2, 8, 8), 2.0), valid, torch.Generator().manual_seed(0))
    assert float(varied.mean(dim=(2, 3)).std()) == pytest.approx((0.2**2 + 0.1**2) ** 0.5, rel=0.1)
    assert float(varied.std(dim=(2, 3)).mean()) == pytest.approx(0.05, rel=0.1)
    assert abs(float(np.corrcoef(varied.mean(dim=(2, 3)).T.numpy())[0, 1])) < 0.15
