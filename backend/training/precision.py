# SPDX-License-Identifier: GPL-2.0-or-later
"""Number formats of the training: weights, losses and metrics stay in 32 bits, only the network computes in half of it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import ToolboxError
from ..models.precision import HALF_TYPES, card_precision


def choose_precision(wanted: str, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16`.

    Args:
        wanted: One of these, or `auto`: bf16 on CUDA cards that have it, fp16 on older ones, else fp32, whose results other
            machines repeat.
        device: Where the network runs.

    Raises:
        ToolboxError: 16-bit floats away from a CUDA card, where PyTorch lacks the scaling that they need.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise ToolboxError(f"PRECISION=fp16 needs a CUDA card, and the training runs on {device.type}; choose auto, fp32 or bf16.")
    if wanted != "auto":
        return wanted
    return card_precision(device) if device.type == "cuda" else "fp32"


class Arithmetic:
    """Runs forward passes in a precision, and steps that suit it.

    Args:
        precision: From `choose_precision`.
        device: Where the network runs.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        self.precision = precision
        self._device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def forward(self) -> AbstractContextManager[object]:
        """Around a forward pass."""
        half = HALF_TYPES.get(self.precision)
        return torch.autocast(self._device.type, dtype=half or torch.bfloat16, enabled=half is not None)

    def backward(self, loss: Tensor, optimiser: Optimizer) -> None:
        """Fills the gradients, in 32 bits and unscaled."""
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimiser)

    def step(self, optimiser: Optimizer) -> None:
        """Moves the weights; a step whose 16-bit gradients overflowed is left out, and the scale lowered."""
        self.scaler.step(optimiser)
        self.scaler.update()
