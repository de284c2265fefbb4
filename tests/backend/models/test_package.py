# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.models.package import load_model, read_package, write_package


@pytest.fixture
def package(tmp_path, description, state_dict):
    report = tmp_path / "report.html"
    report.write_text("<html></html>", encoding="utf-8")
    path = tmp_path / "mein modell ä.dlpk"
    write_package(path, description, state_dict, {"model_metrics.html": report})
    return path


def rewrite(path, changes=(), additions=()):
    """The package with members replaced or added, written by hand."""
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    members.update(dict(changes))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (*members.items(), *additions):
            archive.writestr(name, content)


def edit_definition(path, edit):
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".emd"))
        definition = json.loads(archive.read(name))
    edit(definition)
    rewrite(path, {name: json.dumps(definition)})


def test_a_package_comes_back_as_it_was_written(package, description, state_dict):
    read, tensors = read_package(package)
    assert read == description
    assert tensors.keys() == state_dict.keys()
    assert all(torch.equal(tensors[name], state_dict[name]) for name in tensors)


def test_the_members_are_those_of_an_arcgis_package(package):
    with zipfile.ZipFile(package) as archive:
        assert sorted(archive.namelist()) == ["mein modell ä.emd", "mein modell ä.safetensors", "model_metrics.html"]
        definition = json.loads(archive.read("mein modell ä.emd"))
    assert definition["ModelType"] == "ImageClassification"
    assert definition["ModelFile"] == "mein modell ä.safetensors"
    assert definition["ExtractBands"] == [0, 1]
    assert definition["Bands"] == ["red", "nir"]
    assert definition["Classes"][0] == {"Value": 2, "Name": "Wald & Wiese", "Color": [0, 120, 0]}
    assert definition["MinCellSize"] == {"x": 28.5, "y": 28.5}
    assert json.loads(definition["per_class_metrics"]) == {"Wässer": {"f1": 0.5}}
    assert "InferenceFunction" not in definition


def test_the_loaded_network_gives_the_same_logits(package, description, state_dict):
    read, network = load_model(package)
    image = torch.randn(1, 2, 40, 40)
    assert not network.training
    with torch.inference_mode():
        logits = network(image)
        network.load_state_dict(state_dict)
        assert torch.equal(logits, network(image))
    assert read.class_values == (2, 7)
    assert replace(read, has_background=True).class_values == (0, 2, 7)


def test_a_definition_with_its_weights_beside_is_read(package, description, tmp_path):
    with zipfile.ZipFile(package) as archive:
        for name in ("mein modell ä.emd", "mein modell ä.safetensors"):
            (tmp_path / name).write_bytes(archive.read(name))
    assert read_package(tmp_path / "mein modell ä.emd")[0] == description
    (tmp_path / "mein modell ä.safetensors").unlink()
    with pytest.raises(ToolboxError, match=r"'mein modell ä\.safetensors' must lie beside"):
        read_package(tmp_path / "mein modell ä.emd")


def test_a_model_file_outside_the_definitions_folder_is_not_read(package, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    with zipfile.ZipFile(package) as archive:
        definition = json.loads(archive.read("mein modell ä.emd"))
        (tmp_path / "w.safetensors").write_bytes(archive.read("mein modell ä.safetensors"))
    (inner / "m.emd").write_text(json.dumps({**definition, "ModelFile": "../w.safetensors"}), encoding="utf-8")
    with pytest.raises(ToolboxError, match="must lie beside"):
        read_package(inner / "m.emd")


def test_writing_replaces_whole_files_only(package, description, state_dict, tmp_path):
    before = package.read_bytes()
    with pytest.raises(FileNotFoundError):
        write_package(package, description, state_dict, {"model_metrics.html": tmp_path / "missing.html"})
    assert package.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mein modell ä.dlpk", "report.html"]


def test_other_extra_files_are_a_programming_error(description, state_dict, tmp_path):
    with pytest.raises(ValueError, match=r"\.\./x has no place"):
        write_package(tmp_path / "m.dlpk", description, state_dict, {"../x": tmp_path / "x"})


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_package_is_refused(package, share):
    content = package.read_bytes()
    package.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ToolboxError, match="no complete model package"):
        read_package(package)


