# SPDX-License-Identifier: GPL-2.0-or-later
"""Chips that the user has struck out: those whose footprint has ``use`` = false.

The inspection writes the footprints into the chip folder itself, ``inspection/footprints.gpkg``, where training finds them wherever
the folder is moved. Where the user wants them elsewhere, ``inspection/footprints.json`` in the chip folder says where; the last
inspection decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError, FieldError

from ..errors import ToolboxError

INSPECTION = "inspection"  # folder, in a chip folder, of all that an inspection leaves there
FOOTPRINTS = "footprints.gpkg"
POINTER = "footprints.json"
LAYER = "footprints"
CHIP_FIELD, USE_FIELD = "chip", "use"
MOST_POINTER_BYTES = 2**16


@dataclass(frozen=True)
class StrikeOuts:
    """What the footprints say.

    Attributes:
        source: The footprints; None where the folder was not inspected.
        chips: Images, as paths in the chip folder, that are struck out.
    """

    source: Path | None
    chips: frozenset[str]


def default_footprints(folder: Path) -> Path:
    """Where the footprints of a chip folder lie unless the user wants them elsewhere."""
    return folder / INSPECTION / FOOTPRINTS


def remember_footprints(folder: Path, footprints: Path) -> None:
    """Makes the footprints those that training reads.

    Raises:
        OSError: The chip folder cannot be written.
    """
    pointer = folder / INSPECTION / POINTER
    if footprints.resolve() == default_footprints(folder).resolve():
        pointer.unlink(missing_ok=True)
        return
    pointer.parent.mkdir(exist_ok=True)
    part = pointer.with_suffix(".part")
    part.write_text(json.dumps({"footprints": str(footprints.absolute())}, ensure_ascii=False), encoding="utf-8")
    part.replace(pointer)


def find_footprints(folder: Path) -> Path | None:
    """The footprints of the last inspection; None where there was none.

    Raises:
        ToolboxError: They are not where the folder says they are, so nobody knows which chips were struck out.
    """
    pointer = folder / INSPECTION / POINTER
    if not pointer.is_file():
        path = default_footprints(folder)
        return path if path.is_file() else None
    try:
        if pointer.stat().st_size > MOST_POINTER_BYTES:
            raise ValueError("too large")
        path = Path(str(json.loads(pointer.read_text(encoding="utf-8"))["footprints"]))
    except (OSError, ValueError, KeyError, TypeError) as failure:
        raise ToolboxError(f"{pointer} cannot be read ({failure}); run Inspect training data again, or remove that file.") from failure
    if not path.is_file():
        raise ToolboxError(
            f"The footprints {path}, in which chips of {folder} may have been struck out, are gone; run Inspect training data again, "
            f"or remove {pointer} to use all chips."
        )
    return path


def read_strikeouts(folder: Path) -> StrikeOuts:
    """The chips of a folder that are struck out. Memory grows with their number only.

    Raises:
        ToolboxError: The footprints are gone, unreadable, or lack their fields.
    """
    path = find_footprints(folder)
    return StrikeOuts(path, frozenset() if path is None else _read_struck(path))


def _read_struck(path: Path) -> frozenset[str]:
    try:
        # A field that is empty, as of a footprint the user has added, strikes nothing out.
        meta, _, _, fields = pyogrio.raw.read(
            path, layer=LAYER, columns=[CHIP_FIELD, USE_FIELD], where=f'"{USE_FIELD}" = 0', read_geometry=False
        )
    except (DataSourceError, DataLayerError, FieldError, ValueError) as failure:
        raise ToolboxError(
            f"The footprints {path} cannot be read ({failure}); run Inspect training data again, or remove them to use all chips."
        ) from failure
    columns = dict(zip(meta["fields"], fields, strict=True))
    # SQLite takes a name that is no column for a text, so a field that is gone would strike nothing out silently.
    absent = [name for name in (CHIP_FIELD, USE_FIELD) if name not in columns]
    if absent:
        raise ToolboxError(f"The footprints {path} have no field “{absent[0]}”; run Inspect training data again.")
    return frozenset(str(chip).replace("\\", "/") for chip in columns[CHIP_FIELD] if chip is not None)
