# SPDX-License-Identifier: GPL-2.0-or-later
"""Room on the disk of OUTPUT: looked for before a training, made at its end, so that no hours of training are lost for a full disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn

from ..errors import ToolboxError
from ..runtime.disk import free_bytes
from ..runtime.failures import is_full_disk
from ..runtime.protocol import Event, warning

PACKAGE_SHARE = 1.1  # of the weights' bytes: they and a report
# The package, two checkpoints and what replaces one; the state (network, average, two moments of AdamW, the best of both trainings)
# and the one that replaces it.
EVERYTHING_SHARE = 16
MEGABYTE = 10**6


def check_room(folder: Path, network: nn.Module) -> Iterator[Event]:
    """Warns when the disk of a folder holds the model but not all that is kept for the case of a crash.

    Raises:
        ToolboxError: It does not even hold the model.
    """
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    try:
        free = free_bytes(folder)
    except OSError:  # a disk that does not tell
        return
    told = f"The disk of {folder} has {free / MEGABYTE:,.0f} MB free"
    if free < PACKAGE_SHARE * weights:
        raise ToolboxError(
            f"{told}, but the model takes {PACKAGE_SHARE * weights / MEGABYTE:,.0f} MB; free space, or choose another OUTPUT."
        )
    if free < EVERYTHING_SHARE * weights:
        yield warning(
            f"{told}. That is enough for the model, but maybe not for what is kept meanwhile, so that RESUME could not go on after "
            f"an interruption; {EVERYTHING_SHARE * weights / MEGABYTE:,.0f} MB are."
        )


def write_in_room(write: Callable[[], None], checkpoints: Path, state: Path) -> Iterator[Event]:
    """Calls `write`; if the disk is full, once more without the checkpoints, which are larger than the model.

    Args:
        write: Writes the result; may be called twice.
        checkpoints: Folder that can be done without.
        state: File from which RESUME would go on, if there is one.

    Raises:
        ToolboxError: The disk is full all the same.
    """
    try:
        write()
        return
    except OSError as failure:
        if not is_full_disk(failure):
            raise
    shutil.rmtree(checkpoints, ignore_errors=True)
    try:
        write()
    except OSError as failure:
        if not is_full_disk(failure):
            raise
        if state.is_file():
            way = "then run again with the same settings and RESUME, which goes on where the training last saved its state."
        else:
            way = "then train again. There is no state to go on from with RESUME, since that did not fit either."
        raise ToolboxError(f"The disk of {state.parent} is full, so the model cannot be written; free some space, {way}") from failure
    yield warning(f"The disk of {state.parent} is nearly full, so the checkpoints were left out; the model is whole.")
