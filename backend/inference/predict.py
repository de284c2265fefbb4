# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the network on tiles: normalised pixels in, probabilities out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ToolboxError

DEFAULT_BATCH = {"cpu": 2, "cuda": 8, "mps": 4}
# (quarter turns, mirrored): the eight symmetries of a square.
SYMMETRIES = tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True))


class TilePredictor:
    """The network with everything that turns a batch of tiles into probabilities.

    Args:
        network: Logits (N, classes, H, W) of images (N, bands, H, W).
        device: As PyTorch names it.
        batch_size: Tiles per step; 0 = the device's default. Halved when the memory does not suffice.
        suppressed: Output channel that must not win; None = none.
        use_symmetries: Average over the eight flips and rotations.
    """

    def __init__(self, network: nn.Module, device: str, batch_size: int, suppressed: int | None, use_symmetries: bool) -> None:
        self._kind = device.partition(":")[0]
        self._network = network.to(device, memory_format=torch.channels_last).eval()
        self._suppressed = suppressed
        self._symmetries = SYMMETRIES if use_symmetries else SYMMETRIES[:1]
        self.batch_size = batch_size or DEFAULT_BATCH[self._kind]

    @torch.inference_mode()
    def predict(self, tiles: Tensor) -> Tensor:
        """Probabilities (N, classes, H, W), float32, of normalised tiles (N, bands, H, W).

        Raises:
            torch.OutOfMemoryError: The batch does not fit; see `halve_batch`.
        """
        total: Tensor | None = None
        for turns, mirrored in self._symmetries:
            variant = torch.rot90(tiles, turns, (2, 3))
            variant = variant.flip(3) if mirrored else variant
            probabilities = self._softmax(variant)
            probabilities = probabilities.flip(3) if mirrored else probabilities
            probabilities = torch.rot90(probabilities, -turns, (2, 3))
            total = probabilities if total is None else total.add_(probabilities)
        return total / len(self._symmetries) if len(self._symmetries) > 1 else total

    def _softmax(self, tiles: Tensor) -> Tensor:
        tiles = tiles.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._kind, dtype=self._half_type(), enabled=self._kind == "cuda"):
            logits = self._network(tiles)
        logits = logits.float()
        if self._suppressed is not None:
            logits[:, self._suppressed] = -torch.inf
        return logits.softmax(1)

    def _half_type(self) -> torch.dtype:
        """Cards before Ampere (compute capability 8) only emulate bfloat16."""
        if self._kind == "cuda" and torch.cuda.get_device_capability()[0] < 8:
            return torch.float16
        return torch.bfloat16

    def halve_batch(self) -> None:
        """Makes the batch smaller after the memory ran out; raises ToolboxError when it is one tile already."""
        if self.batch_size == 1:
            raise ToolboxError("The device's memory does not suffice for a single tile; choose a smaller TILE_SIZE or DEVICE=cpu.")
        self.batch_size //= 2
        if self._kind == "cuda":
            torch.cuda.empty_cache()
