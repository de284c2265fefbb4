# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns any exception that ends a stage into one sentence for the user. Runs in the worker; standard library only."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence

from ..errors import ToolboxError
from .disk import describe_full
from .protocol import Event, error

# The name of a tool for models and shells, and of the dialog for everybody else.
INSTALL_TOOL = "“Install deep learning libraries” (deeplearning:installbackend; or Raster → Deep Learning Toolbox → Set up)"

_FULL_ERRNOS = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_WINDOWS_DISK_FULL = 112
_FULL_TEXTS = ("no space left", "disk full", "not enough space")
_WRITE_TEXTS = ("write failed", "write error", "writing")
_MEMORY_TEXTS = ("can't allocate memory", "not enough memory", "out of memory")


def explain(failure: BaseException, outputs: Sequence[str] = ()) -> Event:
    """The error event for an exception.

    Args:
        failure: What left the stage.
        outputs: Paths the stage writes to, for the text.
    """
    if isinstance(failure, ToolboxError):
        return error(str(failure))
    text = f"{type(failure).__name__}: {failure}"
    if is_out_of_memory(failure):
        return error(
            f"The memory ran out ({text}). Choose a smaller tile or batch size, or the CPU as device, or close other programs."
        )
    place = outputs[0] if outputs else "the output folder"
    if is_full_disk(failure):
        return error(describe_full(place))
    if isinstance(failure, PermissionError) or "permission denied" in str(failure).lower():
        return error(f"Access is denied ({text}): choose a place that you may write to, and close programs that use the file.")
    if any(_tells_failed_write(cause) for cause in _causes(failure)):
        # By now the stage's clean-up has freed the space again, so only the likely cause can be told.
        return error(
            f"Writing to “{place}” failed ({text}), most likely because the disk is full: free space, or choose another folder."
        )
    if isinstance(failure, ModuleNotFoundError) and failure.name and not failure.name.startswith("deep_learning_toolbox"):
        return error(f"The Python library “{failure.name}” is missing in the worker's environment: run the tool {INSTALL_TOOL}.")
    return error(f"The tool failed unexpectedly ({text}). Please report it together with the log.", unexpected=True)


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """The exception and those it was raised from, nearest first."""
    current: BaseException | None = failure
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether this is Python's, NumPy's or PyTorch's way to say that the memory of a device or of the computer ran out."""
    if isinstance(failure, MemoryError):
        return True
    # torch raises RuntimeError on the CPU and its own subclass on a GPU; it is not imported here.
    return isinstance(failure, RuntimeError) and (
        type(failure).__name__ == "OutOfMemoryError" or any(text in str(failure).lower() for text in _MEMORY_TEXTS)
    )


def is_full_disk(failure: BaseException) -> bool:
    """Whether this, or what it was raised from, tells that a disk is full."""
    return any(_tells_full_disk(cause) for cause in _causes(failure))


def _tells_full_disk(failure: BaseException) -> bool:
    if isinstance(failure, OSError) and (failure.errno in _FULL_ERRNOS or getattr(failure, "winerror", None) == _WINDOWS_DISK_FULL):
        return True
    return any(text in str(failure).lower() for text in _FULL_TEXTS)


def _tells_failed_write(failure: BaseException) -> bool:
    """Whether this is GDAL's, through rasterio, about a write that failed; neither is imported here."""
    module = type(failure).__module__.partition(".")[0]
    return module == "rasterio" and any(text in str(failure).lower() for text in _WRITE_TEXTS)
