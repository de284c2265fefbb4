# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs an inspection and reads what it leaves, for tests."""

from dataclasses import dataclass

import pyogrio
import shapely
from deep_learning_toolbox.backend.chips.inspection.folder import inspect_chips
from deep_learning_toolbox.backend.chips.inspection.settings import InspectSettings

from ..rasters import drive


@dataclass
class Found:
    """The footprints' rows by the name of the chip, their CRS and path, the report, and what was told."""

    rows: dict
    crs: str
    footprints: str
    report: str
    infos: list
    warnings: list


def stem(number):
    return f"{number:012d}"


def inspect(folder, tmp_path, output=""):
    report = tmp_path / "out" / "report.html"
    events = drive(inspect_chips(InspectSettings(str(folder), str(output), str(report)), "job"))
    path = events["result"][0]["outputs"]["OUTPUT"]
    return Found(
        *read_footprints(path),
        path,
        report.read_text(encoding="utf-8"),
        [event["message"] for event in events.get("info", [])],
        [event["message"] for event in events.get("warning", [])],
    )


def read_footprints(path):
    meta, _, geometry, fields = pyogrio.raw.read(path)
    rows = {}
    for place, wkb in enumerate(geometry):
        row = {name: values[place] for name, values in zip(meta["fields"], fields, strict=True)}
        row["geometry"] = None if wkb is None else shapely.from_wkb(wkb)
        rows[row["chip"].rpartition("/")[2].rpartition(".")[0]] = row
    return rows, meta["crs"]


def kinds(found):
    """Kind of suspicion → numbers of the chips."""
    told = {}
    for name, row in found.rows.items():
        for part in filter(None, row["suspicious"].split(" | ")):
            told.setdefault(part.partition(":")[0], []).append(int(name))
    return told
