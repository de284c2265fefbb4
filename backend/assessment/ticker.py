# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress that is told a few times a second at most."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..runtime.protocol import Event, progress

SECONDS = 0.3


class Ticker:
    """Tells one step's progress.

    Args:
        start: Where the step begins on the progress bar, 0 to 1.
        end: Where it ends.
        text: What is done.
    """

    def __init__(self, start: float, end: float, text: str) -> None:
        self._start, self._end, self._text = start, end, text
        self._told = 0.0

    def tell(self, share: float) -> Iterator[Event]:
        """The progress once this share of the step is done; nothing if some was told just now."""
        now = time.monotonic()
        if now - self._told > SECONDS:
            self._told = now
            yield progress(self._start + (self._end - self._start) * share, self._text)
