# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the chips lie: a grid from the upper left corner. Standard library only.

Every chip has the full size. The last column and row may reach beyond the raster, and a raster smaller than a chip gives one
chip; what lies beyond is nodata in the chip. Example: 100 pixels, chips of 64, stride 32: starts 0, 32, 64 (the last reaches 128).
"""

from __future__ import annotations


def chip_starts(length: int, size: int, stride: int) -> list[int]:
    """First pixel of each chip along one axis, so that every pixel is covered if the stride does not exceed the size.

    Args:
        length: Pixels of the raster along the axis, at least 1.
        size: Pixels of a chip.
        stride: Distance between starts.
    """
    return [number * stride for number in range(chip_count(length, size, stride))]


def chip_count(length: int, size: int, stride: int) -> int:
    """Number of chips along one axis; for the arguments see `chip_starts`."""
    return -(-max(length - size, 0) // stride) + 1


def own_spans(starts: list[int], length: int) -> list[int]:
    """Length of the part of each chip that no earlier-listed neighbour claims, so that the parts tile the axis without overlap.

    The part of chip k runs from its start to the next start, that of the last to the end of the raster.
    """
    ends = [*starts[1:], max(length, starts[-1])]
    return [end - start for start, end in zip(starts, ends, strict=True)]
