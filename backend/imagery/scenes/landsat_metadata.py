# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the metadata file of a Landsat product, MTL, in its three forms: .txt (object description language), .json and .xml.

All three hold the same groups of keys and values; the text, not the number, of a value is kept.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from ...errors import ToolboxError
from .xml_text import parse_xml

ROOT = "LANDSAT_METADATA_FILE"
COLLECTION_1_ROOT = "L1_METADATA_FILE"


@dataclass(frozen=True)
class LandsatMetadata:
    """Values by group and key, e.g. ``IMAGE_ATTRIBUTES``, ``SUN_ELEVATION``; ``name`` is the file's, for messages."""

    name: str
    groups: dict[str, dict[str, str]]

    def find(self, group: str, key: str) -> str | None:
        """A value, None if the file has none."""
        return self.groups.get(group, {}).get(key)

    def text(self, group: str, key: str) -> str:
        """A value; raises ToolboxError when the file has none."""
        value = self.find(group, key)
        if value is None:
            raise ToolboxError(f"{self.name} lacks {key} in {group}; download the product again.")
        return value

    def number(self, group: str, key: str) -> float:
        """A value as a number; raises ToolboxError when there is none or it is no number."""
        text = self.text(group, key)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ToolboxError(f"{self.name} has {key} = {text[:40]!r}, which is no number; download the product again.")
        return number


def parse_mtl(name: str, content: bytes) -> LandsatMetadata:
    """Reads an MTL file.

    Args:
        name: Name of the file; its ending tells the form.
        content: Its bytes.

    Raises:
        ToolboxError: It is damaged, or of a collection other than 2.
    """
    readers = {"txt": _read_text, "json": _read_json, "xml": _read_xml}
    try:
        root, groups = readers[name.lower().rpartition(".")[2]](content)
    except (ValueError, KeyError, AttributeError, RecursionError) as fault:
        raise ToolboxError(f"{name} is no complete Landsat metadata file ({fault}); download the product again.") from fault
    metadata = LandsatMetadata(name, groups)
    collection = metadata.find("PRODUCT_CONTENTS", "COLLECTION_NUMBER") or metadata.find("METADATA_FILE_INFO", "COLLECTION_NUMBER")
    if root != ROOT or (collection or "2").lstrip("0") != "2":
        found = "Collection 1" if root == COLLECTION_1_ROOT else f"collection {collection or 'unknown'}"
        raise ToolboxError(f"{name} is of {found}, only Landsat Collection 2 is read; download the scene as Collection 2.")
    return metadata


def _read_text(content: bytes) -> tuple[str, dict[str, dict[str, str]]]:
    root, groups = "", {}
    open_groups: list[str] = []
    for line in content.decode("utf-8-sig").splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            continue
        if key == "GROUP":
            root = root or value
            open_groups.append(value)
        elif key == "END_GROUP":
            if not open_groups or open_groups.pop() != value:
                raise ValueError(f"the group {value} ends, but did not begin")
        elif open_groups:
            groups.setdefault(open_groups[-1], {})[key] = value.strip('"')
    if open_groups or not root:
        raise ValueError("it breaks off")
    return root, groups


def _read_json(content: bytes) -> tuple[str, dict[str, dict[str, str]]]:
    data: dict[str, dict[str, Any]] = json.loads(content)
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError("it is not one object")
    root = next(iter(data))
    return root, {
        group: {key: str(value) for key, value in entries.items()}
        for group, entries in data[root].items()
        if isinstance(entries, dict)
    }


def _read_xml(content: bytes) -> tuple[str, dict[str, dict[str, str]]]:
    tree = parse_xml(content)
    return tree.tag, {group.tag: {entry.tag: (entry.text or "").strip() for entry in group} for group in tree}


def band_file_keys(metadata: LandsatMetadata) -> dict[str, str]:
    """File names by band code (B4), from the keys FILE_NAME_BAND_4, FILE_NAME_BAND_ST_B10, FILE_NAME_BAND_6_VCID_1."""
    found = {}
    for key, value in metadata.groups.get("PRODUCT_CONTENTS", {}).items():
        # of the two gains of Landsat 7's thermal band the low one, VCID 1, does not saturate over hot ground
        match = re.fullmatch(r"FILE_NAME_BAND_(?:ST_B)?(\d{1,2})(?:_VCID_1)?", key)
        if match:
            found[f"B{match[1]}"] = value
    return found
