# SPDX-License-Identifier: GPL-2.0-or-later
"""The running mean of a network's weights, which is what is measured and kept: steadier than the weights of any one step."""

from __future__ import annotations

import copy

import torch
from torch import nn

from ..runtime.ranks import Ranks

LARGEST_DECAY = 0.999


class WeightAverage:
    """Exponential moving average of a network's weights and buffers, after timm's `ModelEmaV3`.

    The decay grows as (1 + t) / (10 + t), so that a short run is not dominated by its random start, up to 0.999.

    Attributes:
        network: A copy of the network that holds the average, in evaluation mode.
        updates: How often it was moved.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the network."""
        decay = min(LARGEST_DECAY, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for mean, current in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(current, 1 - decay)
            else:
                mean.copy_(current)

    @torch.no_grad()
    def agree(self, ranks: Ranks) -> None:
        """Replaces the statistics of normalisation, which each rank gathers from its own crops, by their mean."""
        if ranks.size == 1:
            return
        for buffer in self.network.buffers():
            if buffer.dtype.is_floating_point:
                ranks.add_up(buffer).div_(ranks.size)
