# SPDX-License-Identifier: GPL-2.0-or-later
"""The number format of the network: asked for, or tried."""

import time

import numpy as np
import pytest
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference.precision import choose_precision, probe_precision
from deep_learning_toolbox.backend.inference.predict import default_batch, fitting_batch
from deep_learning_toolbox.backend.inference.settings import ClassifySettings

from .known import FirstBandNetwork, run, scene


class Halved(FirstBandNetwork):
    """Slow in 32 bits; in half of them it may err in some columns."""

    def __init__(self, wrong_columns=0):
        super().__init__(3)
        self.wrong_columns = wrong_columns
        self.formats = []

    def forward(self, image):
        is_half = torch.is_autocast_enabled("cpu")
        self.formats.append("bf16" if is_half else "fp32")
        logits = super().forward(image)
        if not is_half:
            time.sleep(0.05)
        elif self.wrong_columns:
            logits[..., : self.wrong_columns] = logits[..., : self.wrong_columns].roll(1, 1)
        return logits


@pytest.mark.parametrize(("wanted", "format"), [("fp32", "fp32"), ("bf16", "bf16")])
def test_wanted_precision_is_what_the_network_computes_in(tmp_path, wanted, format):
    network = Halved()
    classes, events = run(tmp_path, scene(40, 40), network=network, precision=wanted)
    assert set(network.formats) == {format}
    assert f"Precision: {wanted}." in events["info"][1]["message"]
    assert np.array_equal(classes, scene(40, 40)[0] + 1)


@pytest.mark.parametrize(("wrong_columns", "chosen"), [(0, "bf16"), (3, "fp32")])
def test_faster_format_is_taken_where_its_classes_agree(tmp_path, monkeypatch, wrong_columns, chosen):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    network = Halved(wrong_columns)
    _, events = run(tmp_path, scene(100, 130), network=network)
    assert any(f"Precision: {chosen}; on one tile" in event["message"] for event in events["info"])
    assert set(network.formats[6:]) == {chosen}  # after the probe


def test_few_tiles_or_a_plain_processor_are_not_probed(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert choose_precision("auto", "cpu", True) == "probe"
    assert choose_precision("auto", "cpu", False) == "fp32"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert choose_precision("auto", "cpu", True) == "fp32"


def test_slower_format_is_not_taken():
    logits = torch.randn(1, 3, 8, 8)

    def slow_half(precision):
        time.sleep(0.03 if precision == "bf16" else 0.001)
        return logits

    assert probe_precision(slow_half)[0] == "fp32"


def test_16_bit_floats_on_a_processor_are_refused(tmp_path):
    with pytest.raises(ToolboxError, match="fp16 needs a graphics card"):
        run(tmp_path, scene(), precision="fp16")
    with pytest.raises(ToolboxError, match="PRECISION is “half”"):
        ClassifySettings("a.tif", "m.dlpk", "b.tif", precision="half")


def test_batch_fits_the_memory():
    gigabyte = 2**30
    assert fitting_batch(16 * gigabyte, gigabyte) == 8
    assert fitting_batch(gigabyte, 2 * gigabyte) == 1
    assert fitting_batch(1000 * gigabyte, gigabyte) == 64
    assert [default_batch("cpu", tile) for tile in (256, 512, 768)] == [8, 2, 1]
    assert default_batch("cuda:1", 512) == 0
