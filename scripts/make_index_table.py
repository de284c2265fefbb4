# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes resources/tables/spectral_indices.json from the awesome-spectral-indices catalogue, as the package spyndex ships it.

Run by hand when the catalogue has grown, then look at the difference:

    python -m pip install --no-deps --target /some/folder spyndex==0.12.0
    python scripts/make_index_table.py /some/folder

Only facts are taken: names, formulas, inputs, domains, platforms, references. The formulas are data here, see
``backend/imagery/indices/formula.py``; the package's own evaluator is not used.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

TABLES = Path(__file__).resolve().parent.parent / "resources" / "tables"


def read_catalogue(package: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The indices and the constants of the catalogue, by short name."""
    data = package / "spyndex" / "data"
    indices = json.loads((data / "spectral-indices-dict.json").read_text(encoding="utf-8"))["SpectralIndices"]
    constants = json.loads((data / "constants.json").read_text(encoding="utf-8"))
    return indices, constants


def build_lines(indices: dict[str, Any], constants: dict[str, Any], source: str) -> list[str]:
    """The table as lines of JSON, one entry a line, so that differences between two catalogues can be read."""
    credit = {
        "name": "awesome-spectral-indices",
        "source": source,
        "address": "https://github.com/awesome-spectral-indices/awesome-spectral-indices",
        "licence": "MIT, Copyright (c) 2021 David Montero Loaiza; see spectral_indices.LICENSE",
    }
    lines = ["{", f'"catalogue": {json.dumps(credit)},', '"constants": {']
    lines += _entries({name: {"default": entry["default"], "title": entry["description"]} for name, entry in constants.items()})
    lines += ["},", '"indices": {']
    lines += _entries(
        {
            name: {
                "title": entry["long_name"],
                "domain": entry["application_domain"],
                "formula": entry["formula"],
                "inputs": sorted(entry["bands"]),
                "platforms": entry["platforms"],
                "reference": entry["reference"],
            }
            for name, entry in indices.items()
        }
    )
    return [*lines, "}", "}"]


def _entries(table: dict[str, Any]) -> list[str]:
    ordered = sorted(table.items(), key=lambda item: (item[0].lower(), item[0]))
    rows = [f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in ordered]
    return [f"{row}," for row in rows[:-1]] + rows[-1:]


def main() -> None:
    """Writes the table and the licence of its source."""
    parser = argparse.ArgumentParser(description="Make the table of spectral indices.")
    parser.add_argument("package", type=Path, help="folder that spyndex was installed into")
    package = parser.parse_args().package
    (info,) = package.glob("spyndex-*.dist-info")
    lines = build_lines(*read_catalogue(package), source=f"PyPI package {info.name[: -len('.dist-info')]}")
    (TABLES / "spectral_indices.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    licence = (info / "licenses" / "LICENSE").read_text(encoding="utf-8")
    (TABLES / "spectral_indices.LICENSE").write_text(licence, encoding="utf-8")


if __name__ == "__main__":
    main()
