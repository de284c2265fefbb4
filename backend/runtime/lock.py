# SPDX-License-Identifier: GPL-2.0-or-later
"""A lock between processes that the system releases when its holder dies, however that happens. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import ToolboxError

# Windows forbids others to read a locked byte, so the lock lies beyond the text that tells who holds it.
_LOCKED_BYTE = 4096
_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)  # what the systems say of a lock that somebody holds


@contextlib.contextmanager
def exclusive(path: Path, purpose: str) -> Iterator[None]:
    """Holds the lock file, or raises ToolboxError at once when another process does.

    A lock of the operating system, not the file's existence, is what counts: it cannot go stale after a crash.

    Args:
        path: The lock file; it stays behind, empty of meaning.
        purpose: What the holder is doing, for the message to the second one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            _lock(file)
        except OSError as fault:
            if fault.errno not in _HELD:
                raise ToolboxError(f"The file {path} cannot be locked ({fault}): choose a home folder on a local disk.") from fault
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ToolboxError(f"Another process (id {holder}) is {purpose}: wait until it has finished, then retry.") from fault
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
            _unlock(file)


@contextlib.contextmanager
def try_exclusive(path: Path) -> Iterator[bool]:
    """Holds the lock file if nobody else does, and tells whether it is held; True without a file.

    On Windows nothing is locked, since the open file would keep its folder from being renamed; there, files in use protect themselves.
    """
    if sys.platform == "win32" or not path.exists():
        yield True
        return
    with path.open("a+", encoding="utf-8") as file:
        try:
            _lock(file)
        except OSError:  # somebody else does
            yield False
        else:
            yield True


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Holds a lock file of one's own, made here, for others to see with `is_held`; waits while somebody looks."""
    with path.open("a", encoding="utf-8") as file:
        with contextlib.suppress(OSError):  # a disk without locks: then nobody sees it, which must not keep the job from running
            _wait_and_lock(file)
        yield


def is_held(path: Path) -> bool:
    """Whether somebody, in this process or another, holds a lock file; the holder's death releases it."""
    try:
        with path.open("r+", encoding="utf-8") as file:
            _lock(file)
            _unlock(file)
    except FileNotFoundError:
        return False
    except OSError as fault:
        return fault.errno in _HELD
    return False


def share(path: Path) -> IO[str] | None:
    """Holds the lock file together with others until the returned file is closed or the process ends; None without a lock.

    Somebody may just be removing the folder, or its disk may know no locks: neither is a reason not to run.
    """
    if sys.platform == "win32":
        return None
    try:
        file = path.open("r", encoding="utf-8")
    except OSError:  # no managed environment
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return file


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _wait_and_lock(file: IO[str]) -> None:
        os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)

    def _unlock(file: IO[str]) -> None:
        os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _wait_and_lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _unlock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
