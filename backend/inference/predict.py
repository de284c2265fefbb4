# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the network on tiles: normalised pixels in, probabilities out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ToolboxError
from ..models.precision import HALF_TYPES
from .precision import probe_precision

# Tiles of 512 per step where nothing tells how much memory there is to use; on a CPU more are not faster.
DEFAULT_BATCH = {"cpu": 2, "mps": 4}
DEFAULT_PIXELS = 512**2
LARGEST_BATCH = 64
USABLE_SHARE = 0.6  # of a card's free memory: convolutions take scratch space that grows with the batch, too
# (quarter turns, mirrored): the eight symmetries of a square.
SYMMETRIES = tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True))


def default_batch(device: str, tile: int) -> int:
    """Tiles of this side per step; 0 on a CUDA card, where the first step is measured."""
    return max(DEFAULT_BATCH.get(device.partition(":")[0], 0) * DEFAULT_PIXELS // tile**2, 0 if device.startswith("cuda") else 1)


def fitting_batch(free_bytes: int, tile_bytes: int) -> int:
    """Tiles that fit into the free memory of a card, at least 1, when one takes ``tile_bytes``; a power of two."""
    fitting = int(free_bytes * USABLE_SHARE) // max(tile_bytes, 1)
    return 1 << (min(max(fitting, 1), LARGEST_BATCH).bit_length() - 1)


class TilePredictor:
    """The network with everything that turns a batch of tiles into probabilities.

    Args:
        network: Logits (N, classes, H, W) of images (N, bands, H, W).
        device: As PyTorch names it.
        batch_size: Tiles per step; 0 = one in the first step, then what fits into the card. Halved when the memory does not suffice.
        suppressed: Output channel that must not win; None = none.
        use_symmetries: Average over the eight flips and rotations.
        precision: From `precision.choose_precision`; with `probe`, call `probe` before `predict`.
    """

    def __init__(
        self, network: nn.Module, device: str, batch_size: int, suppressed: int | None, use_symmetries: bool, precision: str
    ) -> None:
        self._kind = device.partition(":")[0]
        self._network = network.to(device, memory_format=torch.channels_last).eval()
        self._suppressed = suppressed
        self._symmetries = SYMMETRIES if use_symmetries else SYMMETRIES[:1]
        self._device = torch.device(device)
        self._is_fitted = batch_size > 0
        self.batch_size = max(batch_size, 1)
        self.precision = precision

    @torch.inference_mode()
    def probe(self, tiles: Tensor) -> str:
        """Decides for a precision on normalised tiles (N, bands, H, W); returns a sentence that says why."""
        tiles = tiles.contiguous(memory_format=torch.channels_last)
        self.precision, reason = probe_precision(lambda precision: self._logits(tiles, precision))
        return reason

    @torch.inference_mode()
    def predict(self, tiles: Tensor) -> Tensor:
        """Probabilities (N, classes, H, W), float32, of normalised tiles (N, bands, H, W).

        Raises:
            RuntimeError: The batch does not fit into the memory; see `halve_batch` and `failures.is_out_of_memory`.
            ToolboxError: The network's answers are no numbers.
        """
        if not self._is_fitted:
            return self._predict_measured(tiles)
        if len(self._symmetries) == 1:  # turning by nothing would copy, twice
            return self._softmax(tiles)
        total: Tensor | None = None
        for turns, mirrored in self._symmetries:
            variant = torch.rot90(tiles, turns, (2, 3))
            variant = variant.flip(3) if mirrored else variant
            probabilities = self._softmax(variant)
            probabilities = probabilities.flip(3) if mirrored else probabilities
            probabilities = torch.rot90(probabilities, -turns, (2, 3))
            total = probabilities if total is None else total.add_(probabilities)
        return total / len(self._symmetries)

    def _predict_measured(self, tiles: Tensor) -> Tensor:
        """The first step on a CUDA card: afterwards the batch fits its memory."""
        self._is_fitted = True
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        probabilities = self.predict(tiles)
        taken = torch.cuda.max_memory_allocated(self._device) - before
        torch.cuda.empty_cache()  # what this step has left over counts as free
        self.batch_size = fitting_batch(torch.cuda.mem_get_info(self._device)[0], taken // len(tiles))
        return probabilities

    def _softmax(self, tiles: Tensor) -> Tensor:
        logits = self._logits(tiles.contiguous(memory_format=torch.channels_last), self.precision)
        if self._suppressed is not None:
            logits[:, self._suppressed] = -torch.inf
        probabilities = logits.softmax(1)
        if torch.isnan(probabilities.sum()):  # it would look like the first class, and sure
            advice = "train the model again" if self.precision not in HALF_TYPES else "choose PRECISION=fp32"
            raise ToolboxError(f"The network gives no numbers (NaN) in {self.precision}, so nothing can be classified; {advice}.")
        return probabilities

    def _logits(self, tiles: Tensor, precision: str) -> Tensor:
        half = HALF_TYPES.get(precision)
        with torch.autocast(self._kind, dtype=half or torch.bfloat16, enabled=half is not None):
            logits = self._network(tiles)
        return logits.float()

    def halve_batch(self) -> bool:
        """Makes the batch smaller after the memory ran out; False when it is one tile already."""
        if self._kind == "cuda":
            torch.cuda.empty_cache()
        if self.batch_size == 1:
            return False
        self.batch_size //= 2
        return True
