# SPDX-License-Identifier: GPL-2.0-or-later
"""Members of QGIS's and Qt's enumerations are written with their scope: Qt 6 knows no others."""

import ast
import importlib
from pathlib import Path

import deep_learning_toolbox
import pytest

ROOT = Path(deep_learning_toolbox.__file__).resolve().parent
FILES = [ROOT / "plugin.py", *sorted((ROOT / "algorithms").rglob("*.py")), *sorted((ROOT / "ui").rglob("*.py"))]
# PyQt 6 has no QVariant.Type; QGIS's bridge gives QVariant these members back, without scope.
# QGIS 3.38 renamed the members of QgsSymbolLayer.Property; these names are the ones that old and new versions share.
ALLOWED = {"QVariant.Int", "QVariant.String", "QgsSymbolLayer.PropertyFillStyle", "QgsSymbolLayer.PropertyStrokeColor"}


def qgis_names(tree):
    """Objects by the name under which a file imports them from QGIS or Qt."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("qgis."):
            module = importlib.import_module(node.module)
            found.update({alias.asname or alias.name: getattr(module, alias.name) for alias in node.names})
    return found


def find_short_enums(source):
    """The members of enumerations that are written as Class.Member instead of Class.Enumeration.Member."""
    tree = ast.parse(source)
    names = qgis_names(tree)
    short = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            value = getattr(names[node.value.id], node.attr, None)
            if isinstance(value, int) and type(value) is not int and type(value) is not bool:
                short.append(f"{node.value.id}.{node.attr}")
    return short


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_enumerations_are_written_with_their_scope(plugin, path):
    assert set(find_short_enums(path.read_text(encoding="utf-8"))) <= ALLOWED


def test_scan_finds_short_members_and_passes_scoped_ones(plugin):
    source = "from qgis.core import QgsWkbTypes\n"
    assert find_short_enums(source + "QgsWkbTypes.Point") == ["QgsWkbTypes.Point"]
    assert find_short_enums(source + "QgsWkbTypes.Type.Point") == []
