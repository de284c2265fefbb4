# SPDX-License-Identifier: GPL-2.0-or-later
"""The exported file, run by ONNX Runtime as Deepness runs it: pixels divided by 255 in, probabilities out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.normalise import normalise
from deep_learning_toolbox.backend.models.catalogue import ARCHITECTURES, ENCODERS, check_choice
from deep_learning_toolbox.backend.models.onnx_export import export_onnx
from deep_learning_toolbox.backend.models.onnx_network import MatrixPool, pool_matrix
from deep_learning_toolbox.backend.models.onnx_settings import OnnxSettings
from deep_learning_toolbox.backend.models.package import load_model, write_package
from deep_learning_toolbox.backend.models.registry import build_network
from hypothesis import given
from hypothesis import strategies as st

TOLERANCE = 1e-3  # of probabilities: logits of random weights reach hundreds, of which float32 keeps the fourth decimal
LIGHT = "mobilenetv3_small_100"


@pytest.fixture
def package(tmp_path, description):
    """Writes a model of random weights that tells its classes apart, and returns its path."""

    def make(**changes):
        model = replace(description, **changes)
        torch.manual_seed(3)
        network = build_network(model.architecture, model.backbone, len(model.bands), len(model.class_values))
        for layer in network.modules():  # statistics as after a training, not those of a fresh network
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
        path = tmp_path / "mein modell ä.dlpk"
        write_package(path, model, network.state_dict())
        return path

    return make


def export(path, **settings):
    """The session of ONNX Runtime and the events."""
    output = path.with_suffix(".onnx")
    events = list(export_onnx(OnnxSettings(str(path), str(output), **settings), "job"))
    assert events[-1] == {"event": "result", "outputs": {"OUTPUT": str(output)}}
    return onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"]), events


def metadata(session):
    return {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}


def our_logits(path, stored):
    """Logits (N, K, S, S) of stored values by the functions that classification uses."""
    description, network = load_model(path)
    scale, offset = (torch.tensor([getattr(band, name) for band in description.bands]) for name in ("scale", "offset"))
    image = torch.from_numpy(stored.astype(np.float32)) * scale.view(-1, 1, 1) + offset.view(-1, 1, 1)
    valid = torch.ones(image.shape[0], *image.shape[2:], dtype=torch.bool)
    with torch.inference_mode():
        return network(normalise(image, valid, description.bands))


def assert_agrees(session, path, stored):
    """Probabilities, and the logits up to the constant that softmax takes away."""
    logits = our_logits(path, stored)
    (found,) = session.run(None, {session.get_inputs()[0].name: np.float32(stored * 1.0 / 255.0)})
    assert found.shape == tuple(logits.shape)
    np.testing.assert_allclose(found, logits.softmax(1).numpy(), atol=TOLERANCE)
    ours = logits.log_softmax(1).numpy()
    seen = found > 1e-6  # below, the probability's own 32 bits do not hold the logit
    assert seen.mean() >= 0.5  # one class a pixel at least, where random weights are sure of it
    np.testing.assert_allclose(np.log(found[seen]), ours[seen], atol=TOLERANCE * max(1, np.abs(ours).max()))


@pytest.mark.parametrize("side", [64, 70, 97])
@pytest.mark.parametrize("count", [1, 3])
def test_odd_sizes_and_any_number_of_tiles_give_our_probabilities(package, side, count):
    path = package()
    session, _ = export(path, tile_size=side)
    stored = np.random.default_rng(0).integers(0, 256, (count, 2, side, side)).astype(np.uint8)
    assert_agrees(session, path, stored)


BUILDABLE = [(one, other) for one in ARCHITECTURES for other in (LIGHT, "pvt_v2_b0") if not check_choice(one, other)]


@pytest.mark.parametrize(("architecture", "backbone"), BUILDABLE)
def test_every_architecture_is_exported(package, architecture, backbone):
    path = package(architecture=architecture, backbone=backbone, has_background=True)
    session, _ = export(path, tile_size=97)  # pools into 6 cells do not divide it
    assert_agrees(session, path, np.random.default_rng(0).integers(0, 256, (3, 2, 97, 97)).astype(np.uint8))


@pytest.mark.parametrize("backbone", [name for name in ENCODERS if name not in (LIGHT, "pvt_v2_b0")])
def test_every_backbone_is_exported(package, backbone):
    path = package(architecture="unet", backbone=backbone)
    session, _ = export(path)
    assert_agrees(session, path, np.random.default_rng(0).integers(0, 256, (1, 2, 64, 64)).astype(np.uint8))


def test_sixteen_bit_values_are_scaled_and_clipped_as_in_a_classification(package, description):
    bands = tuple(replace(band, scale=0.0001, offset=-0.1, low=0.0, high=0.4, mean=0.15, std=0.05) for band in description.bands)
    path = package(bands=bands)
    session, _ = export(path)
    stored = np.random.default_rng(0).integers(0, 20_000, (1, 2, 64, 64)).astype(np.uint16)
    assert_agrees(session, path, stored)
    beyond, clipped = (our_logits(path, np.full((1, 2, 64, 64), value, np.uint16)) for value in (5000, 20_000))
    assert torch.allclose(beyond, clipped)  # 0.4 is the upper end, so both are that


def test_metadata_are_those_that_deepness_reads(package):
    session, events = export(package(has_background=True))
    keys = metadata(session)
    assert keys.pop("deep_learning_toolbox")["class_values"] == [0, 2, 7]
    assert keys == {
        "model_type": "Segmentor",
        "class_names": {"0": "Background", "1": "Wald & Wiese", "2": "Wässer"},
        "resolution": 2850.0,
        "tile_size": 64,
        "tiles_size": 64,
        "tiles_overlap": 15,
        "standardization_mean": [0.0, 0.0],
        "standardization_std": [1.0, 1.0],
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    assert session.get_inputs()[0].shape == ["batch", 2, 64, 64]
    assert session.get_outputs()[0].shape == ["batch", 3, 64, 64]
    assert "nodata" in " ".join(event["message"] for event in events if event["event"] == "warning")


def test_an_unknown_resolution_is_left_out_and_told(package):
    session, events = export(package(gsd_m=None, cell_size=None, crs_wkt=None))
    assert "resolution" not in metadata(session)
    assert any("set by hand" in event.get("message", "") for event in events)


def test_a_tile_below_the_chip_is_exported_with_a_warning(package):
    _, events = export(package(), tile_size=32)
    assert any("smaller than the 64 pixels" in event.get("message", "") for event in events)


def test_a_foreign_file_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "m.dlpk").write_bytes(b"PK")
    with pytest.raises(ToolboxError, match="no complete model package"):
        list(export_onnx(OnnxSettings(str(tmp_path / "m.dlpk"), str(tmp_path / "m.onnx")), "job"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.dlpk"]


def test_a_place_that_cannot_be_written_is_named(package, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ToolboxError, match="cannot be written"):
        list(export_onnx(OnnxSettings(str(package()), str(tmp_path / "file" / "m.onnx")), "job"))


def test_faults_of_the_request_are_told_at_once():
    with pytest.raises(ToolboxError, match=r"'m\.txt' and must end in \.onnx; TILE_SIZE is 8, allowed are 0"):
        OnnxSettings("m.dlpk", "m.txt", 8)


@given(side=st.integers(1, 70), cells=st.integers(1, 12))
def test_a_pool_by_matrix_is_the_adaptive_pool(side, cells):
    features = torch.randn(1, 2, side, 5, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.adaptive_avg_pool2d(features, (cells, 2))
    assert torch.allclose(MatrixPool((cells, 2))(features), expected, atol=1e-5)
    assert torch.allclose(pool_matrix(side, cells).sum(1), torch.ones(cells))
