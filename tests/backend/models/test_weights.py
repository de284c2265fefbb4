# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pickle

import pytest
import safetensors.torch
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.registry import build_network
from deep_learning_toolbox.backend.models.stem import adapt_stem, describe_stem, name_colours
from deep_learning_toolbox.backend.models.weights import load_encoder_weights, read_state_dict

BACKBONE = "mobilenetv3_small_100"


def test_colours_are_found_by_name_and_wavelength(bands, band):
    assert name_colours(bands("Blue", "GREEN", "red band", "nir", "SWIR 1")) == ["blue", "green", "red", None, None]
    assert name_colours(bands("B02", "B03", "B04", "B05", "B8A")) == ["blue", "green", "red", None, None]
    assert name_colours(bands("B4", "Red Edge 1", "vegetation_rededge", "rot", "B")) == [None, None, None, "red", "blue"]
    assert name_colours((band("B3", 0.48), band("red", 0.83), band("x", 0.655), band("y", 0.561))) == [
        "blue",
        None,
        "red",
        "green",
    ]


def test_three_unnamed_bands_are_taken_as_a_photograph(bands, band):
    assert name_colours(bands("Band 1", "Band 2", "Band 3")) == ["red", "green", "blue"]
    assert name_colours(bands("Band 1", "Band 2", "Band 3", "Band 4")) == [None] * 4
    assert name_colours((band("1", 0.8), band("2", 1.6), band("3", 2.2))) == [None] * 3


def test_the_stem_follows_the_names_not_the_order(bands):
    kernel = torch.tensor([3.0, 6.0, 12.0]).view(1, 3, 1, 1)  # red, green, blue; mean 7
    adapted = adapt_stem(kernel, bands("blue", "green", "red", "nir", "swir1", "swir2"))
    assert adapted.flatten().tolist() == [6.0, 3.0, 1.5, 3.5, 3.5, 3.5]
    assert adapt_stem(kernel, bands("pan")).flatten().tolist() == [21.0]


def test_the_stem_is_described(bands):
    assert describe_stem(bands("blue", "nir")) == "blue from 'blue'; 1 other band(s) start from the mean of the three"
    assert describe_stem(bands("a", "c")).startswith("no band is known as red")


@pytest.fixture
def rgb_state():
    torch.manual_seed(1)
    return {name.removeprefix("model."): tensor for name, tensor in build_network("unet", BACKBONE, 3, 2).encoder.state_dict().items()}


def load(state, folder, bands, mode="auto", suffix=".safetensors", architecture="unet"):
    path = folder / f"{BACKBONE}{suffix}"
    safetensors.torch.save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    network = build_network(architecture, BACKBONE, len(bands), 2)
    return network, load_encoder_weights(network, BACKBONE, mode, None, str(folder), bands)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_cached_weights_fill_the_whole_encoder(rgb_state, tmp_path, bands, suffix):
    state = {**rgb_state, "classifier.weight": torch.zeros(10, 4), "conv_head.weight": torch.zeros(2, 2, 1, 1)}
    network, loaded = load(state, tmp_path, bands("nir", "red", "green", "blue"), suffix=suffix)
    own = {name.removeprefix("model."): tensor for name, tensor in network.encoder.state_dict().items()}
    assert loaded.pretrained
    assert not loaded.warning
    assert "red from 'red', green from 'green', blue from 'blue'" in loaded.description
    assert torch.allclose(own["conv_stem.weight"][:, 1], rgb_state["conv_stem.weight"][:, 0] * 0.75)
    others = [name for name in own if name != "conv_stem.weight" and "num_batches" not in name]
    assert all(torch.equal(own[name], rgb_state[name]) for name in others)


def test_wrapped_and_prefixed_state_dictionaries_are_unwrapped(rgb_state, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in rgb_state.items()}, "epoch": 3}, path)
    assert read_state_dict(path).keys() == rgb_state.keys()


def test_missing_weights_warn_in_auto_and_fail_when_required(tmp_path, bands):
    network = build_network("linknet", BACKBONE, 1, 2)
    loaded = load_encoder_weights(network, BACKBONE, "auto", None, "", bands("a"))
    assert (loaded.pretrained, loaded.warning) == (False, True)
    assert BACKBONE in loaded.description
    assert "choose WEIGHTS=file" in loaded.description
    with pytest.raises(ToolboxError, match=f"choose WEIGHTS=file.*put {BACKBONE}.safetensors into {tmp_path}, or choose WEIGHTS=auto"):
        load_encoder_weights(network, BACKBONE, "imagenet", None, str(tmp_path), bands("a"))
    assert not load_encoder_weights(network, BACKBONE, "none", None, "", bands("a")).warning


def test_weights_that_lack_a_tensor_are_refused_with_the_count(rgb_state, tmp_path, bands):
    rgb_state.pop("bn1.weight")
    total = sum("num_batches" not in name for name in rgb_state) + 1
    with pytest.raises(ToolboxError, match=f"{total - 1} of its {total} tensors match and 0 tensors"):
        load(rgb_state, tmp_path, bands("a", "b"))


