# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes a chip suspicious. A suspicious chip need not be wrong: whoever looks at it decides whether to strike it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..arcgis_folder import ArcgisMetadata
from ..chip_labels import PIXEL_FORMATS, UNLABELLED_FORMATS
from .store import InspectionStore

MOSTLY_NODATA = 0.5  # share of a chip's pixels from which on it is mostly nodata
ONE_CLASS = 0.99  # share of the valid pixels from which on one class is the whole chip


class Suspicion(NamedTuple):
    """A kind of suspicion: short name, and what it means for training."""

    title: str
    meaning: str


UNREADABLE, BAD_LABEL, MISSIZED, UNLISTED, NODATA = "unreadable", "label", "missized", "unlisted", "nodata"
FLAT, DUPLICATE, UNLABELLED, WHOLE = "flat", "duplicate", "unlabelled", "one_class"
KINDS = {
    UNREADABLE: Suspicion("Image missing or damaged", "Training stops at such a chip, or leaves it out where the file is gone."),
    BAD_LABEL: Suspicion("Label missing or damaged", "Training stops at such a chip, or leaves it out where the file is gone."),
    MISSIZED: Suspicion("Another size than the others", "All chips must have one size and the same bands; training stops otherwise."),
    UNLISTED: Suspicion("Label values that no class has", "These labels are ignored in training."),
    NODATA: Suspicion("Mostly nodata", f"At least {MOSTLY_NODATA:.0%} of the pixels are nodata and teach nothing."),
    FLAT: Suspicion("Without contrast", "All valid pixels have the same values: a cloud, a gap, or saturation."),
    DUPLICATE: Suspicion("Same pixels as another chip", "A copy weighs its labels twice, and may be on both sides of a split."),
    UNLABELLED: Suspicion("Without any label", "Of use only where unlabelled means background."),
    WHOLE: Suspicion("All one class", f"One class has at least {ONE_CLASS:.0%} of the valid pixels: such a chip shows no boundary."),
}


def find_suspicions(store: InspectionStore, metadata: ArcgisMetadata, domains: Sequence[str]) -> None:
    """Marks the suspicious chips in the store; call once all facts are in it.

    Args:
        store: The chips.
        metadata: The folder's metadata.
        domains: As `list_domains` says; the two domains of CycleGAN may differ in size and bands.
    """
    store.suspect(UNREADABLE, "SELECT id, fault AS detail FROM chips WHERE fault <> ''")
    store.suspect(BAD_LABEL, "SELECT id, label_fault AS detail FROM chips WHERE label_fault <> ''")
    for domain in domains:
        _find_missized(store, metadata.has_variable_size, f"{domain}/%" if domain else "%")
    store.suspect(
        UNLISTED,
        "SELECT chip AS id, group_concat(text || ' (' || amount || ')', ', ') AS detail FROM unlisted GROUP BY chip",
    )
    share = "CAST(ROUND(100 * nodata) AS INTEGER) || ' % nodata' AS detail"
    store.suspect(NODATA, f"SELECT id, {share} FROM chips WHERE width > 0 AND nodata >= ?", (MOSTLY_NODATA,))
    store.suspect(FLAT, "SELECT id, 'one value in each band' AS detail FROM chips WHERE flat")
    _find_duplicates(store)
    if metadata.mode not in UNLABELLED_FORMATS:
        store.suspect(
            UNLABELLED,
            "SELECT id, 'no label' AS detail FROM chips WHERE width > 0 AND label_fault = '' "
            "AND NOT EXISTS (SELECT 1 FROM counts WHERE chip = id) AND NOT EXISTS (SELECT 1 FROM unlisted WHERE chip = id)",
        )
    if metadata.mode in PIXEL_FORMATS:
        store.suspect(
            WHOLE,
            "SELECT id, 'class ' || value AS detail FROM chips JOIN counts ON chip = id "
            "WHERE labelled >= ? GROUP BY id HAVING COUNT(*) = 1 AND pixels > 0",
            (ONE_CLASS,),
        )


def _find_missized(store: InspectionStore, has_variable_size: bool, images: str) -> None:
    """Compares width, height and bands with those that most chips have; only bands where chips were cropped to objects."""
    columns = "bands" if has_variable_size else "width, height, bands"
    readable = "FROM chips WHERE width > 0 AND image LIKE ?"
    common = f"SELECT {columns} {readable} GROUP BY {columns} ORDER BY COUNT(*) DESC, MIN(id) LIMIT 1"
    detail = "width || ' × ' || height || ' pixels, ' || bands || ' bands' AS detail"
    store.suspect(MISSIZED, f"SELECT id, {detail} {readable} AND ({columns}) <> ({common})", (images, images))


def _find_duplicates(store: InspectionStore) -> None:
    """Each of some chips with the same digest, with the name of the first other one."""
    others = "FROM chips AS other WHERE other.digest = chips.digest AND other.id <> chips.id"
    store.suspect(
        DUPLICATE,
        f"SELECT id, 'as ' || (SELECT image {others} ORDER BY other.id LIMIT 1) AS detail FROM chips WHERE digest IS NOT NULL "
        f"AND EXISTS (SELECT 1 {others})",
    )
