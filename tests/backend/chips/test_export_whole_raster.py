# SPDX-License-Identifier: GPL-2.0-or-later
"""Every chip, pixel by pixel, against an independent export of the whole raster, for combinations of parameters tried at random."""

import numpy as np
import shapely
from affine import Affine
from deep_learning_toolbox.backend.chips import exporter
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.labels.vector import move
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ..rasters import NORTH_UP, classes, drive, write_labels, write_raster
from .whole_raster import Request, export

CELL = 10
VALUES = (1, 7, 300)

# Odd corners: edges through pixel centres, where either answer would be right, are rare; `is_clear` rules out the rest.
corners = st.tuples(st.integers(-600, 8000), st.integers(-600, 7000))
ODD = ((0.00317, 0.00719), (0.00431, 0.00123), (0.00877, 0.00557))
triangles = (
    st.tuples(corners, corners, corners)
    .map(lambda ends: shapely.Polygon([(x / 100 + a, y / 100 + b) for (x, y), (a, b) in zip(ends, ODD, strict=True)]))
    .filter(lambda shape: shape.area > 2)
)
requests = st.fixed_dictionaries(
    {
        "columns": st.integers(20, 75),
        "rows": st.integers(20, 65),
        "bands": st.integers(1, 3),
        "dtype": st.sampled_from(["uint8", "uint16", "int16", "float32"]),
        "nodata": st.booleans(),
        "block": st.sampled_from([None, 16, 32]),
        "polygons": st.lists(st.tuples(triangles, st.sampled_from(VALUES)), min_size=1, max_size=5),
        "size": st.tuples(st.integers(16, 30), st.integers(16, 30)),
        "stride": st.tuples(st.integers(5, 35), st.integers(5, 35)),
        "angle": st.sampled_from([0, 0, 0, 90, 180, 33]),
        "extent": st.none() | st.tuples(st.integers(0, 15), st.integers(0, 15), st.integers(18, 60), st.integers(18, 60)),
        "mask": st.none() | triangles.map(lambda shape: shape.buffer(12)),
        "empty_tiles": st.booleans(),
        "min_overlap": st.sampled_from([0, 0, 0.3]),
        "min_labeled": st.sampled_from([0, 0, 0.1]),
        "threads": st.integers(1, 3),
        "panel": st.sampled_from([1, 4000, 10**7]),
        "south_up": st.booleans(),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def is_clear(case):
    """No pixel centre lies on an edge."""
    x, y = np.meshgrid(np.arange(case["columns"]) + 0.5, np.arange(case["rows"]) + 0.5)
    centres = shapely.points(x.ravel(), y.ravel())
    return all(shapely.distance(shape.boundary, centres).min() > 1e-6 for shape, _ in case["polygons"])


def make_image(case):
    """Values and validity; nodata in a corner and in single pixels of one band."""
    random = np.random.default_rng(case["seed"])
    image = random.integers(1, 200, (case["bands"], case["rows"], case["columns"])).astype(case["dtype"])
    valid = np.ones(image.shape[1:], bool)
    if case["nodata"]:
        valid = random.random(valid.shape) < 0.97
        valid[:9, :12] = False
        image[-1][~valid] = 0
    return image, valid


def run_toolbox(case, image, folder):
    transform = Affine(CELL, 0, 500_000, 0, CELL, 5_200_000) if case["south_up"] else NORTH_UP
    tiled = {} if case["block"] is None else {"tiled": True, "blockxsize": case["block"], "blockysize": case["block"]}
    source = write_raster(folder / "image.tif", image, transform=transform, nodata=0 if case["nodata"] else None, **tiled)

    def to_map(shape):
        return move(np.array([shape]), transform)[0]

    labels = write_labels(folder / "labels.gpkg", [(to_map(shape), value) for shape, value in case["polygons"]])
    mask = case["mask"] and write_labels(folder / "mask.gpkg", [(to_map(case["mask"]), 1)], layer="mask")
    extent = None
    if case["extent"]:
        left, top, right, bottom = case["extent"]
        xs, ys = zip(transform * (left, top), transform * (right, bottom), strict=True)
        extent = (min(xs), min(ys), max(xs), max(ys))
    return export_chips(
        ExportSettings(
            source, str(folder / "chips"), labels=labels, classes=classes(*VALUES), mask=mask, extent=extent,
            tile_size_x=case["size"][0], tile_size_y=case["size"][1], stride_x=case["stride"][0], stride_y=case["stride"][1],
            rotation_angle=case["angle"], empty_tiles=case["empty_tiles"], min_overlap_ratio=case["min_overlap"],
            min_labeled_ratio=case["min_labeled"], threads=case["threads"],
        ),
        "test",
    )  # fmt: skip


def run_oracle(case, image, valid):
    extent = case["extent"]
    if extent:
        extent = (*extent[:2], min(extent[2], case["columns"]), min(extent[3], case["rows"]))
    angles = (0,) if case["angle"] == 0 else tuple(np.arange(0, 360 - 1e-9, case["angle"]))
    return export(
        Request(
            image.astype(float), valid, case["polygons"], case["size"], case["stride"], angles, extent, case["mask"],
            case["empty_tiles"], case["min_overlap"], case["min_labeled"],
        )
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(case=requests)
def test_every_chip_has_the_pixels_of_an_independent_export(tmp_path_factory, case):
    assume(is_clear(case))
    image, valid = make_image(case)
    folder = tmp_path_factory.mktemp("export")
    expected = run_oracle(case, image, valid)
    before = exporter.PANEL_BYTES
    exporter.PANEL_BYTES = case["panel"]
    try:
        drive(run_toolbox(case, image, folder))
    except ToolboxError as nothing:
        assert expected == [], nothing
        return
    finally:
        exporter.PANEL_BYTES = before
    chips = ChipFolder.open(folder / "chips")
    # Narrow panels change the order, never the chips.
    place = {(chip.window[0], chip.window[1], chip.angle): chip for chip in chips.chips}
    assert sorted(place) == sorted((chip.left, chip.top, chip.angle) for chip in expected)
    for plain in expected:
        compare(chips, place[plain.left, plain.top, plain.angle], plain, case)


def compare(chips, record, plain, case):
    arrays = chips.load(record)
    assert np.array_equal(arrays.valid, plain.valid)
    assert np.array_equal(arrays.label, plain.label)
    assert np.array_equal(arrays.blocks, plain.feature)
    # A turned chip's integers are rounded, and two ways to add up a half may differ.
    tolerance = 0 if case["angle"] % 90 == 0 and plain.image.shape[1] == plain.image.shape[2] else 0.501
    if case["dtype"] == "float32":
        tolerance = 1e-3  # values up to 100, weighted in 32 bits in two orders
    if plain.angle == 0:
        tolerance = 0
    assert np.abs(arrays.image - plain.image)[:, plain.valid].max(initial=0) <= tolerance
    values, counts = np.unique(plain.label[plain.label > 0], return_counts=True)
    assert record.class_pixels == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert record.valid_pixels == plain.valid.sum()