def test_a_flipped_byte_in_the_weights_is_found(package):
    content = bytearray(package.read_bytes())
    content[len(content) // 2] ^= 0xFF
    package.write_bytes(content)
    with pytest.raises(ToolboxError, match="damaged"):
        read_package(package)


def test_a_model_of_arcgis_is_refused_by_name(tmp_path):
    path = tmp_path / "esri.dlpk"
    definition = {"Framework": "arcgis.learn.models._inferencing", "ModelName": "UnetClassifier", "ModelFile": "m.pth",
                  "InferenceFunction": "ArcGISImageClassifier.py"}  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m.emd", json.dumps(definition))
        archive.writestr("m.pth", b"x")
    with pytest.raises(ToolboxError, match=r"framework arcgis.learn.models._inferencing, model UnetClassifier, weights 'm.pth'"):
        read_package(path)


@pytest.mark.parametrize("name", ["../evil.html", "/etc/evil", "C:/evil", "a\\..\\evil"])
def test_unsafe_member_names_are_refused(package, name):
    rewrite(package, additions=[(name, b"x")])
    with pytest.raises(ToolboxError, match="unsafe file name"):
        read_package(package)


def test_an_unexpected_member_is_refused(package):
    rewrite(package, additions=[("run.py", b"print()")])
    with pytest.raises(ToolboxError, match=r"unexpected file 'run\.py'"):
        read_package(package)


def test_a_bomb_is_not_unpacked(package):
    rewrite(package, {"mein modell ä.safetensors": bytes(50_000_000)})
    assert package.stat().st_size < 200_000
    with pytest.raises(ToolboxError, match="unpacks to 50,000,000 bytes"):
        read_package(package)


def test_too_many_members_are_refused(package):
    rewrite(package, additions=[(f"ModelCharacteristics/{number}.png", b"") for number in range(70)])
    with pytest.raises(ToolboxError, match="holds 73 files"):
        read_package(package)


def test_a_zip_without_a_definition_is_refused(tmp_path):
    path = tmp_path / "x.dlpk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(ToolboxError, match=r"holds 0 \.emd files"):
        read_package(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ToolboxError, match=r"none\.dlpk does not exist"):
        read_package(tmp_path / "none.dlpk")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["Toolbox"].update(schema=99, version="9.9"), "Toolbox 9.9"),
        (lambda d: d["Toolbox"].pop("bands"), "incomplete"),
        (lambda d: d["Toolbox"].update(architecture="transformer9"), "MODEL_TYPE 'transformer9' is unknown"),
        (lambda d: d["Toolbox"].update(chip_size=-1), "impossible chip size"),
        (lambda d: d["Toolbox"].update(bands=[]), "no bands"),
        (lambda d: d["Toolbox"]["classes"][0].update(value=-3), "-3"),
        (lambda d: d["Toolbox"]["bands"][0].update(code="x"), "incomplete"),
        (lambda d: d["Toolbox"]["bands"][0].update(mean="x"), "mean of band red is 'x'"),
        (lambda d: d["Toolbox"]["bands"][1].update(std=float("nan")), "std of band nir is nan"),
        (lambda d: d["Toolbox"].update(chip_size=float("inf")), "incomplete"),
        (lambda d: d["Toolbox"].update(cell_size=[1]), "incomplete"),
        (lambda d: d["Toolbox"].update(gsd_m=-5), "impossible cell size of -5 m"),
        (lambda d: d["Toolbox"].update(gsd_m="nan"), "impossible cell size of nan m"),
        (lambda d: d["Toolbox"].update(classes=7), "incomplete|7"),
    ],
)
def test_a_definition_with_impossible_entries_is_refused(package, edit, words):
    edit_definition(package, edit)
    with pytest.raises(ToolboxError, match=words):
        read_package(package)


def test_weights_of_another_network_are_refused(package):
    edit_definition(package, lambda d: d["Toolbox"].update(backbone="resnet18"))
    with pytest.raises(ToolboxError, match="do not fit the network"):
        load_model(package)


@pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe", b"{", b"[" * 100_000])
def test_a_definition_that_is_no_json_object_is_refused(package, content):
    rewrite(package, {"mein modell ä.emd": content})
    with pytest.raises(ToolboxError, match=r"JSON|unpacks"):
        read_package(package)
