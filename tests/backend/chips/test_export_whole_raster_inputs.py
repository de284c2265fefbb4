# SPDX-License-Identifier: GPL-2.0-or-later
"""Every chip, pixel by pixel, against an independent export: class rasters, several rasters, additions, scales, formats."""

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..rasters import NORTH_UP, classes, drive, pixel_box, write_labels, write_raster
from .test_export_options import append_layer
from .whole_raster import Request, export

VALUES = (1, 7, 300)
GAP = 3  # columns between two rasters

boxes = st.tuples(st.integers(0, 80), st.integers(0, 40), st.integers(1, 25), st.integers(1, 25), st.sampled_from(VALUES))
cases = st.fixed_dictionaries(
    {
        "columns": st.integers(18, 45),
        "rows": st.integers(18, 40),
        "bands": st.sampled_from([1, 3]),
        "dtype": st.sampled_from(["uint8", "int16", "float32"]),
        "nodata": st.booleans(),
        "labels": st.lists(boxes, min_size=1, max_size=5),
        "is_raster": st.booleans(),
        "other": st.sampled_from(["none", "more", "append"]),
        "second": st.booleans(),
        "scaling": st.sampled_from([None, (0.5, 3.0)]),
        "chip_format": st.sampled_from(["tiff", "mrf", "png"]),
        "pixel_space": st.booleans(),
        "size": st.tuples(st.integers(16, 24), st.integers(16, 24)),
        "stride": st.tuples(st.integers(8, 30), st.integers(8, 30)),
        "empty_tiles": st.booleans(),
        "seed": st.integers(0, 2**32 - 1),
    }
)


class Scene:
    """One or two rasters of the same kind beside each other, with their labels and a second image."""

    def __init__(self, case, folder):
        self.case, self.folder = case, folder
        self.random = np.random.default_rng(case["seed"])
        self.count = 1 if case["other"] == "none" else 2
        step = case["columns"] + GAP
        self.transforms = [NORTH_UP * Affine.translation(number * step, 0) for number in range(self.count)]
        self.pixels = [self._make(transform, number) for number, transform in enumerate(self.transforms)]
        self.ground = np.zeros((case["rows"], step * self.count), np.uint16)
        self.boxes = [(left % self.ground.shape[1], top, width, height, value) for left, top, width, height, value in case["labels"]]
        for left, top, width, height, value in self.boxes:
            self.ground[top : top + height, left : left + width] = value
        self.step = step

    def _make(self, transform, number):
        case = self.case
        image = self.random.integers(1, 200, (case["bands"], case["rows"], case["columns"])).astype(case["dtype"])
        valid = np.ones(image.shape[1:], bool)
        if case["nodata"]:
            valid = self.random.random(valid.shape) < 0.9
            image[0][~valid] = 0
        path = write_raster(self.folder / f"image_{number}.tif", image, transform=transform, nodata=0 if case["nodata"] else None)
        if case["scaling"]:
            with rasterio.open(path, "r+") as raster:
                raster.scales, raster.offsets = ([part] * case["bands"] for part in case["scaling"])
        return path, image, valid

    def label_settings(self):
        if self.case["is_raster"]:
            path = write_raster(self.folder / "classes.tif", self.ground)
            return {"label_raster": path, "classes": classes(*VALUES)}
        pairs = [(pixel_box(left, top, left + width, top + height), value) for left, top, width, height, value in self.boxes]
        labels = write_labels(self.folder / "labels.gpkg", pairs)
        if self.case["other"] == "more":
            append_layer(write_labels(self.folder / "more.gpkg", pairs, layer="labels_2"), labels)
        return {"labels": labels, "classes": classes(*VALUES)}

    def expect(self, number):
        """The chips of one raster as they ought to be, and those of its second image."""
        _, image, valid = self.pixels[number]
        left = number * self.step
        request = Request(
            image.astype(float), valid, [], self.case["size"], self.case["stride"], empty_tiles=self.case["empty_tiles"],
            classes=self.ground[:, left : left + self.case["columns"]],
        )  # fmt: skip
        return export(request)


def run(scene, **more):
    case = scene.case
    options = {
        "tile_size_x": case["size"][0], "tile_size_y": case["size"][1], "stride_x": case["stride"][0], "stride_y": case["stride"][1],
        "empty_tiles": case["empty_tiles"], "chip_format": case["chip_format"], "threads": 2,
        "reference_system": "pixel_space" if case["pixel_space"] else "map_space", **scene.label_settings(), **more,
    }  # fmt: skip
    try:
        drive(export_chips(ExportSettings(output=str(scene.folder / "chips"), **options), "test"))
    except ToolboxError as nothing:
        return str(nothing)
    return ""


