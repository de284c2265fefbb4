# SPDX-License-Identifier: GPL-2.0-or-later
"""The facts of all chips under inspection, in a private SQLite file on disk, so that memory does not grow with their number.

SQLite makes the file for the name "" and removes it when the connection closes, also when the process dies. Used by one thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple

from ..map_file import ChipFiles
from .chip import ChipFacts, Corners

CACHE_KIB = 8192
PAGE = 500  # rows
TABLES = """
CREATE TABLE chips (
    id INTEGER PRIMARY KEY, image TEXT UNIQUE, second TEXT, labels TEXT, listed INTEGER,
    width INTEGER, height INTEGER, bands INTEGER, dtype TEXT, corners TEXT, crs TEXT,
    nodata REAL, labelled REAL, flat INTEGER, digest BLOB, fault TEXT, label_fault TEXT
);
CREATE TABLE counts (chip INTEGER, value INTEGER, pixels INTEGER, objects INTEGER);
CREATE TABLE unlisted (chip INTEGER, text TEXT, amount INTEGER);
CREATE TABLE suspicions (chip INTEGER, kind TEXT, detail TEXT);
"""
INDEXES = """
CREATE INDEX counts_chip ON counts (chip);
CREATE INDEX counts_value ON counts (value);
CREATE INDEX unlisted_chip ON unlisted (chip);
CREATE INDEX chips_digest ON chips (digest);
CREATE INDEX suspicions_chip ON suspicions (chip);
"""


class ClassTotal(NamedTuple):
    """Sums of one class: chips in which it occurs, labelled pixels, objects."""

    chips: int
    pixels: int
    objects: int


class StoredChip(NamedTuple):
    """A chip with what was found; `suspicions` are (kind, detail)."""

    number: int
    facts: ChipFacts
    suspicions: tuple[tuple[str, str], ...]


class InspectionStore:
    """The chips and their facts. A context manager."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("")
        self.database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        self.database.execute("PRAGMA journal_mode = OFF")
        self.database.executescript(TABLES)

    def __enter__(self) -> InspectionStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        self.database.close()

    def claim(self, image: str) -> bool:
        """Registers an image; False if it is registered already."""
        return self.database.execute("INSERT OR IGNORE INTO chips (image) VALUES (?)", (image,)).rowcount == 1

    def set_files(self, files: ChipFiles, is_listed: bool) -> None:
        """Keeps the files of a registered image."""
        self.database.execute(
            "UPDATE chips SET second = ?, labels = ?, listed = ? WHERE image = ?",
            (files.second, json.dumps(files.labels), is_listed, files.image),
        )

    def count(self, where: str = "1", parameters: Iterable[object] = ()) -> int:
        """Number of chips for which a condition holds."""
        return int(self.database.execute(f"SELECT COUNT(*) FROM chips WHERE {where}", tuple(parameters)).fetchone()[0])

    def iterate_files(self) -> Iterator[tuple[int, ChipFiles]]:
        """Number and files of every chip, in the order of registration."""
        last = 0
        # Page by page, because facts are added to the same table meanwhile.
        while rows := self.database.execute(
            "SELECT id, image, second, labels FROM chips WHERE id > ? ORDER BY id LIMIT ?", (last, PAGE)
        ).fetchall():
            for number, image, second, labels in rows:
                yield number, ChipFiles(image, second, tuple(json.loads(labels)))
            last = rows[-1][0]

    def add(self, number: int, facts: ChipFacts) -> None:
        """Keeps the facts of a chip."""
        self.database.execute(
            "UPDATE chips SET width = ?, height = ?, bands = ?, dtype = ?, corners = ?, crs = ?, nodata = ?, labelled = ?, flat = ?, "
            "digest = ?, fault = ?, label_fault = ? WHERE id = ?",
            (
                *(facts.shape or (None, None, None)),
                facts.dtype,
                None if facts.corners is None else json.dumps(facts.corners),
                facts.crs_wkt,
                facts.nodata,
                facts.labelled,
                facts.is_flat,
                facts.digest,
                facts.fault,
                facts.label_fault,
                number,
            ),
        )
        values = {*facts.pixels, *facts.objects}
        counted = [(number, value, facts.pixels.get(value, 0), facts.objects.get(value, 0)) for value in values]
        self.database.executemany("INSERT INTO counts VALUES (?, ?, ?, ?)", counted)
        self.database.executemany("INSERT INTO unlisted VALUES (?, ?, ?)", [(number, *item) for item in facts.unlisted.items()])

    def finish(self) -> None:
        """Prepares the tables for questions; call once after the last `add`."""
        self.database.executescript(INDEXES)

    def suspect(self, kind: str, query: str, parameters: Iterable[object] = ()) -> None:
        """Marks the chips that a query finds; it selects the chip's id and a detail."""
        self.database.execute(f"INSERT INTO suspicions SELECT id, '{kind}', detail FROM ({query})", tuple(parameters))

    def class_totals(self) -> dict[int, ClassTotal]:
        """Class value → sums over all chips."""
        rows = self.database.execute("SELECT value, COUNT(*), SUM(pixels), SUM(objects) FROM counts GROUP BY value ORDER BY value")
        return {value: ClassTotal(chips, pixels, objects) for value, chips, pixels, objects in rows}

    def unlisted_totals(self) -> dict[str, tuple[int, int]]:
        """Value or name that the class list lacks → (pixels or objects, chips), the most frequent first."""
        rows = self.database.execute("SELECT text, SUM(amount) AS sum, COUNT(*) FROM unlisted GROUP BY text ORDER BY sum DESC, text")
        return {text: (amount, chips) for text, amount, chips in rows}

    def iterate_chips(self, where: str = "1", parameters: Iterable[object] = (), limit: int = -1) -> Iterator[StoredChip]:
        """Chips with all facts; `where` may end in an ORDER BY."""
        order = "" if "ORDER BY" in where else "ORDER BY id"
        query = f"SELECT * FROM chips WHERE {where} {order} LIMIT {limit}"
        for row in self.database.execute(query, tuple(parameters)):
            yield StoredChip(row[0], self._facts(row), self._suspicions(row[0]))

    def _facts(self, row: tuple) -> ChipFacts:
        number, image, second, labels, _, *shape, dtype, corners, crs, nodata, labelled, flat, digest, fault, label_fault = row
        counts = self.database.execute("SELECT value, pixels, objects FROM counts WHERE chip = ?", (number,)).fetchall()
        placed: Corners | None = None if corners is None else tuple(map(tuple, json.loads(corners)))
        return ChipFacts(
            files=ChipFiles(image, second, tuple(json.loads(labels))),
            shape=None if shape[0] is None else tuple(shape),
            dtype=dtype,
            corners=placed,
            crs_wkt=crs,
            nodata=nodata,
            labelled=labelled,
            is_flat=bool(flat),
            digest=digest,
            pixels={value: pixels for value, pixels, _ in counts if pixels},
            objects={value: objects for value, _, objects in counts if objects},
            unlisted=dict(self.database.execute("SELECT text, amount FROM unlisted WHERE chip = ?", (number,))),
            fault=fault,
            label_fault=label_fault,
        )

    def _suspicions(self, number: int) -> tuple[tuple[str, str], ...]:
        return tuple(self.database.execute("SELECT kind, detail FROM suspicions WHERE chip = ?", (number,)))
