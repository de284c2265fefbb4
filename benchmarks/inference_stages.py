# SPDX-License-Identifier: GPL-2.0-or-later
"""Which stage of a classification is the limit when the network is not: the time that each works, with a network of next to nothing.

Runs in the worker's Python: ``inference_stages.py [SIDE]``, by default 4096; part of ``make bench``. Reading, network and writing
work at the same time in threads of their own, so the longest of them bounds the speed; the overviews and the cloud-optimised copy
come after them. The seconds are by the clock, those of the threads' processor time in brackets, since other load distorts the clock.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from deep_learning_toolbox.backend.imagery.raster import RasterReader
from deep_learning_toolbox.backend.inference.job import Job
from deep_learning_toolbox.backend.inference.row_writer import RowWriter
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.inference.writer import RasterOutput
from inference_speed import BANDS, CLASSES, make_model, say, time_stage, write_scene

SIDE = 4096
TILE, OVERLAP = 512, 64
STAGES = {
    "reading and decoding": (RasterReader, "read"),
    "normalising, network, blending": (Job, "_add_tiles"),
    "choosing classes, writing": (RowWriter, "_write"),
    "overviews and final copy": (RasterOutput, "_copy"),
}


class Timer:
    """Adds up the time that a method takes, in whatever thread it runs."""

    def __init__(self, owner: type, name: str) -> None:
        self.wall = self.processor = 0.0
        method = getattr(owner, name)

        @wraps(method)
        def timed(*arguments: Any, **options: Any) -> Any:
            wall, processor = time.perf_counter(), time.thread_time()
            try:
                return method(*arguments, **options)
            finally:
                self.wall += time.perf_counter() - wall
                self.processor += time.thread_time() - processor

        @wraps(method)
        def timed_steps(*arguments: Any) -> Iterator[Any]:
            # It waits for a thread of its own and yields meanwhile; nothing else is at work then.
            wall, processor = time.perf_counter(), time.process_time()
            yield from method(*arguments)
            self.wall += time.perf_counter() - wall
            self.processor += time.process_time() - processor

        setattr(owner, name, timed_steps if inspect.isgeneratorfunction(method) else timed)


def main() -> None:
    """Prints the speed, and each stage's time."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else SIDE
    timers = {title: Timer(*place) for title, place in STAGES.items()}
    network = torch.nn.Conv2d(BANDS, CLASSES, 1).eval()
    with tempfile.TemporaryDirectory() as folder:
        write_scene(Path(folder) / "scene.tif", side, side)
        settings = ClassifySettings(
            str(Path(folder) / "scene.tif"), "", str(Path(folder) / "classes.tif"), device="cpu", tile_size=TILE, overlap=OVERLAP
        )
        whole = time_stage(settings, make_model(), network, "cpu")
    say(f"{side} × {side} pixels, {BANDS} bands, a network of one multiplication per band and class: {side**2 / 1e6 / whole.wall:.1f} "
        f"Mpx/s; {whole.wall:.1f} s ({whole.processor:.1f} s of all cores)")  # fmt: skip
    for title, timer in timers.items():
        say(f"  {title}: {timer.wall:.1f} s ({timer.processor:.1f})")
    limit = max(timers, key=lambda title: timers[title].wall)
    say(f"  the limit: {limit}")


if __name__ == "__main__":
    main()
