# SPDX-License-Identifier: GPL-2.0-or-later
"""What an inspection of training data is asked to do. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import ToolboxError


@dataclass(frozen=True)
class InspectSettings:
    """Settings of one inspection; the defaults are the tool's.

    Attributes:
        folder: Folder of chips, of any metadata format.
        output: GeoPackage of footprints to write; empty = in the folder of chips, where training finds it.
        report: HTML file to write; empty = none.

    Raises:
        ToolboxError: On creation, with all faults at once.
    """

    folder: str
    output: str = ""
    report: str = ""

    def __post_init__(self) -> None:
        faults = []
        if not Path(self.folder).is_dir():
            faults.append(f"The folder of training data {self.folder} does not exist; choose one that was exported.")
        if self.output and Path(self.output).suffix.lower() != ".gpkg":
            faults.append(f"OUTPUT {self.output} is not a GeoPackage; give a name that ends in .gpkg.")
        if self.report and Path(self.report).suffix.lower() not in (".html", ".htm"):
            faults.append(f"OUTPUT_HTML {self.report} is not a web page; give a name that ends in .html.")
        if faults:
            raise ToolboxError(" ".join(faults))
