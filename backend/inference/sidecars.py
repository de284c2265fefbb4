# SPDX-License-Identifier: GPL-2.0-or-later
"""What lies beside a class raster so that every program shows names and colours, and beside one of percent.

``x.tif.aux.xml``: GDAL's sidecar with category names and a raster attribute table of ArcGIS's columns. ``x.qml``: QGIS's default
style. Both are written as text, because opening a cloud-optimised GeoTIFF to change it would destroy its layout.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass

# (name, type, usage) as GDAL numbers them: types 0 integer, 1 real, 2 text; usages 5 value, 2 name, 6 to 8 colours, 1 pixel count.
COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8), ("Count", 1, 1))
# Category names are listed from 0 on; beyond this the list would be mostly blank.
MOST_CATEGORIES = 1024
# Five colours of viridis (CC0), which rise evenly in lightness and are told apart by the colour-blind, too.
PERCENT_RAMP = {0: "#440154", 25: "#3b528b", 50: "#21918c", 75: "#5ec962", 100: "#fde725"}


@dataclass(frozen=True)
class LegendEntry:
    """One row of the legend: class value, name, colour (0 to 255)."""

    value: int
    name: str
    color: tuple[int, int, int]


def build_sidecar(legend: list[LegendEntry], counts: Mapping[int, int]) -> bytes:
    """The .aux.xml; ``counts`` are the pixels of each class value."""
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    names = {entry.value: entry.name for entry in legend}
    if max(names) <= MOST_CATEGORIES:
        categories = ElementTree.SubElement(band, "CategoryNames")
        for value in range(max(names) + 1):
            ElementTree.SubElement(categories, "Category").text = names.get(value, "")
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(COLUMNS):
        column = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        ElementTree.SubElement(column, "Name").text = name
        ElementTree.SubElement(column, "Type").text = str(kind)
        ElementTree.SubElement(column, "Usage").text = str(usage)
    for index, entry in enumerate(legend):
        row = ElementTree.SubElement(table, "Row", index=str(index))
        for cell in (entry.value, entry.name, *entry.color, counts.get(entry.value, 0)):
            ElementTree.SubElement(row, "F").text = str(cell)
    # GDAL takes the file's first node for the root and ignores everything after an XML declaration; UTF-8 is its default.
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=False)


def build_style(legend: list[LegendEntry]) -> bytes:
    """The .qml: a paletted renderer, classes in ascending order."""
    root = ElementTree.Element("qgis", version="3.22.0", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    renderer = ElementTree.SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor="")
    ElementTree.SubElement(renderer, "rasterTransparency")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for entry in legend:
        color = "#{:02x}{:02x}{:02x}".format(*entry.color)
        ElementTree.SubElement(palette, "paletteEntry", value=str(entry.value), color=color, label=entry.name, alpha="255")
    ElementTree.SubElement(root, "blendMode").text = "0"
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def build_percent_style() -> bytes:
    """The .qml of a raster of percent: the whole range from 0 to 100 in colour, whatever part of it occurs.

    QGIS by itself would stretch the colours over what a raster holds, so that a map that is sure everywhere looked as unsure as any.
    """
    root = ElementTree.Element("qgis", version="3.22.0", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    limits = {"classificationMin": "0", "classificationMax": "100"}
    renderer = ElementTree.SubElement(
        pipe, "rasterrenderer", type="singlebandpseudocolor", band="1", opacity="1", alphaBand="-1", nodataColor="", **limits
    )
    ElementTree.SubElement(renderer, "rasterTransparency")
    shader = ElementTree.SubElement(
        ElementTree.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue="100",
    )
    for value, color in PERCENT_RAMP.items():
        ElementTree.SubElement(shader, "item", value=str(value), label=f"{value} %", color=color, alpha="255")
    ElementTree.SubElement(root, "blendMode").text = "0"
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
