# SPDX-License-Identifier: GPL-2.0-or-later
"""Small rasters and label files for the backend's tests."""

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_200_000)
UTM = "EPSG:32632"


def write_raster(path, values, *, transform=NORTH_UP, crs=UTM, nodata=None, names=None, mask=None, **profile):
    """Writes values (bands, rows, columns), or (rows, columns) for one band, and returns the path as text."""
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    profile = {"driver": "GTiff", "dtype": values.dtype, "crs": crs, "transform": transform, "nodata": nodata, **profile}
    profile |= {"count": count, "height": height, "width": width}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(path, "w", **profile) as raster:
        raster.write(values)
        for band, name in enumerate(names or (), start=1):
            raster.set_band_description(band, name)
        if mask is not None:
            raster.write_mask(mask)
    return str(path)


def pixel_box(left, top, right, bottom, transform=NORTH_UP):
    """A rectangle given in pixels (edges), in map units."""
    (x0, y0), (x1, y1) = transform * (left, top), transform * (right, bottom)
    return shapely.box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def write_labels(path, pairs, crs=UTM, layer="labels"):
    """Writes (geometry, class value) pairs in the form that the algorithm hands to the worker; returns the path as text."""
    geometries, values = zip(*pairs, strict=True)
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(geometry) for geometry in geometries]),
        field_data=[np.array(values, np.int64), np.array([f"class {value}" for value in values], object)],
        fields=["value", "name"],
        geometry_type="Unknown",
        crs=crs,
        layer=layer,
        driver="GPKG",
    )
    return str(path)


def classes(*values):
    """A class list as in the request."""
    return [{"value": value, "name": f"class {value}", "color": None} for value in values]


def drive(events):
    """Runs a stage to its end and returns its events by kind."""
    kinds = {}
    for event in events:
        kinds.setdefault(event["event"], []).append(event)
    return kinds
