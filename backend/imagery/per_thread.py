# SPDX-License-Identifier: GPL-2.0-or-later
"""Things of which each thread needs its own, such as open rasters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class PerThread(Generic[Thing]):
    """Opens a thing in each thread that asks for it; a context manager that closes them all, after the threads have ended.

    Args:
        make: Opens one.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[Thing]]) -> None:
        self._make = make
        self._local = threading.local()
        self._lock = threading.Lock()
        self._opened = ExitStack()

    def __enter__(self) -> PerThread[Thing]:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def get(self) -> Thing:
        """This thread's own."""
        if not hasattr(self._local, "thing"):
            thing = self._make()
            with self._lock:
                self._local.thing = self._opened.enter_context(thing)
        return self._local.thing
