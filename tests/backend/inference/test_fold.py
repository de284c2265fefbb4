# SPDX-License-Identifier: GPL-2.0-or-later
"""Batch normalisation that is folded away."""

from dataclasses import replace

import pytest
import torch
from deep_learning_toolbox.backend.inference.fold import fold_batch_norm
from deep_learning_toolbox.backend.inference.prepare import example_for
from deep_learning_toolbox.backend.models.catalogue import ARCHITECTURES
from deep_learning_toolbox.backend.models.registry import build_network

from .known import model


def seasoned(network):
    """As after a training: statistics and factors that are not 0 and 1."""
    random = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_(0, 0.2, generator=random)
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.6, 1.5, generator=random)
    return network.eval()


@pytest.mark.parametrize(("architecture", "backbone"), [("unet", "resnet34"), ("fpn", "resnet18"), ("unet", "efficientnet_b0")])
def test_folded_network_gives_the_same_logits(architecture, backbone):
    torch.manual_seed(1)
    network = seasoned(build_network(architecture, backbone, 4, 3))
    image = torch.randn(1, 4, 64, 64)
    with torch.inference_mode():
        before = network(image)
        folded = fold_batch_norm(network, torch.randn(1, 4, 96, 96))
        after = network(image)
    assert folded > 15
    assert float((before - after).abs().max() / before.abs().max()) < 1e-4


def test_all_of_a_unet_on_resnet34_is_folded():
    network = seasoned(build_network("unet", "resnet34", 3, 2))
    fold_batch_norm(network, torch.randn(1, 3, 64, 64))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("architecture", [name for name, entry in ARCHITECTURES.items() if entry.convolutional])
def test_example_is_small_and_every_convolutional_network_takes_it(architecture):
    example = example_for(replace(model(chip=512), architecture=architecture))
    assert example.shape == (1, 2, 64, 64)
    with torch.inference_mode():
        assert build_network(architecture, "mobilenetv2_100", 2, 3).eval()(example).shape == (1, 3, 64, 64)


def test_example_for_a_network_that_may_know_one_size_only_has_the_chips_size():
    assert example_for(replace(model(chip=250), architecture="pspnet")).shape == (1, 2, 256, 256)


class Shared(torch.nn.Module):
    """A convolution whose output goes to a normalisation and, untouched, into the sum."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 2, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(2)

    def forward(self, image):
        made = self.conv(image)
        return made + self.norm(made)


def test_network_that_folding_would_change_stays_as_it_is():
    network = seasoned(Shared())
    image = torch.randn(1, 2, 8, 8)
    before = network(image)
    assert fold_batch_norm(network, image) == 0
    assert torch.equal(network(image), before)
