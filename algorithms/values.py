# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw parameter values: band lists, which QGIS itself reads wrongly (a name or nothing becomes band 0), class values, empty values."""

from __future__ import annotations

import re
from typing import Any

from qgis.PyQt.QtCore import QVariant

from .texts import tr

LARGEST_CLASS_VALUE = 65_534


def is_given(value: Any) -> bool:
    """Whether a parameter has a value: neither None, NULL nor an empty text."""
    return not (value is None or value == "" or (isinstance(value, QVariant) and value.isNull()))


def band_texts(value: Any) -> list[str]:
    """The parts of a band list, which may be a number, a text such as ``4;3;2``, or a list of either."""
    if not is_given(value):
        return []
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [text for part in parts for text in re.split(r"[;,\s]+", str(part)) if text]


def check_bands(value: Any, count: int) -> str:
    """What is wrong with a band list for a raster with ``count`` bands, in one sentence; empty when nothing is.

    With a count of 0 (the raster cannot be read, which is told elsewhere) only the form is checked.
    """
    texts = band_texts(value)
    for text in texts:
        if not text.isdecimal() or int(text) < 1 or (count and int(text) > count):
            if count:
                return tr("BANDS takes band numbers from 1 to {}, such as 4;3;2, and got “{}”.").format(count, text)
            return tr("BANDS takes band numbers, such as 4;3;2, and got “{}”.").format(text)
    if len(set(map(int, texts))) != len(texts):
        return tr("BANDS names a band twice: {}.").format(";".join(texts))
    return ""


def read_bands(value: Any) -> list[int]:
    """The band numbers of a list that passed `check_bands`; empty means all bands."""
    return [int(text) for text in band_texts(value)]


def read_band_map(text: str) -> dict[str, int]:
    """Bands of a raster by the names of a model's bands, from a text such as ``red=3 nir=5`` or ``band 1=3; band 2=5``.

    Raises:
        ValueError: A part is no pair of a name and a band number, or a name stands twice.
    """
    parts = re.split(r"[;\n]+", text) if re.search(r"[;\n]", text) else re.findall(r"[^\s=]+\s*=\s*\S+|\S+", text)
    found: dict[str, int] = {}
    for part in filter(None, map(str.strip, parts)):
        name, sign, number = (piece.strip() for piece in part.rpartition("="))
        if not sign or not name or not number.isdecimal() or int(number) < 1:
            raise ValueError(f"BAND_MAP takes pairs such as red=3 nir=5, and got “{part}”.")
        if name.casefold() in map(str.casefold, found):  # bands are found by their names in any case of letters
            raise ValueError(f"BAND_MAP names “{name}” twice.")
        found[name] = int(number)
    return found


def check_class_values(text: str, parameter: str) -> str:
    """What is wrong with a list of class values such as ``3;5``, in one sentence; empty when nothing is."""
    for part in band_texts(text):
        if not part.isdecimal() or not 1 <= int(part) <= LARGEST_CLASS_VALUE:
            return f"{parameter} takes class values from 1 to {LARGEST_CLASS_VALUE:,}, such as 3;5, and got “{part}”."
    return ""


def read_class_values(text: str) -> list[int]:
    """The values of a list that passed `check_class_values`, each once, ascending."""
    return sorted({int(part) for part in band_texts(text)})
