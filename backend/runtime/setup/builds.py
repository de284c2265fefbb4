# SPDX-License-Identifier: GPL-2.0-or-later
"""Which build of PyTorch serves a computer: the table, and the choice with its reason. Standard library only.

Facts for the pinned PyTorch 2.14: its builds for CUDA 13 have kernels from compute capability 7.5 (Turing) on and need driver 580;
the build for CUDA 12.6, the last for Maxwell, Pascal and Volta cards, has them for 5.0 to 9.0 and needs driver 525 (pytorch/pytorch
#190385 and RELEASE.md; NVIDIA, CUDA compatibility, minor versions). The package index that pip asks by default carries the build for
CUDA 13 on Linux, the one without CUDA on Windows, the one with Metal on macOS.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .gpu import Gpu, Graphics

DEVICES = ("auto", "cpu", "cuda")
PYTORCH_INDEX = "https://download.pytorch.org/whl"
GB = 10**9
UPDATE_DRIVER = "update it from NVIDIA's site, then repair the installation"


@dataclass(frozen=True)
class Build:
    """One build of PyTorch.

    Attributes:
        name: Its name, which is its folder in PyTorch's own index.
        title: Name for people.
        systems: Pairs of operating system and processor it exists for, as Python names them.
        on_default: Those of them that find it on pip's default index; the others find it only on PyTorch's own.
        capabilities: Lowest and highest compute capability it has kernels for; None without CUDA.
        driver: Lowest main version of NVIDIA's driver.
        download: Bytes to download, all other libraries included; measured for cu130 and cpu, else estimated.
        disk: Bytes needed while installing: downloads and unpacked files.
    """

    name: str
    title: str
    systems: tuple[tuple[str, str], ...]
    on_default: tuple[tuple[str, str], ...]
    download: int
    disk: int
    capabilities: tuple[tuple[int, int], tuple[int, int]] | None = None
    driver: int = 0

    def serves(self, gpu: Gpu) -> bool:
        """Whether it has kernels for a card."""
        return self.capabilities is not None and self.capabilities[0] <= gpu.capability <= self.capabilities[1]

    def index(self, system: str | None = None, machine: str | None = None) -> str | None:
        """Address of the index to take it from on a system (by default this one); None = pip's default index."""
        here = (system or sys.platform, (machine or platform.machine()).lower())
        return None if here in self.on_default else f"{PYTORCH_INDEX}/{self.name}"


_LINUX, _WINDOWS, _ARM, _MAC = ("linux", "x86_64"), ("win32", "amd64"), ("linux", "aarch64"), ("darwin", "arm64")
# Best first.
BUILDS = (
    Build("cu130", "CUDA 13", (_LINUX, _WINDOWS, _ARM), (_LINUX,), 3 * GB, 9 * GB, ((7, 5), (12, 1)), 580),
    Build("cu126", "CUDA 12.6", (_LINUX, _WINDOWS), (), 3 * GB, 9 * GB, ((5, 0), (9, 0)), 525),
    Build("mps", "Metal", (_MAC,), (_MAC,), 400 * 10**6, 3 * GB),
    Build("cpu", "CPU", (_LINUX, _WINDOWS, _ARM), (_WINDOWS,), 400 * 10**6, 3 * GB),
)


@dataclass(frozen=True)
class Choice:
    """A build and why it is not a better one.

    Attributes:
        build: The build.
        reason: Why not CUDA, or why not the newest; empty when nothing is to be said.
        blocked: The build cannot be installed at all, for this reason.
    """

    build: Build
    reason: str = ""
    blocked: bool = False


def find_build(name: str) -> Build | None:
    """The build of this name, None when the table does not know it (any more)."""
    return next((build for build in BUILDS if build.name == name), None)


def default_build() -> Build | None:
    """The build that pip's default index has for this system, if it is known."""
    return next((build for build in BUILDS if build.index() is None), None)


def name_build(version: str) -> str:
    """The name of the build that a version of PyTorch, such as 2.14.1+cu130, belongs to."""
    local = version.partition("+")[2]
    return local or ("mps" if sys.platform == "darwin" else "cpu")


def choose_build(graphics: Graphics, wanted: str = "auto", system: str | None = None, machine: str | None = None) -> Choice:
    """The best build for a computer.

    Args:
        graphics: What `gpu.find_graphics` found.
        wanted: auto, cpu or cuda.
        system: ``sys.platform``; by default this computer's, as is the next.
        machine: ``platform.machine()``.
    """
    system = system or sys.platform
    machine = (machine or platform.machine()).lower()
    there = [build for build in BUILDS if (system, machine) in build.systems]
    if not there:
        hint = " (Intel Macs are not supported since PyTorch 2.3)" if (system, machine) == ("darwin", "x86_64") else ""
        return Choice(BUILDS[-1], f"PyTorch is not built for {system} on {machine} processors{hint}", blocked=True)
    plain = next(build for build in there if build.capabilities is None)
    if system == "darwin":
        return Choice(plain, "there is no CUDA for macOS" if wanted == "cuda" else "", blocked=wanted == "cuda")
    if wanted == "cpu":
        return Choice(plain, "the device CPU was asked for")
    with_cuda = [build for build in there if build.capabilities]
    if wanted == "cuda" and graphics == Graphics():
        return Choice(with_cuda[0], "CUDA was asked for, although this computer has no NVIDIA graphics card")  # a cluster's front end
    fitting, reason = _choose_cuda(with_cuda, graphics)
    if fitting is not None:
        return Choice(fitting, reason)
    return Choice(plain, reason, blocked=wanted == "cuda")


def _choose_cuda(builds: list[Build], graphics: Graphics) -> tuple[Build | None, str]:
    """The best build with CUDA for the cards and the driver, or None; and the reason why it is not the best of all, or none."""
    if graphics.problem or not graphics.gpus:
        return None, f"there is {graphics.describe()}"
    best = max(graphics.gpus, key=lambda gpu: gpu.capability)
    complaints = list(_complain(builds, best, graphics))
    for build, complaint in zip(builds, complaints):
        if not complaint:
            return build, complaints[0]
    return None, complaints[0]


def _complain(builds: list[Build], gpu: Gpu, graphics: Graphics) -> Iterator[str]:
    """For each build, what keeps it from serving a card; empty when nothing does."""
    for build in builds:
        if not build.serves(gpu):
            number = f"{gpu.capability[0]}.{gpu.capability[1]}"
            yield f"{build.title} has no kernels for the {gpu.name} (compute capability {number})"
        elif graphics.driver_number < build.driver:
            yield f"{build.title} needs NVIDIA driver {build.driver} or newer, and {graphics.driver} is installed: {UPDATE_DRIVER}"
        else:
            yield ""
