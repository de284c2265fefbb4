# SPDX-License-Identifier: GPL-2.0-or-later
"""The committed table is what its script makes of the catalogue."""

import importlib.metadata
import importlib.util
from pathlib import Path

import deep_learning_toolbox
import spyndex

ROOT = Path(deep_learning_toolbox.__file__).resolve().parent
TABLES = ROOT / "resources" / "tables"


def load_script():
    spec = importlib.util.spec_from_file_location("make_index_table", ROOT / "scripts" / "make_index_table.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_table_is_made_by_the_script():
    script = load_script()
    catalogue = script.read_catalogue(Path(spyndex.__file__).parent.parent)
    lines = script.build_lines(*catalogue, source=f"PyPI package spyndex-{importlib.metadata.version('spyndex')}")
    assert (TABLES / "spectral_indices.json").read_text(encoding="utf-8").splitlines() == lines


def test_licence_of_the_catalogue_lies_beside_the_table():
    licence = (TABLES / "spectral_indices.LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")
    assert "David Montero Loaiza" in licence
