# SPDX-License-Identifier: GPL-2.0-or-later
"""How many chips of a step the free memory holds, where the request leaves that open (BATCH_SIZE = 0).

Waiting for an error is not enough: Linux kills a process that takes too much of the computer's memory, and on Windows a graphics
card's driver goes over to that memory and becomes slow, both without a word. What the backward pass needs is counted on PyTorch's
meta device, which knows shapes and holds no values, so it costs neither memory nor more than half a second; the loop still halves
the batch when memory ends all the same.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ..models.catalogue import ARCHITECTURES
from ..runtime.memory import free_memory
from ..runtime.protocol import Event, info
from ..runtime.ranks import Ranks
from .dataset import ChipStore
from .optimiser import freeze_encoder
from .precision import choose_precision
from .settings import TrainSettings

USUAL_BATCH = {"cpu": 8, "cuda": 16, "mps": 8}
SMALLEST_BATCH = 2  # batch normalisation over one sample fails in pooled branches
# Peak of a step over what the backward pass is handed, measured on the CPU with 14 networks, 256 and 512 pixels: 1.14 to 1.57.
WORKING_SHARE = 1.6
HALF_SHARE = 0.55  # of it in 16-bit floats; measured on the CPU with 5 networks: 0.51 to 0.52
COPIES = 6  # of the weights: themselves, gradients, two moments, average, the best so far
USABLE = 0.8  # of the free memory


def usual_batch(device: torch.device) -> int:
    """Chips of a step where memory does not matter."""
    return USUAL_BATCH.get(device.type, 8)


def fit_batch(network: nn.Module, store: ChipStore, settings: TrainSettings, ranks: Ranks) -> Iterator[Event]:
    """Tells when memory allows less than the usual batch; returns the chips of a step, all processes together.

    Args:
        network: On the CPU; stays as it is.
        store: Scanned chips.
        settings: The request.
        ranks: Those that train together; the one with the least memory decides.
    """
    device = torch.device(ranks.device)
    usual, free = usual_batch(device), free_bytes(device)
    rows, columns = (settings.chip_size, settings.chip_size) if settings.chip_size else store.chip_size
    fixed = COPIES * sum(tensor.nbytes for tensor in network.state_dict().values())
    per_chip = WORKING_SHARE * saved_bytes(network, (len(store.bands), rows, columns), settings.freeze)
    if choose_precision(settings.precision, device) != "fp32":
        per_chip *= HALF_SHARE
    batch, smallest = usual, ranks.size * max(SMALLEST_BATCH, ARCHITECTURES[settings.model_type].smallest_batch)
    while free and batch // 2 >= smallest and fixed + per_chip * batch / ranks.size > USABLE * free:
        batch //= 2
    batch = min(ranks.gather(batch))
    if batch < usual:
        gigabytes = f"{per_chip / 2**30:.1f} GB each, {free / 2**30:.1f} GB are free"
        yield info(f"The memory of {device} holds {batch} chips a step instead of the usual {usual} ({gigabytes}).")
    return batch


def free_bytes(device: torch.device) -> float:
    """Memory that one process may take on a device; 0 where that cannot be told."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu":
        return free_memory() / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes on this computer
    return 0.0


def saved_bytes(network: nn.Module, shape: tuple[int, int, int], frozen: bool = False) -> float:
    """Bytes that a forward pass in training keeps for the backward pass, per image of `shape` (C, H, W), in 32 bits.

    Args:
        network: Of logits (N, classes, H, W); stays as it is.
        shape: Of one image.
        frozen: The encoder does not learn.
    """
    meta = copy.deepcopy(network).to("meta").train()
    if frozen:
        freeze_encoder(meta)
    own = {tensor.untyped_storage()._cdata for tensor in (*meta.parameters(), *meta.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that its number is not given away again
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = meta(torch.empty((SMALLEST_BATCH, *shape), device="meta"))
        target = torch.empty((SMALLEST_BATCH, *shape[1:]), dtype=torch.long, device="meta")
        nn.functional.cross_entropy(logits, target)
    return sum(storage.nbytes() for storage in kept.values()) / SMALLEST_BATCH
