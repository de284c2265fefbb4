# SPDX-License-Identifier: GPL-2.0-or-later
"""The batch that the free memory holds."""

from __future__ import annotations

import re

import pytest
import torch
from deep_learning_toolbox.backend.models.catalogue import ARCHITECTURES
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.runtime.memory import free_memory, process_memory
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from deep_learning_toolbox.backend.training import fit_batch
from deep_learning_toolbox.backend.training.fit_batch import COPIES, USABLE, WORKING_SHARE, saved_bytes
from torch import nn

from .stores import split_store
from .test_train import run, texts

TINY = "mobilenetv3_small_100"
MEGABYTE = 2**20
ALONE = Ranks()


class TwoRanks(Ranks):
    """Two processes; the other one has a decision of its own."""

    def gather(self, value):
        return [value, 2]


@pytest.fixture
def network():
    return build_network("linknet", TINY, 2, 2)


@pytest.fixture
def fit(network, chips, settings, monkeypatch):
    """Batch and messages of a computer with memory for so many chips beside the weights; None = it does not tell."""

    def make(chips_free, ranks=ALONE, **changes):
        store = split_store(chips, 20)
        request = settings(batch_size=0, **changes)
        weights = COPIES * sum(tensor.nbytes for tensor in network.state_dict().values())
        chip = WORKING_SHARE * saved_bytes(network, (2, *store.chip_size))
        free = 0.0 if chips_free is None else (weights + chip * chips_free) / USABLE
        monkeypatch.setattr(fit_batch, "free_memory", lambda: free)
        events, steps = [], fit_batch.fit_batch(network, store, request, ranks)
        while True:
            try:
                events.append(next(steps))
            except StopIteration as end:
                return end.value, texts(events, "info")

    return make


def test_what_a_convolution_and_a_rectifier_keep_is_counted():
    # Input of the convolution 3 x 8 x 8, of the loss (log-softmax) 4 x 8 x 8, the rectifier's output the same, all in 4 bytes;
    # the target's 8 x 8 in 8 bytes and one number for the sum of weights of the batch of two.
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    assert saved_bytes(network, (3, 8, 8)) == pytest.approx(4 * 64 * (3 + 4 + 4) + 8 * 64, abs=8)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_is_counted_and_grows_with_its_images(architecture):
    network = build_network(architecture, TINY, 3, 4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    small, large = (saved_bytes(network, (3, side, side)) for side in (64, 128))
    assert 2.5 * small < large < 4.5 * small
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_frozen_encoder_keeps_less(network):
    assert saved_bytes(network, (2, 64, 64), frozen=True) < saved_bytes(network, (2, 64, 64))
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(("chips_free", "batch"), [(100, 8), (8.01, 8), (7, 4), (4.01, 4), (3, 2), (1, 2), (None, 8)])
def test_the_usual_batch_is_halved_until_the_free_memory_holds_it(fit, chips_free, batch):
    found, told = fit(chips_free)
    assert found == batch
    assert (told == "") == (batch == 8)


def test_the_message_tells_both_batches_and_the_memory(fit):
    _, told = fit(5)
    assert re.search(r"holds 4 chips a step instead of the usual 8 \(\d+\.\d GB each, \d+\.\d GB are free\)", told)


def test_half_precision_needs_about_half(fit):
    assert fit(4.5)[0] == 4
    assert fit(4.5, precision="bf16")[0] == 8


def test_processes_that_share_a_computer_share_its_memory_and_the_poorest_decides(fit, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert fit(7)[0] == 2
    assert fit(100, TwoRanks(0, 2))[0] == 2


def test_a_training_takes_what_fits_unless_the_request_says_how_many(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_batch, "free_memory", lambda: 1.0 * MEGABYTE)
    events, _ = run(settings(batch_size=0))
    assert "2 a step" in texts(events, "info")
    events, _ = run(settings(batch_size=8, output=str(tmp_path / "other")))
    assert "8 a step" in texts(events, "info")


@pytest.mark.skipif(not fit_batch.free_memory(), reason="this system does not tell its free memory")
def test_the_computer_has_some_memory_left_and_less_than_all():
    assert 10 * MEGABYTE < free_memory() < process_memory()[1]
