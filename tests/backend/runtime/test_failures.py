# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user is told about an exception."""

from __future__ import annotations

import errno
import shutil

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime import disk
from deep_learning_toolbox.backend.runtime.disk import checked_writing
from deep_learning_toolbox.backend.runtime.failures import explain


class OutOfMemoryError(RuntimeError):
    """Named like PyTorch's."""


class RasterioIOError(OSError):
    """Looks like rasterio's, which need not be installed."""

    __module__ = "rasterio.errors"


def caused(failure, cause):
    failure.__cause__ = cause
    return failure


@pytest.mark.parametrize(
    ("failure", "begins", "unexpected"),
    [
        (ToolboxError("The raster is rotated."), "The raster is rotated.", False),
        (MemoryError(), "The memory ran out (MemoryError: ). Choose a smaller tile", False),
        (OutOfMemoryError("CUDA"), "The memory ran out (OutOfMemoryError: CUDA)", False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "The memory ran out", False),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), "The memory ran out", False),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: free space on the disk of “map.tif”", False),
        (caused(RuntimeError("save failed"), OSError(errno.ENOSPC, "x")), "The disk is full", False),
        (RasterioIOError("write failed: No space left on device"), "The disk is full", False),
        (PermissionError(errno.EACCES, "Permission denied", "a.tif"), "Access is denied (PermissionError: [Errno 13]", False),
        (RasterioIOError("Attempt to create a.tif failed: Permission denied"), "Access is denied", False),
        (ModuleNotFoundError("No module named 'timm'", name="timm"), "The Python library “timm” is missing", False),
        (
            ModuleNotFoundError("x", name="deep_learning_toolbox.backend.x"),
            "The tool failed unexpectedly (ModuleNotFoundError: x)",
            True,
        ),
        (ZeroDivisionError("division by zero"), "The tool failed unexpectedly (ZeroDivisionError: division by zero)", True),
        (FileNotFoundError(errno.ENOENT, "gone", "a"), "The tool failed unexpectedly (FileNotFoundError", True),
    ],
)
def test_each_failure_has_its_sentence(failure, begins, unexpected):
    event = explain(failure, ["map.tif"])
    assert event["message"].startswith(begins)
    assert event["unexpected"] is unexpected


def test_a_write_that_gdal_failed_is_put_down_to_the_disk():
    failure = caused(RasterioIOError("Write failed. See previous exception."), RuntimeError("TIFFAppendToStrip:Write error"))
    event = explain(failure, ["map.tif"])
    assert event["message"].startswith("Writing to “map.tif” failed (RasterioIOError: Write failed")
    assert "most likely because the disk is full" in event["message"]
    assert event["unexpected"] is False
    assert explain(RasterioIOError("Read failed."), ["map.tif"])["unexpected"] is True


@pytest.mark.parametrize("fails", [False, True])
def test_a_full_disk_is_found_out_where_it_was_written_to(tmp_path, monkeypatch, fails):
    def write():
        with checked_writing(tmp_path / "new" / "map.tif"):
            if fails:
                raise RasterioIOError("Write failed.")

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage._replace(free=2**20))
    if fails:
        with pytest.raises(RasterioIOError):
            write()
    else:
        write()
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage._replace(free=2**20 - 1))
    with pytest.raises(ToolboxError, match=r"^The disk is full: free space on the disk of “.*map\.tif”, or choose"):
        write()
