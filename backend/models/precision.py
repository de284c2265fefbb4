# SPDX-License-Identifier: GPL-2.0-or-later
"""Number formats of half the width, for training and inference alike."""

from __future__ import annotations

import torch

HALF_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
BFLOAT_CAPABILITY = 8  # of CUDA (Ampere): older cards only emulate bfloat16


def card_precision(device: torch.device | str) -> str:
    """The 16-bit format that a CUDA card computes fast in: `bf16`, on older cards `fp16`."""
    return "bf16" if torch.cuda.get_device_capability(torch.device(device))[0] >= BFLOAT_CAPABILITY else "fp16"
