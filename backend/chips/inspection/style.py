# SPDX-License-Identifier: GPL-2.0-or-later
"""How the footprints look in QGIS: filled with the colour of the main class, a red outline where suspicious, crossed where struck out.

Written as a .qml, QGIS's default style for the file of the same name. The columns of the classes show the classes' names.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from ...labels.schema import ClassSchema
from .footprints import CHIP_FIELD, CLASSES_FIELD, MAIN_CLASS_FIELD, SUSPICIOUS_FIELD, USE_FIELD, ClassField

FILL_ALPHA = 90
OUTLINE, WARNING, STRUCK = "60,60,60,255", "214,39,40,255", "30,30,30,255"
NOTHING = "0,0,0,0"
MAP_TIP = f'<b>[% "{CHIP_FIELD}" %]</b><br>[% "{CLASSES_FIELD}" %]<br><i>[% "{SUSPICIOUS_FIELD}" %]</i>'


def build_footprint_style(classes: ClassSchema, present: Sequence[int], fields: Sequence[ClassField]) -> bytes:
    """The .qml.

    Args:
        classes: The classes.
        present: Values of the classes that are the main class of a chip.
        fields: The columns of the classes.
    """
    root = ElementTree.Element("qgis", version="3.22.0", styleCategories="Symbology|Fields|MapTips")
    renderer = ElementTree.SubElement(root, "renderer-v2", type="RuleRenderer", symbollevels="0", enableorderby="0", forceraster="0")
    rules = ElementTree.SubElement(renderer, "rules", key="root")
    symbols = ElementTree.SubElement(renderer, "symbols")
    # Every rule that holds draws, in this order.
    shown = [entry for entry in classes.classes if entry.value in set(present)]
    for entry in shown:
        fill = ",".join(map(str, (*entry.color, FILL_ALPHA)))
        condition = f'"{USE_FIELD}" and "{MAIN_CLASS_FIELD}" = {entry.value}'
        _add_rule(rules, symbols, condition, entry.name, ("solid", fill, OUTLINE, 0.26))
    rest = f'"{USE_FIELD}" and "{MAIN_CLASS_FIELD}" = 0'
    _add_rule(rules, symbols, rest, "no class", ("no", NOTHING, OUTLINE, 0.26))
    _add_rule(rules, symbols, f'"{SUSPICIOUS_FIELD}" <> \'\'', "suspicious", ("no", NOTHING, WARNING, 0.6))
    _add_rule(rules, symbols, f'not "{USE_FIELD}"', "struck out (not used)", ("diagonal_x", STRUCK, STRUCK, 0.4))
    aliases = ElementTree.SubElement(root, "aliases")
    for field in fields:
        title = f"{field.name} ({field.column.partition('_')[0]})"
        ElementTree.SubElement(aliases, "alias", field=field.column, name=title, index="-1")
    ElementTree.SubElement(root, "mapTip").text = MAP_TIP
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add_rule(
    rules: ElementTree.Element, symbols: ElementTree.Element, condition: str, label: str, look: tuple[str, str, str, float]
) -> None:
    """Adds a rule with a symbol of its own; `look` is fill style, fill colour, outline colour, outline width in millimetres."""
    number = str(len(rules))
    ElementTree.SubElement(rules, "rule", symbol=number, filter=condition, label=label, key=f"rule{number}")
    symbol = ElementTree.SubElement(symbols, "symbol", type="fill", name=number, alpha="1", clip_to_extent="1", force_rhr="0")
    layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
    options = ElementTree.SubElement(layer, "Option", type="Map")
    style, fill, outline, width = look
    properties = {
        "style": style, "color": fill, "outline_color": outline, "outline_style": "solid", "outline_width": str(width),
        "outline_width_unit": "MM", "joinstyle": "miter",
    }  # fmt: skip
    for name, value in properties.items():
        ElementTree.SubElement(options, "Option", type="QString", name=name, value=value)
