# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes folders in the form of exports of ArcGIS Pro, of every metadata format, old (9 digits) and new (12 digits)."""

import json
from pathlib import Path

import numpy as np
from affine import Affine

from ..rasters import write_raster

SIDE = 16
ROOF, ROAD = 10, 20
CLASSES = ((ROOF, "Roof"), (ROAD, "Paved road"))
PLACEHOLDERS = {
    "Framework": "e.g. TensorFlow or PyTorch", "ModelConfiguration": "e.g. UNet or FasterRCNN", "ModelFile": "e.g. ./trained.model",
}  # fmt: skip
CELL = {"x": 10.0, "y": 10.0, "spatialReference": {"wkid": 32632, "latestWkid": 32632}}
VOC = """<?xml version="1.0"?>
<annotation><filename>{stem}.tif</filename><source><annotation>ArcGIS Pro 2.1</annotation></source>
<size><width>16</width><height>16</height><depth>3</depth></size>{objects}</annotation>
"""
VOC_OBJECT = (
    "<object><name>{name}</name><bndbox><xmin>{box[0]:.2f}</xmin><ymin>{box[1]:.2f}</ymin>"
    "<xmax>{box[2]:.2f}</xmax><ymax>{box[3]:.2f}</ymax></bndbox></object>"
)
KITTI = "{name} 0 0 0 {box[0]:.2f} {box[1]:.2f} {box[2]:.2f} {box[3]:.2f} 0 0 0 0 0 0 0\n"


class EsriFolder:
    """A folder of an export under way.

    Args:
        path: The folder.
        mode: ArcGIS's name of the metadata format.
        digits: Digits of the names of the chips: 9 before ArcGIS Pro 2.9, then 12.
        classes: (value, name) of each class.
    """

    def __init__(self, path, mode="Classified_Tiles", digits=12, classes=CLASSES):
        self.path, self.mode, self.digits, self.classes = Path(path), mode, digits, classes
        self.lines = []
        self.definition = {}
        (self.path / "images").mkdir(parents=True)

    def stem(self, number):
        return f"{number:0{self.digits}d}"

    def transform(self, number):
        return Affine(10, 0, 500_000 + 160 * number, 0, -10, 5_200_000)

    def image(self, number, values=None, folder="images", **options):
        """Writes an image and returns its name."""
        values = np.random.default_rng(number).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8) if values is None else values
        return self.raster(f"{folder}/{self.stem(number)}.tif", values, number, **options)

    def raster(self, relative, values, number, **options):
        target = self.path / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        write_raster(target, values, **{"transform": self.transform(number), **options})
        return relative

    def text(self, relative, content):
        target = self.path / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        return relative

    def list(self, *paths):
        """Adds a line to map.txt."""
        self.lines.append("  ".join(path.replace("/", "\\") for path in paths[:2]) + "".join(f" {p}" for p in paths[2:]) + " \r\n")

    def classified(self, number, label, values=None, **options):
        """Adds a chip with a label chip."""
        label = np.asarray(label, np.int32) if np.asarray(label).dtype.kind in "bi" else np.asarray(label)
        label = np.full((SIDE, SIDE), label) if label.ndim == 0 else label
        self.list(self.image(number, values, **options), self.raster(f"labels/{self.stem(number)}.tif", label, number))

    def boxes(self, number, objects, template=None):
        """Adds a chip with boxes (name, box) in PASCAL VOC's or KITTI's form."""
        if self.mode == "KITTI_rectangles":
            label = f"labels/{self.stem(number)}.txt"
            content = "".join(KITTI.format(name=name, box=box) for name, box in objects)
        else:
            label = f"labels/{self.stem(number)}.xml"
            listed = "".join(VOC_OBJECT.format(name=name, box=box) for name, box in objects)
            content = (template or VOC).format(stem=self.stem(number), objects=listed)
        self.list(self.image(number), self.text(label, content))

    def masks(self, number, by_class, folder="labels"):
        """Adds a chip with a mask of object numbers for each class name."""
        labels = [self.raster(f"{folder}/{name}/{self.stem(number)}.tif", mask, number) for name, mask in by_class.items()]
        self.list(self.image(number), *labels)

    def finish(self):
        """Writes the metadata and returns the folder."""
        if self.digits == 12:
            props = {"RasterCount": 1, "SensorName": "Undefined", "BandNames": ["Red", "Green", "Blue"]}
            self.definition = {"MinCellSize": CELL, "MaxCellSize": CELL, "InputRastersProps": props, **self.definition}
        listed = [{"Value": value, "Name": name, "Color": [-1, -1, -1]} for value, name in self.classes]
        definition = {**PLACEHOLDERS, "MetaDataMode": self.mode, **self.definition, "Classes": listed}
        stats = {"Version": 1, "NumBands": 3, "NumTiles": len(self.lines), "MetaDataMode": self.mode}
        (self.path / "map.txt").write_bytes("".join(self.lines).encode())
        (self.path / "stats.txt").write_text(f"images = {len(self.lines)} *3*{SIDE}*{SIDE}\n")
        (self.path / "esri_model_definition.emd").write_text(json.dumps(definition))
        (self.path / "esri_accumulated_stats.json").write_text(json.dumps(stats))
        return self.path


def square(value, left=2, top=2, side=6):
    """A label with one square of a value."""
    label = np.zeros((SIDE, SIDE), np.int32)
    label[top : top + side, left : left + side] = value
    return label
