# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and colours of the classes of a raster: from the layer's style, else from its attribute table.

The worker reads a colour table by itself; it cannot read the attribute tables that need GDAL's own bindings, nor a style.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from osgeo import gdal, ogr
from qgis.core import QgsPalettedRasterRenderer, QgsRasterLayer

NAME_COLUMNS = ("class_name", "classname", "class", "name", "label")
COLOR_COLUMNS = ("red", "green", "blue")

Entry = dict[str, Any]


def read_legend(layer: QgsRasterLayer) -> list[Entry]:
    """``value``, ``name``, ``color`` by ascending value, as far as they are known; call it in the thread of the layer."""
    legend: dict[int, Entry] = {}
    for entry in (*_attribute_table(layer.source()), *_dbase_table(f"{layer.source()}.vat.dbf"), *_style(layer)):
        known = legend.setdefault(entry["value"], {"value": entry["value"]})
        known.update({key: content for key, content in entry.items() if content})
    return [legend[value] for value in sorted(legend)]


def _style(layer: QgsRasterLayer) -> Iterator[Entry]:
    renderer = layer.renderer()
    if isinstance(renderer, QgsPalettedRasterRenderer):
        for entry in renderer.classes():
            color = entry.color
            # QGIS writes the value where nobody has given a name.
            name = "" if entry.label.strip() == f"{entry.value:g}" else entry.label.strip()
            yield {"value": int(entry.value), "name": name, "color": [color.red(), color.green(), color.blue()]}


def _attribute_table(source: str) -> Iterator[Entry]:
    dataset = gdal.Open(source)
    table = dataset.GetRasterBand(1).GetDefaultRAT() if dataset is not None else None
    if table is None:
        return
    columns = {table.GetNameOfCol(column).lower(): column for column in range(table.GetColumnCount())}
    by_usage = {table.GetUsageOfCol(column): column for column in reversed(range(table.GetColumnCount()))}
    value = by_usage.get(gdal.GFU_MinMax, columns.get("value"))
    name = by_usage.get(gdal.GFU_Name, next((columns[name] for name in NAME_COLUMNS if name in columns), None))
    colors = [
        by_usage.get(usage, columns.get(color)) for usage, color in zip((gdal.GFU_Red, gdal.GFU_Green, gdal.GFU_Blue), COLOR_COLUMNS)
    ]
    if value is None:
        return
    for row in range(table.GetRowCount()):
        entry: Entry = {"value": table.GetValueAsInt(row, value)}
        if name is not None:
            entry["name"] = table.GetValueAsString(row, name).strip()
        if None not in colors:
            entry["color"] = [table.GetValueAsInt(row, column) for column in colors]
        yield entry


def _dbase_table(path: str) -> Iterator[Entry]:
    """ArcGIS's attribute table, a dBASE file beside the raster."""
    dataset = ogr.Open(path) if os.path.isfile(path) else None
    layer = dataset.GetLayer(0) if dataset is not None else None
    if layer is None:
        return
    definition = layer.GetLayerDefn()
    columns = {definition.GetFieldDefn(column).GetName().lower(): column for column in range(definition.GetFieldCount())}
    name = next((columns[name] for name in NAME_COLUMNS if name in columns), None)
    if "value" not in columns:
        return
    for feature in layer:
        entry: Entry = {"value": feature.GetFieldAsInteger(columns["value"])}
        if name is not None:
            entry["name"] = feature.GetFieldAsString(name).strip()
        if all(color in columns for color in COLOR_COLUMNS):
            entry["color"] = [feature.GetFieldAsInteger(columns[color]) for color in COLOR_COLUMNS]
        yield entry
