# SPDX-License-Identifier: GPL-2.0-or-later
"""One job in several processes, as torchrun starts them: who I am, and what all of us agree on. Imports PyTorch when called.

Every process runs the same request. Each has a number, its rank; the first alone speaks and writes. Without torchrun's variables
RANK and WORLD_SIZE there is one process, and everything here is free of cost.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from ..errors import ToolboxError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
MEETING_THREAD = "at a meeting of the ranks"  # name of a thread that waits for the others, so that the main one need not
PATIENCE = timedelta(minutes=30)  # a rank may wait for another one that reads chips or writes a report


@dataclass(frozen=True)
class Ranks:
    """The group of processes that work on a job.

    Attributes:
        rank: My number, from 0.
        size: How many there are.
        device: Of my tensors, as PyTorch names it.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that speaks and writes."""
        return self.rank == 0

    def add_up(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place; every rank must call it with the same shape. Raises ToolboxError when one has ended."""
        if self.size > 1:
            import torch.distributed

            with self._tell_loss():
                torch.distributed.all_reduce(tensor)
        return tensor

    def any_of(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on any rank; every rank must call it with as many."""
        if self.size == 1:
            return [bool(flag) for flag in flags]
        import torch

        return (self.add_up(torch.tensor([float(flag) for flag in flags], device=self.device)) > 0).tolist()

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, in their order; every rank must call it. Raises ToolboxError when one has ended."""
        if self.size == 1:
            return [value]
        import torch.distributed

        values: list[T] = [value] * self.size
        with self._tell_loss():
            torch.distributed.all_gather_object(values, value)
        return values

    @contextlib.contextmanager
    def _tell_loss(self) -> Iterator[None]:
        """Says what it means that the others cannot be reached; PyTorch raises RuntimeError with texts for programmers."""
        try:
            yield
        except RuntimeError as failure:
            raise ToolboxError(
                f"Another one of the {self.size} processes that work on this job has ended; the log tells why. Run again, a training "
                "with RESUME; a single DEVICE needs no other process."
            ) from failure


def ranks_wanted() -> tuple[int, int]:
    """Rank and number of processes that torchrun, or `ranks` of ours, asked for."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


@contextlib.contextmanager
def join_ranks(device: str, patience: timedelta = PATIENCE) -> Iterator[Ranks]:
    """Joins the group, and leaves it in the end.

    Args:
        device: Where this process computes, as PyTorch names it.
        patience: How long one may wait for the others; one that dies is noticed at once.
    """
    rank, size = ranks_wanted()
    if size == 1:
        yield Ranks(device=device)
        return
    import torch

    on_card = device.startswith("cuda")
    if on_card:
        torch.cuda.set_device(torch.device(device))
    torch.distributed.init_process_group("nccl" if on_card else "gloo", timeout=patience)
    try:
        yield Ranks(rank, size, device)
    finally:
        # A thread that a stopped job left waiting for the others would hold this up until they come; the group ends with the process.
        if all(thread.name != MEETING_THREAD for thread in threading.enumerate()):
            torch.distributed.destroy_process_group()
