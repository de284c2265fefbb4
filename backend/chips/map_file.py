# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads ``map.txt``, ArcGIS's list of chips, line by line: image, second image, labels of each chip.

Real exports have either slash, LF or CRLF, one or two blanks between the paths, blanks inside class names (RCNN Masks have a folder
for each class name), and now and then a line twice. A line is therefore split only where a known folder's name begins. Standard
library only; memory does not grow with the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolboxError

MAP = "map.txt"
SECOND_FOLDERS = ("images2", "images_after")
LONGEST_LINE = 2**20  # characters; an RCNN chip lists a path for each class
_BREAK = re.compile(r"\s+(?=(?:images|images2|images_before|images_after|labels|labels2)/)")


@dataclass(frozen=True)
class ChipFiles:
    """The files of one chip: paths in the folder, with forward slashes.

    Attributes:
        image: The image.
        second: Image of the second raster (change detection, image translation); None without.
        labels: Label files: none, one, or, for RCNN Masks, one for each class that occurs.
    """

    image: str
    second: str | None
    labels: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Name of the files without folder and ending."""
        return self.image.rpartition("/")[2].rpartition(".")[0]


def read_map(folder: Path) -> Iterator[ChipFiles]:
    """The chips in the order of the file; lines that repeat are repeated here.

    Raises:
        ToolboxError: The file cannot be read, or names a place outside the folder.
    """
    path = folder / MAP
    try:
        with path.open(encoding="utf-8-sig") as lines:
            while line := lines.readline(LONGEST_LINE):
                if line.strip():
                    yield _parse(line, folder)
    except (OSError, UnicodeDecodeError) as failure:
        raise ToolboxError(f"map.txt of {folder} cannot be read ({failure}); export the training data again.") from failure


def _parse(line: str, folder: Path) -> ChipFiles:
    tokens = _BREAK.split(line.strip().replace("\\", "/"))
    for token in tokens:
        if not is_inside(token):
            raise ToolboxError(f"map.txt of {folder} names {token[:80]}, which is not in the folder; export the training data again.")
    rest = tokens[1:]
    second = next((token for token in rest if token.startswith(tuple(f"{name}/" for name in SECOND_FOLDERS))), None)
    return ChipFiles(tokens[0], second, tuple(token for token in rest if token != second))


def is_inside(token: str) -> bool:
    """Whether a path with forward slashes stays in the folder that it is relative to, on every platform."""
    return bool(token) and not token.startswith("/") and ":" not in token and ".." not in token.split("/")
