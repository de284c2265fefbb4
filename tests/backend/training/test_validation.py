# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole chips pass through the network, however large they are beside the crops of the training."""

from __future__ import annotations

import pytest
import torch
from deep_learning_toolbox.backend.training.validation import chips_at_once, predict_chips

from .stores import split_store


class Narrow(torch.nn.Module):
    """Logits of one class; refuses more than so many images with the text of PyTorch's allocator."""

    def __init__(self, most):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.most, self.seen = most, []

    def forward(self, image):
        self.seen.append(len(image))
        if len(image) > self.most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 123 bytes")
        return image[:, :1] * self.weight


@pytest.fixture
def store(chips):
    return split_store(chips, 40)


def test_memory_that_does_not_suffice_halves_the_chips_at_a_time_and_loses_none(store):
    network, numbers = Narrow(2), store.validation_chips
    found = list(predict_chips(store, network, numbers, 8))
    assert network.seen[:3] == [8, 4, 2]
    assert [number for some, _, _ in found for number in some] == numbers
    for some, chips, logits in found:
        assert torch.equal(logits[:, 0], torch.stack([chip.image[0] for chip in store.get(some, validation=True)]))
        assert len(chips) == len(some)


def test_one_chip_that_does_not_fit_and_other_failures_are_handed_on(store):
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        list(predict_chips(store, Narrow(0), store.validation_chips, 4))
    with pytest.raises(RuntimeError, match="channels"):
        list(predict_chips(store, torch.nn.Conv2d(7, 1, 1), store.validation_chips, 4))


def test_whole_chips_take_no_more_memory_than_a_batch_of_crops(store):
    assert store.chip_size == (32, 32)
    assert chips_at_once(store, 0, 8) == 8
    assert chips_at_once(store, 16, 8) == 2
    assert chips_at_once(store, 16, 2) == 1
