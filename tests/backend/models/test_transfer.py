# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.models.transfer import match_bands, match_classes, transfer_weights

SAME = ("Wald & Wiese", "Wässer")  # the classes of the model
HEAD = "network.segmentation_head.0."


def start(description, state_dict, bands, class_names):
    network = build_network(description.architecture, description.backbone, len(bands), len(class_names))
    return network, transfer_weights(network, description, state_dict, bands, class_names)


def test_the_same_bands_and_classes_take_over_every_tensor(description, state_dict):
    network, text = start(description, state_dict, description.bands, SAME)
    assert all(torch.equal(tensor, state_dict[name]) for name, tensor in network.state_dict().items())
    assert "the last layer is kept" in text


def test_bands_follow_their_names(description, state_dict, bands):
    network, text = start(description, state_dict, bands("NIR", "red", "swir"), SAME)
    stem = "network.encoder.model.conv_stem.weight"
    old, new = state_dict[stem], network.state_dict()[stem]  # old: red, nir
    assert torch.allclose(new[:, 0], old[:, 1] * 2 / 3)
    assert torch.allclose(new[:, 1], old[:, 0] * 2 / 3)
    assert torch.allclose(new[:, 2], old.mean(1) * 2 / 3)
    assert "matched by name, swir start from the mean" in text


@pytest.mark.parametrize(
    ("names", "sources", "text"),
    [
        (("B08", "B04"), [1, 0], r"by name and by what names mean \(B08 = nir, B04 = red\)$"),
        (("B04", "red"), [None, 0], "matched by name, B04 start from the mean"),  # two mean red; the one that is called so has it
        (("B03", "nir", "B08"), [None, 1, None], "matched by name, B03, B08 start from the mean of the others, the model's red have"),
    ],
)
def test_bands_follow_what_their_names_mean(description, bands, names, sources, text):
    found, how = match_bands(bands(*names), description)
    assert found == sources
    assert re.search(text, how)


def test_other_classes_start_the_last_layer_anew(description, state_dict):
    torch.manual_seed(9)
    network, text = start(description, state_dict, description.bands, ("road", "roof"))
    assert network.state_dict()[HEAD + "weight"].shape == state_dict[HEAD + "weight"].shape
    assert not (network.state_dict()[HEAD + "weight"] == state_dict[HEAD + "weight"]).any()
    body = "network.encoder.model.bn1.weight"
    assert torch.equal(network.state_dict()[body], state_dict[body])
    assert "none of the model's classes (Wald & Wiese, Wässer) is among these, so the last layer starts anew" in text


def test_classes_that_both_have_keep_their_rows_of_the_last_layer_wherever_they_stand(description, state_dict):
    torch.manual_seed(9)
    state_dict[HEAD + "bias"] = torch.tensor([3.0, 4.0])
    network, text = start(description, state_dict, description.bands, ("Background", "WÄSSER ", "road"))
    fresh = build_network(description.architecture, description.backbone, 2, 3).state_dict()
    new = network.state_dict()
    assert torch.equal(new[HEAD + "weight"][1], state_dict[HEAD + "weight"][1])
    assert new[HEAD + "bias"].tolist() == [0.0, 4.0, 0.0]
    assert new[HEAD + "weight"].shape == fresh[HEAD + "weight"].shape
    assert not (new[HEAD + "weight"][[0, 2]] == state_dict[HEAD + "weight"]).any()
    assert "keeps what it knows of WÄSSER , Background, road start anew, the model's Wald & Wiese have no match" in text


def test_the_same_values_with_other_names_are_other_classes_and_a_name_that_stands_twice_is_none(description):
    assert match_classes(("Wässer", "Wald & Wiese"), description)[0] == [1, 0]
    assert match_classes(("Wald", "Wässer"), description)[0] == [None, 1]
    assert match_classes(("Wässer", "Wässer"), description)[0] == [None, None]


def test_the_background_of_both_is_the_same_class(description):
    assert match_classes(("Background", "x"), replace(description, has_background=True))[0] == [0, None]


def test_bands_of_the_model_that_are_not_at_hand_are_listed(description, state_dict, bands):
    assert "matched by name, the model's nir have no match;" in start(description, state_dict, bands("red"), SAME)[1]
    assert "have no match" not in start(description, state_dict, description.bands, SAME)[1]


def test_bands_without_common_names_are_matched_by_order_or_refused(description, bands):
    assert match_bands(bands("a", "b"), description)[0] == [0, 1]
    with pytest.raises(ToolboxError, match=r"has the bands red, nir; the chips have a, b, c"):
        match_bands(bands("a", "b", "c"), description)


def test_foreign_tensors_are_refused(description, bands):
    other = build_network("linknet", "resnet18", 2, 2).state_dict()
    with pytest.raises(ToolboxError, match="do not fit its own architecture"):
        start(description, other, description.bands, SAME)
