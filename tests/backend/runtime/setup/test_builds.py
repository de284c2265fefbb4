# SPDX-License-Identifier: GPL-2.0-or-later
"""Which build of PyTorch a computer gets, from what nvidia-smi prints there."""

from __future__ import annotations

import pytest
from deep_learning_toolbox.backend.runtime.setup.builds import BUILDS, choose_build, find_build, name_build
from deep_learning_toolbox.backend.runtime.setup.gpu import Gpu, Graphics, find_graphics, parse_graphics

LINUX, WINDOWS, MAC, INTEL_MAC, ARM = (
    ("linux", "x86_64"),
    ("win32", "AMD64"),
    ("darwin", "arm64"),
    ("darwin", "x86_64"),
    ("linux", "aarch64"),
)
NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver ..."
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.65"

# What nvidia-smi prints, its exit code, the system → the build, whether from pip's default index, and a part of the reason.
ROWS = [
    ("NVIDIA GeForce RTX 4070, 8.9, 12282, 580.88\n", 0, LINUX, "cu130", True, ""),
    ("NVIDIA GeForce RTX 4070, 8.9, 12282, 581.29\n", 0, WINDOWS, "cu130", False, ""),
    ("NVIDIA GeForce RTX 5090, 12.0, 32607, 580.65.06\n", 0, LINUX, "cu130", True, ""),
    ("NVIDIA H100 80GB HBM3, 9.0, 81559, 580.95.05\n", 0, LINUX, "cu130", True, ""),
    ("NVIDIA GH200 480GB, 9.0, 97871, 580.95.05\n", 0, ARM, "cu130", False, ""),
    ("Tesla T4, 7.5, 15360, 580.65.06\n", 0, LINUX, "cu130", True, ""),
    ("NVIDIA GeForce GTX 1080 Ti, 6.1, 11264, 580.65.06\n", 0, LINUX, "cu126", False, "no kernels for the NVIDIA GeForce GTX 1080 Ti"),
    ("Tesla V100-SXM2-16GB, 7.0, 16384, 535.183.01\n", 0, LINUX, "cu126", False, "compute capability 7.0"),
    ("Quadro M4000, 5.2, 8192, 528.24\n", 0, WINDOWS, "cu126", False, "no kernels for the Quadro M4000"),
    ("NVIDIA GeForce RTX 3090, 8.6, 24576, 535.129.03\n", 0, LINUX, "cu126", False, "NVIDIA driver 580 or newer, and 535.129.03"),
    ("NVIDIA GeForce RTX 5090, 12.0, 32607, 572.16\n", 0, WINDOWS, "cpu", True, "and 572.16 is installed: update it from"),
    ("NVIDIA GeForce RTX 3090, 8.6, 24576, 515.43\n", 0, LINUX, "cpu", False, "needs NVIDIA driver 580"),
    ("GeForce GT 730, 3.5, 2002, 470.256.02\n", 0, LINUX, "cpu", False, "no kernels for the GeForce GT 730"),
    ("NVIDIA GeForce GTX 1060, 6.1, 6144, 580.1\nNVIDIA GeForce RTX 3060, 8.6, 12288, 580.1\n", 0, LINUX, "cu130", True, ""),
    ("NVIDIA A100-SXM4-40GB MIG 1g.5gb, 8.0, [N/A], 580.1\n", 0, LINUX, "cu130", True, ""),
    ('Field "compute_cap" is not a valid field to query.\n', 2, LINUX, "cpu", False, "so old that it cannot tell the compute"),
    ("WARNING: infoROM is corrupted\nNVIDIA GeForce RTX 4070, 8.9, 12282, 580.88\n", 14, LINUX, "cu130", True, ""),
    ("Unable to determine the device handle for GPU1\nTesla T4, 7.5, 15360, 580.1\n", 255, LINUX, "cu130", True, ""),
    (NO_DRIVER, 9, LINUX, "cpu", False, "couldn't communicate with the NVIDIA driver"),
    (MISMATCH, 18, LINUX, "cpu", False, "Driver/library version mismatch"),
    ("No devices were found\n", 6, WINDOWS, "cpu", True, "it finds no card"),
    ("", 0, LINUX, "cpu", False, "it names no card"),
    ("NVIDIA GeForce RTX 4070, 8.9\n", 0, LINUX, "cpu", False, "its answer is not understood"),
]


@pytest.mark.parametrize(("text", "code", "system", "name", "from_default", "reason"), ROWS)
def test_the_build_for_what_nvidia_smi_prints(text, code, system, name, from_default, reason):
    choice = choose_build(parse_graphics(text, code), "auto", *system)
    assert (choice.build.name, choice.blocked) == (name, False)
    assert (choice.build.index(*system) is None) == from_default
    assert reason in choice.reason
    assert bool(reason) == bool(choice.reason)


@pytest.mark.parametrize(
    ("system", "wanted", "name", "blocked", "reason"),
    [
        (LINUX, "auto", "cpu", False, "there is no NVIDIA graphics card"),
        (WINDOWS, "auto", "cpu", False, "there is no NVIDIA graphics card"),
        (MAC, "auto", "mps", False, ""),
        (MAC, "cuda", "mps", True, "no CUDA for macOS"),
        (INTEL_MAC, "auto", "cpu", True, "Intel Macs are not supported since PyTorch 2.3"),
        (("freebsd14", "amd64"), "auto", "cpu", True, "not built for freebsd14"),
        (LINUX, "cpu", "cpu", False, "asked for"),
        (LINUX, "cuda", "cu130", False, "CUDA was asked for, although"),  # the front end of a cluster has no card
    ],
)
def test_the_build_without_a_card(system, wanted, name, blocked, reason):
    choice = choose_build(Graphics(), wanted, *system)
    assert (choice.build.name, choice.blocked) == (name, blocked)
    assert reason in choice.reason


def test_cuda_for_a_card_that_no_build_serves_is_blocked():
    assert choose_build(parse_graphics("GeForce GT 730, 3.5, 2002, 470.1", 0), "cuda", *LINUX).blocked
    assert choose_build(parse_graphics(NO_DRIVER, 9), "cuda", *LINUX).blocked


def test_a_card_is_described_with_what_decides():
    graphics = parse_graphics("NVIDIA GeForce RTX 4070, 8.9, 12282, 580.88\n", 0)
    assert graphics.gpus == (Gpu("NVIDIA GeForce RTX 4070", (8, 9), 12282),)
    assert graphics.describe() == "NVIDIA GeForce RTX 4070 (compute capability 8.9, 12282 MiB); driver 580.88"


def test_versions_of_pytorch_name_their_build():
    assert (name_build("2.14.1+cu130"), name_build("2.14.1+cpu")) == ("cu130", "cpu")
    assert name_build("2.14.1") in {"cpu", "mps"}
    assert {build.name for build in BUILDS if find_build(build.name)} == {"cu130", "cu126", "mps", "cpu"}


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts a program called nvidia-smi on the path."""

    def make(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


def test_nvidia_smi_is_run_with_the_fields_that_count(smi):
    smi('[ "$1" = "--query-gpu=name,compute_cap,memory.total,driver_version" ] && echo "Tesla T4, 7.5, 15360, 580.1"')
    assert find_graphics() == Graphics((Gpu("Tesla T4", (7, 5), 15360),), "580.1")
    smi("echo 'Failed to initialize NVML: Unknown Error' >&2; exit 255")
    assert find_graphics().problem == "Failed to initialize NVML: Unknown Error"
