# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice of the device, and the probe that shows it; needs PyTorch."""

from __future__ import annotations

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import device
from deep_learning_toolbox.backend.runtime.client import run_job
from deep_learning_toolbox.backend.runtime.device import choose_device
from deep_learning_toolbox.backend.runtime.probe import ProbeSettings, probe

torch = pytest.importorskip("torch")


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_the_cpu_serves_when_asked_for():
    chosen = choose_device(" CPU ")
    assert (chosen.torch_device, chosen.reason) == ("cpu", "")
    assert chosen.name.startswith("CPU, ")


def test_auto_falls_back_on_the_cpu_and_says_why(no_cuda, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    chosen = choose_device("auto")
    assert chosen.torch_device == "cpu"
    assert chosen.reason.startswith("no CUDA device was found by PyTorch")


def test_a_driver_that_is_too_old_is_named(monkeypatch):
    def is_available():
        import warnings

        warnings.warn("The NVIDIA driver on your system is too old\nmore", UserWarning, stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    assert "(The NVIDIA driver on your system is too old)" in choose_device("auto").reason


@pytest.mark.parametrize("wanted", ["cuda", "cuda:1"])
def test_a_named_device_that_is_not_there_is_refused(no_cuda, wanted):
    with pytest.raises(
        ToolboxError, match=f"device “{wanted}” cannot be used: no CUDA device was found by PyTorch.*Choose auto or cpu"
    ):
        choose_device(wanted)


def test_a_device_that_is_there_but_does_not_compute_is_not_chosen(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    ones = torch.ones

    def fail_on_cuda(*size, device="cpu"):
        if device.startswith("cuda"):
            raise RuntimeError("no kernel image is available for execution on the device\nmore")
        return ones(*size, device=device)

    monkeypatch.setattr(device, "_describe", lambda name, reason: device.ChosenDevice(name, name, reason))
    monkeypatch.setattr(torch, "ones", fail_on_cuda)
    chosen = choose_device("auto")
    assert chosen.torch_device == "cpu"
    assert "a small computation on cuda failed (no kernel image is available for execution on the device)" in chosen.reason


@pytest.mark.parametrize("wanted", ["", "gpu", "cuda:", "cuda:0,cuda:1", "cpu:0"])
def test_other_words_are_refused(wanted):
    with pytest.raises(ToolboxError, match="is unknown: choose auto, cpu, mps, cuda"):
        choose_device(wanted)


def test_the_probe_tells_versions_and_device():
    events = list(probe(ProbeSettings(device="cpu"), "id"))
    outputs = events[-1]["outputs"]
    assert [event["event"] for event in events] == ["info", "progress", "device", "info", "progress", "result"]
    assert set(outputs) == {"DEVICE", "TORCH_VERSION", "READY", "PACKAGES", "REASON", "SUMMARY"}
    assert (outputs["READY"], outputs["TORCH_VERSION"]) == (True, torch.__version__)
    assert outputs["PACKAGES"]["torch"] == torch.__version__.partition("+")[0]


def test_the_probe_runs_through_the_client(make_request, this_python, job_folder):
    outputs = run_job(make_request(stage="probe", device="cpu"), this_python, job_folder, lambda event: None, lambda: False)
    assert (outputs["READY"], outputs["TORCH_VERSION"]) == (True, torch.__version__)
