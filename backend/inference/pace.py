# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a job will take, from the time of its first tiles. Nothing is computed for it: these tiles are part of the job."""

from __future__ import annotations

from ..runtime.memory import process_memory

MEASURED_TILES = 4
MINUTE, HOUR = 60, 3600


class Pace:
    """Measures some tiles after the first step, which is slower than all others (libraries and memory warm up)."""

    def __init__(self) -> None:
        self._steps = 0
        self._tiles = 0
        self._seconds = 0.0

    def add(self, tiles: int, seconds: float, left: int) -> str:
        """Notes a step of the network.

        Args:
            tiles: How many it computed.
            seconds: It took.
            left: Tiles of the job after it.

        Returns:
            Once, when enough was measured, a sentence for the user; else an empty text.
        """
        was_enough = self._tiles >= MEASURED_TILES
        if self._steps and not was_enough:
            self._tiles += tiles
            self._seconds += seconds
        self._steps += 1
        if was_enough or self._tiles < MEASURED_TILES:
            return ""
        memory = process_memory()[0] / 2**20
        return (
            f"The run takes {describe_seconds(self._seconds / self._tiles * left)} more at most, measured on {self._tiles} tiles; "
            f"tiles without data take no time. The worker uses {memory:,.0f} MB of memory."
        )


def describe_seconds(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3.5 h."""
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
