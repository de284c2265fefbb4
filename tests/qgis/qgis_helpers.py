# SPDX-License-Identifier: GPL-2.0-or-later
"""Small scenes and label layers, and how the tests run a tool."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QVariant

CRS = "EPSG:32617"
LEFT, TOP, PIXEL, SIZE = 600_000, 4_000_000, 10, 96
WATER, FOREST = 1, 4
SMALL_CHIPS = {"TILE_SIZE_X": 32, "TILE_SIZE_Y": 32, "STRIDE_X": 32, "STRIDE_Y": 32}
QUICK_TRAINING = {"BACKBONE": "resnet18", "WEIGHTS": "none", "MAX_EPOCHS": 1, "BATCH_SIZE": 4, "DEVICE": "cpu"}

HANGS_AFTER = 900  # seconds; ends a test that hangs, while a busy machine may take its time


class Log(QgsProcessingFeedback):
    """Feedback that remembers what it is told."""

    def __init__(self):
        super().__init__(False)
        self.infos, self.warnings, self.errors, self.steps = [], [], [], []

    def pushInfo(self, info):  # noqa: N802 - Qt's spelling
        self.infos.append(info)

    def pushWarning(self, warning):  # noqa: N802
        self.warnings.append(warning)

    def reportError(self, error, fatalError=False):  # noqa: N802, N803
        self.errors.append(error)

    def setProgressText(self, text):  # noqa: N802
        self.steps.append(text)


def wait_until(is_so):
    """Lets QGIS work until something is so; returns the longest time that the main thread was blocked, in seconds."""
    deadline, longest, last = time.monotonic() + HANGS_AFTER, 0.0, time.monotonic()
    while not is_so():
        assert time.monotonic() < deadline
        QCoreApplication.processEvents()
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        time.sleep(0.01)
    return longest


def run(algorithm, feedback=None, **parameters):
    """Outputs of a tool of the toolbox; paths may be Path objects."""
    import processing  # on the path only once QGIS runs

    values = {name: str(value) if isinstance(value, Path) else value for name, value in parameters.items()}
    return processing.run(f"deeplearning:{algorithm}", values, feedback=feedback or Log())


def refusal(algorithm, **parameters):
    """What a tool says when it refuses."""
    log = Log()
    with pytest.raises(QgsProcessingException) as raised:
        run(algorithm, log, **parameters)
    return "\n".join([*log.errors, str(raised.value)])


def write_raster(path, bands, crs=CRS, nodata=None, transform=(LEFT, PIXEL, 0, TOP, 0, -PIXEL), names=()):
    """Writes an array (bands, rows, columns) in its own type and returns the path."""
    bands = np.asarray(bands)
    kinds = {"uint8": gdal.GDT_Byte, "uint16": gdal.GDT_UInt16, "int16": gdal.GDT_Int16, "float32": gdal.GDT_Float32}
    count, rows, columns = bands.shape
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), columns, rows, count, kinds[bands.dtype.name])
    if transform is not None:
        dataset.SetGeoTransform(transform)
    if crs:
        system = osr.SpatialReference()
        system.SetFromUserInput(crs)
        dataset.SetProjection(system.ExportToWkt())
    for number in range(1, count + 1):
        band = dataset.GetRasterBand(number)
        if nodata is not None:
            band.SetNoDataValue(nodata)
        if names:
            band.SetDescription(names[number - 1])
        band.WriteArray(bands[number - 1])
    del band, dataset
    return Path(path)


def scene_array(bands=2, size=SIZE, dtype="uint8", scale=1):
    """Water (dark) on the left, forest (bright) on the right, with some noise."""
    noise = np.random.default_rng(7).integers(0, 30, (bands, size, size))
    noise[:, :, size // 2 :] += 120
    return (noise * scale).astype(dtype)


def make_scene(path, bands=2, dtype="uint8", scale=1, names=(), **options):
    """Writes the scene as a GeoTIFF; for the options see `write_raster`."""
    return write_raster(path, scene_array(bands, dtype=dtype, scale=scale), names=names, **options)


def square(column, row, size=16):
    """A square of whole pixels of the scene as a geometry."""
    x, y = LEFT + column * PIXEL, TOP - row * PIXEL
    return QgsGeometry.fromRect(QgsRectangle(x, y - size * PIXEL, x + size * PIXEL, y))


def scene_squares():
    """Four squares in the water and four in the forest, as (geometry, is forest)."""
    return [(square(column, row), column >= SIZE // 2) for column in (4, 26, 52, 74) for row in (8, 56)]


def make_layer(features, fields, crs=CRS, kind="Polygon", name="labels"):
    """A memory layer; ``features`` are (geometry, attributes...), ``fields`` are (name, QVariant type)."""
    layer = QgsVectorLayer(f"{kind}?crs={crs}" if crs else kind, name, "memory")
    layer.dataProvider().addAttributes([QgsField(field, kind) for field, kind in fields])
    layer.updateFields()
    for geometry, *attributes in features:
        feature = QgsFeature(layer.fields())
        feature.setGeometry(geometry)
        feature.setAttributes(attributes)
        assert layer.dataProvider().addFeatures([feature])[0]
    layer.updateExtents()
    return layer


def make_labels(crs=CRS):
    """Label layer of the scene with the fields Classvalue (1, 4) and Classname."""
    features = [(geometry, FOREST if forest else WATER, "Forest" if forest else "Water") for geometry, forest in scene_squares()]
    return make_layer(features, [("Classvalue", QVariant.Type.Int), ("Classname", QVariant.Type.String)], crs)


def read_array(path):
    """All bands of a raster."""
    dataset = gdal.Open(str(path))
    return dataset.ReadAsArray()


def label_pixels(chips):
    """Number of labelled pixels by class value in a folder of chips; overlaps count twice."""
    counts = {}
    for path in sorted((Path(chips) / "labels").glob("*.tif")):
        for value, count in zip(*np.unique(read_array(path), return_counts=True)):
            if value:
                counts[int(value)] = counts.get(int(value), 0) + int(count)
    return counts


def tree(folder):
    """Names of everything below a folder."""
    return sorted(os.path.relpath(path, folder) for path in Path(folder).rglob("*"))
