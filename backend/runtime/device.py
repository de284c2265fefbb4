# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice of the device, proved by a real computation. Runs in the worker; imports PyTorch when called."""

from __future__ import annotations

import os
import platform
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolboxError

_FORM = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class ChosenDevice:
    """A device that has computed something correctly.

    Attributes:
        torch_device: As PyTorch names it: cpu, mps, cuda:0.
        name: As people name it, e.g. of the graphics card.
        detail: Version of CUDA and memory of a graphics card, e.g. ``CUDA 13.0, 12 GB``; else empty.
        reason: Why it is not a faster one; empty when nothing is to be said.
    """

    torch_device: str
    name: str
    reason: str
    detail: str = ""

    def describe(self) -> str:
        """A sentence without a full stop, e.g. ``Ready on CPU, because …``."""
        if self.torch_device == "cpu":
            return f"Ready on {self.name}" + (f", because {self.reason}" if self.reason else "")
        return "Ready: " + ", ".join(text for text in (self.name, self.detail) if text)


def choose_device(wanted: str) -> ChosenDevice:
    """The device to compute on.

    Args:
        wanted: cpu, mps, cuda, cuda:1 (the second one), or auto: the first that works of CUDA, MPS, CPU.

    Raises:
        ToolboxError: The text is none of these, or the named device is not there or does not compute.
    """
    wanted = wanted.strip().lower()
    if not _FORM.fullmatch(wanted):
        raise ToolboxError(f"The device “{wanted}” is unknown: choose auto, cpu, mps, cuda, or a numbered one such as cuda:1.")
    if wanted != "auto":
        fault = _find_fault(wanted)
        if fault:
            raise ToolboxError(f"The device “{wanted}” cannot be used: {fault}. Choose auto or cpu.")
        return _describe(wanted, "")
    reasons = []
    for candidate in ("cuda", "mps"):
        fault = _find_fault(candidate)
        if not fault:
            return _describe(candidate, "")
        if candidate == "cuda" or platform.system() == "Darwin":  # MPS is Apple's: elsewhere nobody misses it
            reasons.append(fault)
    fault = _find_fault("cpu")
    if fault:
        raise ToolboxError(f"PyTorch does not compute on this machine, not even on its CPU: {fault}.")
    return _describe("cpu", "; ".join(reasons))


def _find_fault(device: str) -> str:
    """What keeps PyTorch from computing on a device, in words that go on a sentence; empty when it does."""
    import torch

    with warnings.catch_warnings(record=True) as caught:  # PyTorch tells of a driver that is too old in a warning
        warnings.simplefilter("always")
        if device.startswith("cuda") and not torch.cuda.is_available():
            build = "" if torch.version.cuda else f" (its version {torch.__version__} is a build without CUDA)"
            told = "".join(f" ({str(item.message).splitlines()[0]})" for item in caught[:1])
            return f"no CUDA device was found by PyTorch{build}{told}"
        if device == "mps" and not torch.backends.mps.is_available():
            return "no MPS device was found by PyTorch"
        try:
            ones = torch.ones(64, 64, device=device)
            total = float((ones @ ones).sum())
        except (RuntimeError, AssertionError) as fault:  # no such number, no kernels for this card, no memory, driver mismatch
            return f"a small computation on {device} failed ({str(fault).splitlines()[0]})"
    return "" if total == 64.0**3 else f"a small computation on {device} gave {total} instead of {64.0**3}"


def _describe(device: str, reason: str) -> ChosenDevice:
    import torch

    if device.startswith("cuda"):
        index = int(device.partition(":")[2] or torch.cuda.current_device())
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        return ChosenDevice(f"cuda:{index}", torch.cuda.get_device_name(index), reason, f"CUDA {torch.version.cuda}, {memory:.0f} GB")
    if device == "mps":
        return ChosenDevice(device, f"Apple graphics processor ({platform.machine()})", reason)
    return ChosenDevice(device, f"CPU, {_cpu_name()}, {os.cpu_count()} threads", reason)


def _cpu_name() -> str:
    """The processor's name as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", information.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
