# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides which labels are held out for validation.

The unit is a *block*: a polygon, a square of a dense raster, or, for the random split, a chip. A block goes to training or to
validation as a whole, so no labelled pixel is in both, however much the chips overlap.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ToolboxError

Block = Hashable
Census = Mapping[Block, Mapping[int, int]]  # block → class index → labelled pixels


@dataclass(frozen=True)
class Split:
    """The outcome.

    Attributes:
        validation: Blocks held out.
        training: All other blocks.
        validation_pixels: Class index → pixels held out (0 for a class that is not validated).
        training_pixels: Class index → pixels trained on.
    """

    validation: frozenset[Block]
    training: frozenset[Block]
    validation_pixels: dict[int, int]
    training_pixels: dict[int, int]

    @property
    def not_validated(self) -> list[int]:
        """Class indices with labels, none of which is held out."""
        return [index for index, pixels in self.validation_pixels.items() if not pixels and self.training_pixels[index]]

    @property
    def not_trained(self) -> list[int]:
        """Class indices with labels, all of which are held out."""
        return [index for index, pixels in self.training_pixels.items() if not pixels and self.validation_pixels[index]]


def split_blocks(census: Census, percent: float, seed: int, unit: str = "polygon or block") -> Split:
    """Holds out blocks so that about `percent` of each class's pixels are validated.

    Classes are served from the one with the fewest blocks on. For each, blocks are drawn in random order and taken while that
    brings the held-out shares of all classes together nearer to the wish; a class with two blocks or more gets at least one, and
    always keeps at least one in training. A class with one block stays in training.

    Args:
        census: Labelled pixels per block and class index.
        percent: Wished share of each class's pixels, 1 to 90.
        seed: Of the random order.
        unit: What a block is, for messages.

    Raises:
        ToolboxError: Fewer than two blocks, or no class with two: nothing can be held out.
    """
    blocks = sorted(census, key=repr)
    owners: dict[int, list[Block]] = {}
    for block in blocks:
        for index, pixels in census[block].items():
            if pixels > 0:
                owners.setdefault(index, []).append(block)
    if len(blocks) < 2 or all(len(owned) < 2 for owned in owners.values()):
        raise ToolboxError(
            f"Nothing can be held out to validate the model: the labels have {len(blocks)} {unit}(s) and no class has two. Draw "
            "a second one for a class, export smaller tiles, or choose SPLIT=random, whose score is optimistic."
        )
    generator = np.random.default_rng(seed)
    order = {block: place for place, block in enumerate(blocks[int(i)] for i in generator.permutation(len(blocks)))}
    held_out: set[Block] = set()
    for index in sorted(owners, key=lambda index: (len(owners[index]), index)):
        _serve_class(index, sorted(owners[index], key=order.__getitem__), census, owners, percent, held_out)
    if not held_out:
        raise ToolboxError(
            "Nothing can be held out to validate the model: every block holds the only labels of some class. Draw more labels, "
            "or choose SPLIT=random, whose score is optimistic."
        )
    training = frozenset(census) - held_out
    return Split(
        frozenset(held_out),
        training,
        count_pixels(census, held_out, sorted(owners)),
        count_pixels(census, training, sorted(owners)),
    )


def hold_out_folders(census: Census, first: int) -> Split:
    """Holds out whole folders: those numbered from `first` on; a block is a folder.

    Raises:
        ToolboxError: One side has no labelled pixel.
    """
    held_out = {block for block in census if isinstance(block, int) and block >= first}
    training = frozenset(census) - held_out
    if not any(map(any, (census[block].values() for block in held_out))):
        raise ToolboxError("VALIDATION_INPUT holds no labelled pixel with data; export it with labels inside its raster.")
    if not any(map(any, (census[block].values() for block in training))):
        raise ToolboxError("The chips to train on hold no labelled pixel with data; export them with labels inside the raster.")
    indices = sorted({index for of_block in census.values() for index, pixels in of_block.items() if pixels})
    return Split(frozenset(held_out), training, count_pixels(census, held_out, indices), count_pixels(census, training, indices))


def _serve_class(
    index: int,
    owned: Sequence[Block],
    census: Census,
    owners: Mapping[int, Sequence[Block]],
    percent: float,
    held_out: set[Block],
) -> None:
    """Moves blocks of one class into `held_out`, in the order given."""
    if len(owned) < 2:
        return
    spare = [block for block in owned if block not in held_out]
    indices = {index for block in spare for index in census[block]}
    totals = count_pixels(census, set(census), sorted(indices))
    held = count_pixels(census, held_out, sorted(indices))
    for block in spare:
        if _gain(block, census, totals, held, percent) > 0 and _leaves_training(block, census, owners, held_out):
            held_out.add(block)
            for index, pixels in census[block].items():
                held[index] += pixels
    if not any(block in held_out for block in owned):  # every block is larger than twice the wish: take the one that misses it least
        allowed = [block for block in spare if _leaves_training(block, census, owners, held_out)]
        if allowed:
            held_out.add(min(allowed, key=lambda block: census[block][index]))


def _gain(block: Block, census: Census, totals: Mapping[int, int], held: Mapping[int, int], percent: float) -> float:
    """By how much the held-out shares of all classes come nearer to the wish with this block; a square of a map holds many classes."""
    gain = 0.0
    for index, pixels in census[block].items():
        if pixels:
            share, added = held[index] / totals[index] - percent / 100, pixels / totals[index]
            gain += abs(share) - abs(share + added)
    return gain


def _leaves_training(block: Block, census: Census, owners: Mapping[int, Sequence[Block]], held_out: set[Block]) -> bool:
    """True when every class of the block keeps another block in training."""
    return all(
        any(other != block and other not in held_out for other in owners[index])
        for index, pixels in census[block].items()
        if pixels > 0
    )


def count_pixels(census: Census, blocks: frozenset[Block] | set[Block], indices: Sequence[int]) -> dict[int, int]:
    """Class index → labelled pixels in these blocks."""
    return {index: sum(census[block].get(index, 0) for block in blocks) for index in indices}