def settle(case):
    """A case whose settings can be combined."""
    picture = case["chip_format"] == "png"
    if picture:
        case = {**case, "dtype": "uint8"}
    if case["second"] and (case["other"] != "none" or case["pixel_space"]):
        case = {**case, "second": False}
    return case


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases)
def test_every_chip_has_the_pixels_of_an_independent_export(tmp_path_factory, case):
    case = settle(case)
    scene = Scene(case, tmp_path_factory.mktemp("export"))
    expected = [(number, chip) for number in range(scene.count) for chip in scene.expect(number)]
    second = None
    if case["second"]:
        second = scene.random.integers(1, 200, (2, case["rows"], case["columns"])).astype("uint8")
        second = second[:1] if case["chip_format"] == "png" else second
    more = {"raster2": write_raster(scene.folder / "second.tif", second)} if case["second"] else {}
    if case["other"] == "more":
        more["more_rasters"] = [scene.pixels[1][0]]
    told = run(scene, raster=scene.pixels[0][0], **more)
    if case["other"] == "append":
        told = run(scene, raster=scene.pixels[1][0], append=True) and told
    if not expected:
        assert told
        return
    folder = ChipFolder.open(scene.folder / "chips")
    found = {(chip.source if len(folder.index.sources) > 1 else expected[0][0], *chip.window[:2]): chip for chip in folder.chips}
    assert sorted(found) == sorted((number, chip.left, chip.top) for number, chip in expected)
    assert len({chip.name for chip in folder.chips}) == len(expected)
    for number, plain in expected:
        compare(folder, found[number, plain.left, plain.top], plain, case, second)
    pixels = np.concatenate([chip.image[:, chip.valid] for _, chip in expected], axis=1)
    scale, offset = case["scaling"] or (1, 0)
    for band, figures in enumerate(folder.bands):
        assert figures.count == pixels.shape[1]
        assert figures.mean == pytest.approx(pixels[band].mean() * scale + offset, rel=1e-6)
        assert figures.maximum == pixels[band].max() * scale + offset


def compare(folder, record, plain, case, second):
    arrays = folder.load(record)
    assert np.array_equal(arrays.valid, plain.valid)
    assert np.array_equal(arrays.label, plain.label)
    scale, offset = case["scaling"] or (1, 0)
    assert np.array_equal(arrays.image[:, plain.valid], (plain.image * scale + offset)[:, plain.valid].astype(np.float32))
    assert (arrays.transform.e < 0) and ((arrays.transform.a == 1) == case["pixel_space"])
    if second is not None:
        with rasterio.open(folder.path / record.image2) as chip:
            stored = chip.read()
        rows, columns = plain.valid.nonzero()
        assert np.array_equal(stored[:, rows, columns], second[:, rows + plain.top, columns + plain.left])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    columns=st.integers(10, 25),
    rows=st.integers(10, 25),
    factor=st.sampled_from([0.5, 2]),
    corner=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    side=st.integers(3, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_another_cell_size_labels_by_the_centres_of_its_cells(tmp_path_factory, columns, rows, factor, corner, side, seed):
    folder = tmp_path_factory.mktemp("export")
    image = np.random.default_rng(seed).integers(1, 200, (1, 2 * rows, 2 * columns)).astype("float32")
    left, top = corner[0] + 0.3, corner[1] + 0.3
    box = shapely.box(left / factor, top / factor, (left + side) / factor, (top + side) / factor)  # in cells of the chips
    shape = tuple(int(length / factor) for length in image.shape[1:])
    request = Request(np.zeros((1, *shape)), np.ones(shape, bool), [(box, 7)], (16, 16), (16, 16))
    expected = export(request)
    labels = write_labels(folder / "labels.gpkg", [(pixel_box(left, top, left + side, top + side), 7)])
    source = write_raster(folder / "image.tif", image)
    options = {"labels": labels, "classes": classes(7), "cell_size": 10 * factor}
    sizes = {"tile_size_x": 16, "tile_size_y": 16, "stride_x": 16, "stride_y": 16}
    try:
        drive(export_chips(ExportSettings(source, str(folder / "chips"), **options, **sizes), "test"))
    except ToolboxError as nothing:
        assert expected == [], nothing
        return
    chips = ChipFolder.open(folder / "chips")
    assert [chip.window[:2] for chip in chips.chips] == [(chip.left, chip.top) for chip in expected]
    assert chips.index.cell_size == (10 * factor, 10 * factor)
    for record, plain in zip(chips.chips, expected, strict=True):
        arrays = chips.load(record)
        assert np.array_equal(arrays.label, plain.label)
        assert np.array_equal(arrays.valid, plain.valid)
        if factor == 2:
            means = image[0].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
            inside_rows, inside_columns = plain.valid.nonzero()
            wanted = means[inside_rows + plain.top, inside_columns + plain.left]
            assert np.allclose(arrays.image[0][inside_rows, inside_columns], wanted, atol=1e-3)
