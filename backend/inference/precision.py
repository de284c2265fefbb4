# SPDX-License-Identifier: GPL-2.0-or-later
"""The number format in which the network computes: asked for, or found out by trying it on a tile."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ToolboxError
from ..models.precision import card_precision

# As PyTorch names them; bfloat16 has no instructions there, and trying it takes many times a forward pass.
WITHOUT_BFLOAT = ("NO AVX", "DEFAULT", "AVX2")
TRIES = 2
LEAST_GAIN = 1.1
LEAST_AGREEMENT = 0.995


def choose_precision(wanted: str, device: str, fits_probe: bool) -> str:
    """`fp32`, `bf16`, `fp16`, or `probe`: to be found out by `probe_precision` on the first tile.

    Args:
        wanted: `auto`, `fp32`, `bf16` or `fp16`.
        device: As PyTorch names it.
        fits_probe: Whether there are enough tiles for a probe to pay.

    Raises:
        ToolboxError: 16-bit floats away from a graphics card.
    """
    kind = device.partition(":")[0]
    if wanted == "fp16" and kind == "cpu":
        raise ToolboxError("PRECISION=fp16 needs a graphics card, and this run uses the CPU; choose auto, fp32 or bf16.")
    if wanted != "auto":
        return wanted
    if kind == "cuda":
        return card_precision(device)
    may_gain = kind == "cpu" and fits_probe and torch.backends.cpu.get_cpu_capability() not in WITHOUT_BFLOAT
    return "probe" if may_gain else "fp32"


def probe_precision(logits_in: Callable[[str], Tensor]) -> tuple[str, str]:
    """Whether bf16 is worth it on this CPU for this network, and a sentence that says why.

    Args:
        logits_in: Logits (N, classes, H, W) of a real tile in a precision.
    """
    seconds, winners = {}, {}
    for precision in ("fp32", "bf16"):
        winners[precision] = logits_in(precision).argmax(1)  # the first pass also warms up
        times = []
        for _ in range(TRIES):
            start = time.perf_counter()
            logits_in(precision)
            times.append(time.perf_counter() - start)
        seconds[precision] = min(times)
    gain = seconds["fp32"] / max(seconds["bf16"], 1e-9)
    agreement = float((winners["fp32"] == winners["bf16"]).float().mean())
    chosen = "bf16" if gain >= LEAST_GAIN and agreement >= LEAST_AGREEMENT else "fp32"
    return chosen, f"Precision: {chosen}; on one tile, bf16 is {gain:.1f} times as fast and gives {agreement:.2%} of the same classes."