def test_weights_of_a_deeper_relative_are_refused(tmp_path, bands):
    """Every tensor of ResNet-18 has its like in ResNet-34; what is left over tells them apart."""
    torch.save(build_network("unet", "resnet34", 3, 2).encoder.state_dict(), tmp_path / "x.pth")
    with pytest.raises(ToolboxError, match="choose the BACKBONE the weights belong to"):
        load_encoder_weights(
            build_network("unet", "resnet18", 3, 2), "resnet18", "file", str(tmp_path / "x.pth"), "", bands("r", "g", "b")
        )


def test_stage_names_of_timm_classifiers_fit_and_unused_stages_are_left_out(tmp_path, bands):
    full = build_network("unet", "pvt_v2_b0", 3, 2).encoder.state_dict()
    state = {name.removeprefix("model.").replace("stages_", "stages."): tensor for name, tensor in full.items()}
    torch.save({**state, "head.weight": torch.zeros(2)}, tmp_path / "pvt_v2_b0.pth")
    for architecture in ("unet", "pspnet"):  # PSPNet uses the first stages only
        network = build_network(architecture, "pvt_v2_b0", 3, 2)
        assert load_encoder_weights(network, "pvt_v2_b0", "auto", None, str(tmp_path), bands("red", "green", "blue")).pretrained


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv2_100"])
def test_weights_fill_a_network_that_does_without_the_last_stages(tmp_path, bands, backbone):
    unet = build_network("unet", backbone, 3, 2).encoder.state_dict()
    whole = {name.removeprefix("model."): tensor for name, tensor in unet.items()}
    torch.save(whole, tmp_path / f"{backbone}.pth")
    network = build_network("pspnet", backbone, 3, 2)
    assert load_encoder_weights(network, backbone, "auto", None, str(tmp_path), bands("red", "green", "blue")).pretrained
    own = {name.removeprefix("model."): tensor for name, tensor in network.encoder.state_dict().items() if "num_b" not in name}
    assert len(own) < len(whole) / 2
    assert all(torch.equal(tensor, whole[name]) for name, tensor in own.items())


@pytest.mark.parametrize("architecture", ["unet", "pspnet"])
def test_original_efficientnet_names_are_translated(tmp_path, bands, architecture):
    """The names of the first PyTorch port, for a stage without and one with expansion; PSPNet does without the last stages."""
    whole = build_network("unet", "tf_efficientnet_lite0", 3, 2).encoder.state_dict()
    network = build_network(architecture, "tf_efficientnet_lite0", 3, 2)
    own = {name.removeprefix("model."): tensor for name, tensor in whole.items() if "num_b" not in name}
    places = sorted({tuple(map(int, name.split(".")[1:3])) for name in own if name.startswith("blocks.")})
    plain = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    expanded = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    expanded |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    original = {"_fc.weight": torch.zeros(2), "_conv_head.weight": torch.zeros(1), "_bn1.bias": torch.zeros(1)}
    for name, tensor in own.items():
        parts = name.split(".")
        if parts[0] == "blocks":
            table = plain if parts[1] == "0" else expanded
            block = places.index((int(parts[1]), int(parts[2])))
            original[".".join(["_blocks", str(block), table[parts[3]], *parts[4:]])] = torch.randn_like(tensor)
        else:
            original[".".join(["_conv_stem" if parts[0] == "conv_stem" else "_bn0", *parts[1:]])] = torch.randn_like(tensor)
    torch.save(original, tmp_path / "w.pth")
    loaded = load_encoder_weights(network, "tf_efficientnet_lite0", "file", str(tmp_path / "w.pth"), "", bands("red", "green", "blue"))
    after = network.encoder.state_dict()
    assert f"({len([name for name in after if 'num_b' not in name])} tensors)" in loaded.description
    assert torch.equal(after["model.blocks.0.0.conv_pw.weight"], original["_blocks.0._project_conv.weight"])
    assert torch.equal(after["model.blocks.1.1.bn3.running_var"], original["_blocks.2._bn2.running_var"])
    assert torch.equal(after["model.bn1.weight"], original["_bn0.weight"])


class Trap:
    def __reduce__(self):
        return (print, ("run",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"a": Trap()}, path)
    with pytest.raises(ToolboxError, match="holds more than a state dictionary"):
        read_state_dict(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ToolboxError, match="cannot be read as weights"):
        read_state_dict(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.pth", None, "does not exist"),
        ("weights.h5", b"x", "is no weights file"),
        ("short.safetensors", b"\x10\x00", "cannot be read as weights"),
        ("empty.pth", b"", "cannot be read as weights"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ToolboxError, match=words):
        read_state_dict(tmp_path / name)


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"a": 3}, tmp_path / "a.pth")
    with pytest.raises(ToolboxError, match="no state dictionary"):
        read_state_dict(tmp_path / "a.pth")
