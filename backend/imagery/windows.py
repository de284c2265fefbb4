# SPDX-License-Identifier: GPL-2.0-or-later
"""Windows that cover an image in the order of its blocks, and reading them one ahead of the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rasterio.windows import Window

Part = TypeVar("Part")
Content = TypeVar("Content")


def plan_windows(width: int, height: int, block: int, most_pixels: int) -> list[Window]:
    """Windows of whole blocks, row by row, that cover an image once.

    Args:
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        block: Side of a block.
        most_pixels: Largest window; at least one block is taken.
    """
    columns = max(most_pixels // (block * block), 1) * block
    return [
        Window(left, top, min(columns, width - left), min(block, height - top))
        for top in range(0, height, block)
        for left in range(0, width, columns)
    ]


def read_ahead(parts: Iterable[Part], read: Callable[[Part], Content]) -> Iterator[tuple[Part, Content]]:
    """Parts, such as windows, with their content; the next one is read in a thread meanwhile. Two contents exist at most.

    ``read`` is called in that one thread only, so it may use a dataset that must not be shared.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="read ahead") as thread:
        pending = None
        for part in parts:
            following = (part, thread.submit(read, part))
            if pending is not None:
                yield pending[0], pending[1].result()
            pending = following
        if pending is not None:
            yield pending[0], pending[1].result()
