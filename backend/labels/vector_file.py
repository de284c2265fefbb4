# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes layers and tables as GeoPackage, with the style that QGIS shows them in."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

LAYER = "labels"  # of the files that the algorithms hand over
Color = tuple[int, int, int]


def write_layer(
    path: Path, fields: Mapping[str, Sequence | NDArray], geometries: Sequence | NDArray | None, kind: str | None, crs_wkt: str | None
) -> None:
    """Writes a GeoPackage with one layer, named as the file; for the arguments see `LayerWriter`."""
    LayerWriter(path, kind, crs_wkt).add(fields, geometries)


class LayerWriter:
    """A GeoPackage with one layer, named as the file, that is written in batches.

    Args:
        path: The file; it must not exist.
        kind: ``Point`` or ``Polygon``; None for a table.
        crs_wkt: CRS; None without.
    """

    def __init__(self, path: Path, kind: str | None, crs_wkt: str | None) -> None:
        self._path, self._kind, self._crs_wkt = path, kind, crs_wkt
        self._is_begun = False

    def add(self, fields: Mapping[str, Sequence | NDArray], geometries: Sequence | NDArray | None) -> None:
        """Adds features.

        Args:
            fields: Name and values (n,) of each field; texts as objects, NaN and None become NULL. The same fields each time.
            geometries: Shapely geometries (n,); None for a table.
        """
        data = [np.asarray(values) for values in fields.values()]
        data = [values.astype(object) if values.dtype.kind == "U" else values for values in data]
        masks = [np.isnan(values) if values.dtype.kind == "f" else None for values in data]
        # The GDAL of older QGIS warns of GeoPackages newer than itself.
        creation = {"append": True} if self._is_begun else {"dataset_options": {"VERSION": "1.2"}}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # what has no georeference keeps none
            pyogrio.raw.write(
                self._path,
                geometry=None if geometries is None else shapely.to_wkb(np.asarray(geometries, object)),
                field_data=data,
                field_mask=masks,
                fields=list(fields),
                geometry_type=self._kind,
                crs=self._crs_wkt,
                layer=self._path.stem,
                driver="GPKG",
                **creation,
            )
        self._is_begun = True


def outline_style() -> bytes:
    """A .qml that shows polygons as thin outlines, so that the image below stays visible."""
    root = ElementTree.Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = ElementTree.SubElement(root, "renderer-v2", type="singleSymbol", symbollevels="0", enableorderby="0")
    symbols = ElementTree.SubElement(renderer, "symbols")
    symbol = ElementTree.SubElement(symbols, "symbol", type="fill", name="0", alpha="1")
    layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1", locked="0")
    properties = {"style": "no", "outline_color": "255,255,0,255", "outline_width": "0.15", "outline_style": "solid"}
    for key, value in properties.items():
        ElementTree.SubElement(layer, "prop", k=key, v=value)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def categorised_style(field: str, categories: Sequence[tuple[str, str, Color]], kind: str) -> bytes:
    """A .qml that shows each value of a field in a colour of its own.

    Args:
        field: The field.
        categories: Value, label and colour of each category; the value "" stands for all others.
        kind: ``Point`` or ``Polygon``.
    """
    root = ElementTree.Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = ElementTree.SubElement(root, "renderer-v2", type="categorizedSymbol", attr=field, symbollevels="0", enableorderby="0")
    listed = ElementTree.SubElement(renderer, "categories")
    symbols = ElementTree.SubElement(renderer, "symbols")
    for place, (value, label, color) in enumerate(categories):
        ElementTree.SubElement(listed, "category", value=value, label=label, symbol=str(place), render="true", type="string")
        _add_symbol(symbols, str(place), color, kind)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add_symbol(parent: ElementTree.Element, name: str, color: Color, kind: str) -> None:
    rgba = ",".join(map(str, (*color, 255)))
    if kind == "Point":
        symbol = ElementTree.SubElement(parent, "symbol", type="marker", name=name, alpha="1")
        layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleMarker"}, enabled="1", locked="0")
        properties = {"name": "circle", "color": rgba, "outline_color": "0,0,0,255", "outline_width": "0.3", "size": "2.6"}
    else:
        symbol = ElementTree.SubElement(parent, "symbol", type="fill", name=name, alpha="0.7")
        layer = ElementTree.SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1", locked="0")
        properties = {"style": "solid", "color": rgba, "outline_color": rgba, "outline_width": "0.3", "outline_style": "solid"}
    for key, value in properties.items():
        ElementTree.SubElement(layer, "prop", k=key, v=value)
