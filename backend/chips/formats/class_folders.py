# SPDX-License-Identifier: GPL-2.0-or-later
"""Class names that can be folders everywhere, since three formats keep the chips of a class in a folder of its name.

ArcGIS's reader splits map.txt at blanks and looks a class up by its folder, so the name in the metadata is the folder's.
"""

from __future__ import annotations

import re

from ...labels.schema import ClassSchema

FORBIDDEN = re.compile(r'[\s\\/:*?"<>|\x00-\x1f]+')
# Device names that Windows takes in no folder.
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
LONGEST = 80


def folder_names(schema: ClassSchema) -> dict[int, str]:
    """A name per class value, without blanks and forbidden signs, different also where case does not count."""
    taken: set[str] = set()
    folders = {}
    for entry in schema.classes:
        name = FORBIDDEN.sub("_", entry.name).strip("._")[:LONGEST] or f"class_{entry.value}"
        if name.casefold().partition(".")[0] in RESERVED or name.casefold() in taken:
            name = f"{name}_{entry.value}"
        taken.add(name.casefold())
        folders[entry.value] = name
    return folders
