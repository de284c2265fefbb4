# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a job will still take, judged by how its progress went lately. Imported by QGIS; standard library only."""

from __future__ import annotations

import math
from collections import deque

WINDOW_SECONDS = 60.0  # of the past that counts: the first epochs, and pauses long ago, tell nothing of what is to come
SMALLEST_SPAN = 2.0  # seconds of progress to have seen before anything is said


class RemainingTime:
    """Follows the progress of one job."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque()  # (time, fraction)

    def update(self, time: float, fraction: float) -> None:
        """Takes in that at a time (seconds of any clock) a share of 0 to 1 was done."""
        if self._marks and (time < self._marks[-1][0] or fraction < self._marks[-1][1]):
            self._marks.clear()  # the clock was set, or the job began anew
        self._marks.append((time, fraction))
        while len(self._marks) > 2 and self._marks[1][0] <= time - WINDOW_SECONDS:
            self._marks.popleft()

    def seconds(self, now: float) -> float | None:
        """Seconds that are left at a time, at least 0; None when nothing can be said yet.

        A third in the last 60 s leaves 120 s for two thirds; 10 s after the last progress it is 110 s.
        """
        if len(self._marks) < 2:
            return None
        (first, before), (last, done) = self._marks[0], self._marks[-1]
        if last - first < SMALLEST_SPAN or done <= before:
            return None
        left = (1 - done) * (last - first) / (done - before) - max(0.0, now - last)
        return max(0.0, left)


def describe_seconds(seconds: float) -> str:
    """A time in words of at most two units: ``40 s``, ``4 min``, ``2 h 5 min``, ``3 d 4 h``."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
