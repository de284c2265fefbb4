# SPDX-License-Identifier: GPL-2.0-or-later
"""What a training tells about its data before it starts."""

from __future__ import annotations

from collections.abc import Iterator

from ..runtime.protocol import Event, info, warning
from .dataset import ChipStore
from .settings import TrainSettings
from .split import Split

MOST_SHOWN_VALUES = 10
MOST_SHOWN_CHIPS = 5
UNITS = {
    "label": "polygon, or a square of a label raster",
    "square": "square of two chips' side",
    "chip": "chip",
    "folder": "folder",
}


def describe_folders(store: ChipStore) -> Iterator[Event]:
    """Tells how many chips were struck out, and what is odd about the folders."""
    for folder in store.folders:
        if folder.struck_out:
            total = len(folder.chips) + folder.struck_out
            yield info(f"{folder.struck_out} of {total} chips of {folder.path} are struck out in {folder.footprints}; not used.")
        for note in folder.notes:
            yield warning(note)


def warn_of_damage(store: ChipStore) -> Iterator[Event]:
    """Names the chips that were skipped."""
    if store.damaged:
        more = f" And {len(store.damaged) - MOST_SHOWN_CHIPS} more." if len(store.damaged) > MOST_SHOWN_CHIPS else ""
        yield warning(f"Skipped {len(store.damaged)} damaged chip(s): {' '.join(store.damaged[:MOST_SHOWN_CHIPS])}{more}")


def warn_of_unlisted_values(store: ChipStore) -> Iterator[Event]:
    """Names the label values that no class list has."""
    for folder, counts in store.unlisted.items():
        listed = ", ".join(f"{value} ({pixels:,} pixels)" for value, pixels in list(counts.items())[:MOST_SHOWN_VALUES])
        more = f" and {len(counts) - MOST_SHOWN_VALUES} more" if len(counts) > MOST_SHOWN_VALUES else ""
        yield warning(
            f"The labels of {folder} hold values that its class list lacks: {listed}{more}. These pixels are ignored; to learn them, "
            "export again with these classes, or see the chips with Inspect training data."
        )


def describe_split(store: ChipStore, settings: TrainSettings, split: Split) -> Iterator[Event]:
    """Tells how labels were held out, and which classes suffer from it."""
    held, used = sum(split.validation_pixels.values()), sum(split.training_pixels.values())
    if settings.split == "folder":
        yield info(f"Validated on {settings.validation_folder}, {held:,} labelled pixels; trained on {used:,}.")
        if store.overlap():
            yield warning("Folders of chips show the same ground; where one of them is VALIDATION_INPUT, the score is optimistic.")
    else:
        yield info(
            f"Held out for validation: {len(split.validation)} of {len(store.census)} blocks "
            f"(a block is a {UNITS[store.block_kind]}), {held:,} of {held + used:,} labelled pixels, "
            "those in several chips counted in each."
        )
    if settings.split == "random":
        yield warning(
            "SPLIT=random holds out whole chips at random: neighbouring and overlapping chips show the same ground, so the "
            "score is optimistic. SPLIT=spatial gives an honest one."
        )
    names = list_names(store)
    if split.not_validated:
        listed = ", ".join(names[index] for index in split.not_validated)
        where = "VALIDATION_INPUT has none of their labels" if settings.split == "folder" else "all labels are in one block"
        yield warning(f"Not validated, since {where}: {listed}. Draw more labels to learn how well it is found.")
    if split.not_trained:
        listed = ", ".join(names[index] for index in split.not_trained)
        yield warning(f"Only VALIDATION_INPUT has labels of {listed}: the model will never predict what it has not seen, which counts "
                      "as wrong. Train with labels of all classes, or add these to IGNORE_CLASSES.")  # fmt: skip
    unseen = [name for index, name in enumerate(names) if not (split.training_pixels.get(index) or split.validation_pixels.get(index))]
    if unseen:
        yield warning(f"No chip holds a label of {', '.join(unseen)}; the model will never predict it.")
    if store.has_background:
        yield info("Unlabelled pixels with data count as class 0, Background.")


def list_names(store: ChipStore) -> list[str]:
    """Name of each class index."""
    names = [entry.name for entry in store.classes.classes]
    return ["Background", *names] if store.has_background else names
