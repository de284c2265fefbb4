# SPDX-License-Identifier: GPL-2.0-or-later
"""What every network must do, whatever its decoder and its encoder: one battery, inherited by both lists."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from deep_learning_toolbox.backend.models.catalogue import ARCHITECTURES, ENCODERS, check_batch, check_choice
from deep_learning_toolbox.backend.models.package import load_model, write_package
from deep_learning_toolbox.backend.models.registry import build_network

TINY = "mobilenetv3_small_100"
PAIRS = [pair for pair in product(ARCHITECTURES, ENCODERS) if not check_choice(*pair)]


@pytest.fixture(autouse=True)
def same_draws():
    torch.manual_seed(0)


class Battery:
    """Tests of a network that a subclass's fixture `pair` names."""

    @pytest.mark.parametrize(("channels", "rows", "columns"), [(1, 64, 64), (3, 1, 100), (13, 33, 70)])
    def test_any_number_of_bands_and_any_size_give_logits_of_that_size(self, pair, channels, rows, columns):
        network = build_network(*pair, channels, classes=3).eval()
        with torch.inference_mode():
            logits = network(torch.randn(1, channels, rows, columns))
        assert logits.shape == (1, 3, rows, columns)
        assert torch.isfinite(logits).all()

    def test_the_smallest_batch_teaches_from_the_first_layer_to_the_last(self, pair):
        network = build_network(*pair, channels=13, classes=3).train()
        network(torch.randn(ARCHITECTURES[pair[0]].smallest_batch, 13, 33, 40)).square().mean().backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
        assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
        assert set(gradients) == {name for name, _ in network.named_parameters()}, "each weight learns"
        parts = {"network.encoder.", "network.decoder.", "network.segmentation_head."}
        assert {part for part in parts for name, gradient in gradients.items() if name.startswith(part) and gradient.any()} == parts
        assert next(network.encoder.parameters()).grad.any()

    def test_a_package_gives_the_same_network_back(self, pair, description, tmp_path):
        network = build_network(*pair, channels=2, classes=2).train()
        network(torch.randn(2, 2, 64, 64))  # moves the running means, which must be kept too
        described = replace(description, architecture=pair[0], backbone=pair[1])
        write_package(tmp_path / "model.dlpk", described, network.state_dict())
        read, loaded = load_model(tmp_path / "model.dlpk")
        image = torch.randn(1, 2, 40, 64)
        with torch.inference_mode():
            assert torch.equal(loaded.eval()(image), network.eval()(image))
        assert (read.architecture, read.backbone) == pair


@pytest.mark.parametrize("pair", [(architecture, TINY) for architecture in ARCHITECTURES], ids="-".join)
class TestEveryArchitecture(Battery):
    pass


@pytest.mark.parametrize("pair", [("linknet", backbone) for backbone in ENCODERS], ids="-".join)
class TestEveryBackbone(Battery):
    pass


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_every_pair_on_offer_fits_together(pair):
    with torch.device("meta"):  # shapes without values
        logits = build_network(*pair, channels=5, classes=4)(torch.zeros(2, 5, 70, 40))
    assert logits.shape == (2, 4, 70, 40)


@pytest.mark.parametrize("backbone", ["resnet18", "tf_efficientnet_lite0"])
def test_a_package_with_stages_that_were_never_read_opens_for_ever(backbone, description, tmp_path):
    network = build_network("pspnet", backbone, 2, 2).eval()
    stages = build_network("unet", backbone, 2, 2).state_dict()
    unread = {name: tensor for name, tensor in stages.items() if name.startswith(network.unread)}
    assert unread
    assert not set(unread) & set(network.state_dict())
    described = replace(description, architecture="pspnet", backbone=backbone)
    write_package(tmp_path / "old.dlpk", described, {**network.state_dict(), **unread})
    _, loaded = load_model(tmp_path / "old.dlpk")
    image = torch.randn(1, 2, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(image), network(image))


@pytest.mark.parametrize("architecture", [name for name, entry in ARCHITECTURES.items() if entry.smallest_batch > 1])
def test_too_small_a_batch_is_refused_with_the_choices_and_would_indeed_fail(architecture):
    assert check_batch(architecture, 1) == [
        f"BATCH_SIZE is 1, but MODEL_TYPE '{architecture}' learns from 2 chips a step or more; choose 0 or 2."
    ]
    assert check_batch(architecture, 0) == check_batch(architecture, 2) == check_batch("unet", 1) == []
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        build_network(architecture, TINY, 2, 2).train()(torch.zeros(1, 2, 64, 64))
