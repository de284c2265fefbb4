# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.models.transfer import match_bands, transfer_weights


def start(description, state_dict, bands, class_values):
    network = build_network(description.architecture, description.backbone, len(bands), len(class_values))
    return network, transfer_weights(network, description, state_dict, bands, class_values)


def test_the_same_bands_and_classes_take_over_every_tensor(description, state_dict):
    network, text = start(description, state_dict, description.bands, (2, 7))
    assert all(torch.equal(tensor, state_dict[name]) for name, tensor in network.state_dict().items())
    assert "the last layer is kept" in text


def test_bands_follow_their_names(description, state_dict, bands):
    network, text = start(description, state_dict, bands("NIR", "red", "swir"), (2, 7))
    stem = "network.encoder.model.conv_stem.weight"
    old, new = state_dict[stem], network.state_dict()[stem]  # old: red, nir
    assert torch.allclose(new[:, 0], old[:, 1] * 2 / 3)
    assert torch.allclose(new[:, 1], old[:, 0] * 2 / 3)
    assert torch.allclose(new[:, 2], old.mean(1) * 2 / 3)
    assert "matched by name, swir start from the mean" in text


def test_other_classes_start_the_last_layer_anew(description, state_dict):
    torch.manual_seed(9)
    network, text = start(description, state_dict, description.bands, (1, 2))
    head = "network.segmentation_head.0.weight"
    assert network.state_dict()[head].shape == state_dict[head].shape
    assert not torch.equal(network.state_dict()[head], state_dict[head])
    body = "network.encoder.model.bn1.weight"
    assert torch.equal(network.state_dict()[body], state_dict[body])
    assert "the classes differ (the model's are 2 Wald & Wiese, 7 Wässer), so the last layer starts anew" in text


def test_bands_of_the_model_that_are_not_at_hand_are_listed(description, state_dict, bands):
    assert "matched by name, the model's nir have no match;" in start(description, state_dict, bands("red"), (2, 7))[1]
    assert "have no match" not in start(description, state_dict, description.bands, (2, 7))[1]


def test_bands_without_common_names_are_matched_by_order_or_refused(description, bands):
    assert match_bands(bands("a", "b"), description)[0] == [0, 1]
    with pytest.raises(ToolboxError, match=r"has the bands red, nir; the chips have a, b, c"):
        match_bands(bands("a", "b", "c"), description)


def test_foreign_tensors_are_refused(description, bands):
    other = build_network("linknet", "resnet18", 2, 2).state_dict()
    with pytest.raises(ToolboxError, match="do not fit its own architecture"):
        start(description, other, description.bands, (2, 7))
