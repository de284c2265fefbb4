# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw parameter values that QGIS itself reads wrongly: band lists (a name or nothing becomes band 0) and empty values."""

from __future__ import annotations

import re
from typing import Any

from qgis.PyQt.QtCore import QVariant

from .texts import tr


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
