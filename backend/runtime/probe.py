# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``probe``: what the worker's environment is and which device really computes. Runs in the worker."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from .device import choose_device
from .protocol import Event, device, info, progress, result
from .pythons import REQUIRED_PACKAGES

if TYPE_CHECKING:
    import torch

_SIZE = 1024  # rows and columns of the matrices that are multiplied and timed


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of the stage.

    Attributes:
        device: auto, cpu, mps, cuda or cuda:1.
    """

    device: str = "auto"


def probe(settings: ProbeSettings, job_id: str) -> Iterator[Event]:
    """Tries the device with a timed computation and tells the versions of all libraries.

    The result has DEVICE (its name), TORCH_VERSION, READY (always true: what is missing raises), PACKAGES (versions by
    distribution name), REASON (why it is not a faster device; may be empty) and SUMMARY (a sentence for people).
    """
    yield info(f"Python {platform.python_version()} on {platform.platform()} (job {job_id})")
    yield progress(0.0, "Loading PyTorch")
    import torch

    chosen = choose_device(settings.device)
    yield device(chosen.name, chosen.torch_device, chosen.reason)
    seconds = _time_product(torch.device(chosen.torch_device))
    yield info(f"Two matrices of {_SIZE} × {_SIZE} numbers were multiplied in {seconds * 1000:.1f} ms on {chosen.name}.")
    packages = {name: metadata.version(name) for name in REQUIRED_PACKAGES}
    yield progress(1.0)
    yield result(
        {
            "DEVICE": chosen.name,
            "TORCH_VERSION": torch.__version__,
            "READY": True,
            "PACKAGES": packages,
            "REASON": chosen.reason,
            "SUMMARY": chosen.describe(),
        }
    )


def _time_product(place: torch.device) -> float:
    """Seconds for the product of two square matrices, the copy of one sum back to the CPU included; best of three."""
    import torch

    matrix = torch.rand(_SIZE, _SIZE, device=place)
    times = []
    for _ in range(3):  # the first one loads the kernels
        start = time.perf_counter()
        float((matrix @ matrix).sum())  # waits for the device
        times.append(time.perf_counter() - start)
    return min(times)
