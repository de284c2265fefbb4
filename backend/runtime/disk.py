# SPDX-License-Identifier: GPL-2.0-or-later
"""Full disks, which GDAL tells of badly: as a failed write without a reason, or, while closing a file, not at all.

Standard library only; for whatever writes rasters in the worker.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import ToolboxError

# What is left after a write that did not fit: less than one block of a raster.
_FULL_BELOW_BYTES = 2**20


def free_bytes(path: Path) -> int:
    """Free space, in bytes, of the disk that a path, which may not exist yet, lies on; raises OSError when that is not to be had."""
    path = path.absolute()
    existing = next((folder for folder in (path, *path.parents) if os.path.exists(folder)), path)
    return shutil.disk_usage(existing).free


def is_full(path: Path) -> bool:
    """Whether the disk that a path lies on has less than 1 MiB left."""
    return free_bytes(path) < _FULL_BELOW_BYTES


@contextlib.contextmanager
def checked_writing(path: Path) -> Iterator[None]:
    """Raises ToolboxError when the disk is full after the block, whether or not the block failed.

    Put it around opening, writing and closing a raster, inside the clean-up that frees the space again. GDAL's GeoTIFF driver
    writes its last blocks while closing and says nothing when they do not fit (seen with 3.9 under rasterio 1.4).

    Args:
        path: What is written; it is named in the message.
    """
    try:
        yield
    except Exception as failure:
        if is_full(path):
            raise ToolboxError(describe_full(str(path))) from failure
        raise
    if is_full(path):
        raise ToolboxError(describe_full(str(path)))


def describe_full(place: str) -> str:
    """The sentence about a full disk; ``place`` is a path that was written to."""
    return f"The disk is full: free space on the disk of “{place}”, or choose another output folder."
