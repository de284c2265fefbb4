# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import math

import pytest
import segmentation_models_pytorch as smp
import torch
from deep_learning_toolbox.backend.training.losses import IGNORE, class_weights, segmentation_loss
from torch import nn

EVEN = torch.ones(3)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, 5, 4, generator=generator, requires_grad=True)
    target = torch.randint(-1, 3, (2, 5, 4), generator=generator)
    return logits, target


def test_cross_entropy_agrees_with_torch(batch):
    logits, target = batch
    weights = torch.tensor([0.5, 2.0, 1.0])
    expected = nn.functional.cross_entropy(logits, target, weights, ignore_index=IGNORE)
    assert segmentation_loss(logits, target, weights, "ce").item() == pytest.approx(expected.item(), rel=1e-6)


def test_dice_agrees_with_smp_when_all_classes_are_present(batch):
    logits, target = batch
    dice = smp.losses.DiceLoss("multiclass", ignore_index=IGNORE)(logits, target)
    both = segmentation_loss(logits, target, EVEN, "ce_dice") - segmentation_loss(logits, target, EVEN, "ce")
    assert both.item() == pytest.approx(dice.item(), abs=1e-5)


def test_known_numbers():
    """One pixel, two classes, even logits: cross-entropy ln 2; Dice 1 - 2·0.5 / (0.5 + 1) = 1/3."""
    logits = torch.zeros(1, 2, 1, 1)
    target = torch.zeros(1, 1, 1, dtype=torch.int64)
    weights = torch.ones(2)
    assert segmentation_loss(logits, target, weights, "ce").item() == pytest.approx(math.log(2))
    assert segmentation_loss(logits, target, weights, "ce_dice").item() == pytest.approx(math.log(2) + 1 / 3, abs=1e-5)


def test_a_perfect_answer_costs_nothing():
    target = torch.tensor([[[0, 1], [2, IGNORE]]])
    logits = 50 * nn.functional.one_hot(target.clamp(min=0), 3).movedim(-1, 1).float()
    assert segmentation_loss(logits, target, EVEN, "ce_dice").item() == pytest.approx(0, abs=1e-5)


def test_a_batch_without_labels_is_none():
    target = torch.full((2, 4, 4), IGNORE)
    assert segmentation_loss(torch.randn(2, 3, 4, 4), target, EVEN, "ce_dice") is None


def test_unlabelled_pixels_get_no_gradient_and_change_nothing(batch):
    logits, target = batch
    loss = segmentation_loss(logits, target, EVEN, "ce_dice")
    loss.backward()
    unlabelled = (target == IGNORE)[:, None].expand_as(logits)
    assert bool((logits.grad[unlabelled] == 0).all())
    changed = torch.where(unlabelled, torch.full_like(logits, 9.0), logits)
    assert segmentation_loss(changed, target, EVEN, "ce_dice").item() == pytest.approx(loss.item())


def test_half_precision_logits_are_summed_in_32_bits():
    logits = torch.zeros(1, 2, 400, 400, dtype=torch.float16)
    target = torch.zeros(1, 400, 400, dtype=torch.int64)
    loss = segmentation_loss(logits, target, torch.ones(2), "ce")
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(2))


def test_labels_of_a_class_without_weight_cost_nothing_in_the_cross_entropy():
    target = torch.zeros(1, 2, 2, dtype=torch.int64)
    loss = segmentation_loss(torch.randn(1, 2, 2, 2), target, torch.tensor([0.0, 1.0]), "ce")
    assert loss.item() == 0


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ([100, 400, 0], [4 / 3, 2 / 3, 0]),
        ([7, 7], [1, 1]),
        ([0, 0], [0, 0]),
        ([1] + [10**6] * 99, [10] + [100 / 1099 * 1.0] * 0),
    ],
)
def test_class_weights(pixels, expected):
    weights = class_weights(torch.tensor(pixels)).tolist()
    assert weights[: len(expected)] == pytest.approx(expected, rel=1e-5)
