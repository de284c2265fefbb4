# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.catalogue import ARCHITECTURES, ENCODERS, check_choice, is_convolutional
from deep_learning_toolbox.backend.models.registry import build_network

TINY = "mobilenetv3_small_100"


@pytest.mark.parametrize("backbone", sorted(ENCODERS))
def test_every_backbone_builds_and_runs(backbone):
    network = build_network("linknet", backbone, channels=4, classes=2).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(1, 4, 40, 33))
    assert logits.shape == (1, 2, 40, 33)
    millions = sum(parameter.numel() for parameter in network.encoder.parameters()) / 1e6
    assert millions == pytest.approx(ENCODERS[backbone].millions, abs=0.15)


def test_images_of_a_multiple_of_32_are_not_padded():
    network = build_network("linknet", TINY, 2, 2).eval()
    image = torch.randn(1, 2, 96, 64)
    with torch.inference_mode():
        assert torch.equal(network(image), network.network(image))


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_convolutional_architectures_do_not_look_beyond_a_neighbourhood(architecture):
    torch.manual_seed(0)
    network = build_network(architecture, "tf_efficientnet_lite0", 1, 2).eval()
    image = torch.randn(1, 1, 64, 2560)
    changed = image.clone()
    changed[..., -64:] += 50
    with torch.inference_mode():
        first, second = network(image)[..., :64], network(changed)[..., :64]
    assert torch.equal(first, second) == is_convolutional(architecture, "tf_efficientnet_lite0")


@pytest.mark.parametrize("backbone", ["efficientnet_b0", "mobilenetv3_small_100", "pvt_v2_b0"])
def test_backbones_with_global_pooling_or_attention_are_not_convolutional(backbone):
    torch.manual_seed(0)
    network = build_network("unet", backbone, 1, 2).eval()
    image = torch.randn(1, 1, 64, 2560)
    changed = image.clone()
    changed[..., -64:] += 50
    with torch.inference_mode():
        assert not torch.equal(network(image)[..., :64], network(changed)[..., :64])
    assert not is_convolutional("unet", backbone)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("unett", "resnet34", 3, 2), ["MODEL_TYPE 'unett'", "unet, unetplusplus, deeplabv3plus"]),
        (("unet", "mit_b0", 3, 2), ["BACKBONE 'mit_b0'", "resnet18, resnet34"]),
        (("deeplabv3plus", "pvt_v2_b0", 3, 2), ["'pvt_v2_b0' cannot be combined", "choose one of resnet18"]),
        (("x", "y", 0, 2), ["MODEL_TYPE 'x'", "BACKBONE 'y'", "1 to 500 bands, not 0"]),
        (("unet", "resnet18", 501, 0), ["not 501", "classes, not 0"]),
    ],
)
def test_unknown_names_and_counts_are_refused_with_the_choices(arguments, words):
    with pytest.raises(ToolboxError) as refusal:
        build_network(*arguments)
    assert all(word in str(refusal.value) for word in words)


def test_no_encoder_with_a_non_commercial_licence_is_offered():
    assert {encoder.licence for encoder in ENCODERS.values()} == {"Apache-2.0"}
    assert check_choice("segformer", "mit_b2") != []
