# SPDX-License-Identifier: GPL-2.0-or-later
import re

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import describe
from deep_learning_toolbox.backend.labels.classified import RasterLabels, read_sidecar
from deep_learning_toolbox.backend.labels.schema import ClassSchema
from deep_learning_toolbox.backend.labels.vector import VectorLabels
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from ..rasters import NORTH_UP, UTM, pixel_box, write_labels, write_raster

WHOLE = Window(0, 0, 8, 6)


def burn(tmp_path, *pairs, window=WHOLE):
    return VectorLabels(write_labels(tmp_path / "labels.gpkg", pairs), NORTH_UP).burn(window)


def test_polygon_burns_the_pixels_whose_centre_it_holds(tmp_path):
    label, blocks = burn(tmp_path, (pixel_box(1.6, 1.4, 4.4, 3.6), 7))
    expected = np.zeros((6, 8), np.uint16)
    expected[1:4, 2:4] = 7
    assert np.array_equal(label, expected)
    assert np.array_equal(blocks > 0, expected > 0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 9), st.floats(-2, 7), st.floats(0.3, 5)), min_size=1, max_size=4))
def test_burning_agrees_with_point_in_polygon(tmp_path_factory, circles):
    shapes = [shapely.Point(NORTH_UP * (x, y)).buffer(radius * 10) for x, y, radius in circles]
    path = tmp_path_factory.mktemp("labels")
    label, blocks = burn(path, *[(shape, number + 3) for number, shape in enumerate(shapes)])
    for row in range(6):
        for column in range(8):
            centre = shapely.Point(NORTH_UP * (column + 0.5, row + 0.5))
            # On the very edge either answer is right.
            if any(shape.boundary.distance(centre) < 1e-6 for shape in shapes):
                continue
            inside = [number for number, shape in enumerate(shapes) if shape.contains(centre)]
            assert label[row, column] == (inside[-1] + 3 if inside else 0)
            assert blocks[row, column] == (inside[-1] + 1 if inside else 0)


def test_later_feature_wins_across_kinds_of_geometry(tmp_path):
    line = shapely.LineString([NORTH_UP * (0.5, 2.5), NORTH_UP * (7.5, 2.5)])
    label, _ = burn(tmp_path, (pixel_box(0, 0, 8, 6), 1), (line, 2), (shapely.Point(NORTH_UP * (3.2, 2.2)), 3))
    assert label[2].tolist() == [2, 2, 2, 3, 2, 2, 2, 2]
    assert (label[[0, 1, 3, 4, 5]] == 1).all()


def test_bowtie_is_mended_and_burned(tmp_path):
    bowtie = shapely.Polygon([NORTH_UP * corner for corner in ((0, 0), (6, 6), (6, 0), (0, 6))])
    label, _ = burn(tmp_path, (bowtie, 4))
    assert not bowtie.is_valid
    assert label[3, 1] == 4
    assert label[3, 5] == 4
    assert label[0, 3] == 0


def test_window_is_cut_from_the_whole(tmp_path):
    pairs = [(pixel_box(1, 1, 5, 4), 2), (pixel_box(3, 2, 8, 6), 9)]
    whole, _ = burn(tmp_path, *pairs)
    (tmp_path / "labels.gpkg").unlink()
    part, _ = burn(tmp_path, *pairs, window=Window(2, 1, 10, 9))
    assert np.array_equal(part[:5, :6], whole[1:, 2:])
    assert (part[5:] == 0).all()


@pytest.mark.parametrize("value", [0, -1, 65_535])
def test_value_that_is_not_allowed_is_named(tmp_path, value):
    with pytest.raises(ToolboxError, match=f"class value {value} is not allowed"):
        burn(tmp_path, (pixel_box(0, 0, 2, 2), value))


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (2.5, "2.5")])
def test_value_that_is_no_whole_number_is_named(tmp_path, value, shown):
    write_field(tmp_path, "value", np.array([1.0, value]))
    with pytest.raises(ToolboxError, match=f"class value {re.escape(shown)} is not allowed"):
        VectorLabels(tmp_path / "labels.gpkg", NORTH_UP)


@pytest.mark.parametrize(("field", "values"), [("other", np.array([1])), ("value", np.array(["Wald"], object))])
def test_labels_without_a_numeric_value_are_refused(tmp_path, field, values):
    write_field(tmp_path, field, values)
    with pytest.raises(ToolboxError, match="no numeric field “value”"):
        VectorLabels(tmp_path / "labels.gpkg", NORTH_UP)


def write_field(tmp_path, field, values):
    square = shapely.to_wkb(pixel_box(1, 1, 5, 5))
    options = {"geometry_type": "Polygon", "crs": UTM, "layer": "labels", "driver": "GPKG"}
    pyogrio.raw.write(tmp_path / "labels.gpkg", np.array([square] * len(values)), [values], [field], **options)


def test_raster_with_rows_from_south_to_north_is_labelled_where_the_polygon_lies(tmp_path):
    south_up = Affine(10, 0, 500_000, 0, 10, 5_200_000)
    path = write_labels(tmp_path / "labels.gpkg", [(pixel_box(2, 1, 6, 4, south_up), 5)])
    label, _ = VectorLabels(path, south_up).burn(WHOLE)
    expected = np.zeros((6, 8), np.uint16)
    expected[1:4, 2:6] = 5
    assert np.array_equal(label, expected)


def burn_raster(tmp_path, values, image_grid, label_grid, **profile):
    """Class raster `values` on one grid, burned on the grid of an image of the same size; grids are (transform, crs)."""
    (transform, crs), (label_transform, label_crs) = image_grid, label_grid
    image = describe(write_raster(tmp_path / "image.tif", np.ones_like(values), transform=transform, crs=crs))
    source = write_raster(tmp_path / "classes.tif", values, transform=label_transform, crs=label_crs, **profile)
    with RasterLabels(source, image, 16) as labels:
        return labels.burn(Window(0, 0, image.width, image.height))[0]


def test_class_raster_with_the_numbers_of_the_image_in_another_crs_is_not_taken_for_its_grid(tmp_path):
    label = burn_raster(tmp_path, np.full((6, 8), 3, np.uint8), (NORTH_UP, UTM), (NORTH_UP, "EPSG:32633"))
    assert (label == 0).all()


def test_grid_shifted_by_two_tiny_cells_is_warped(tmp_path):
    values = np.zeros((6, 8), np.uint8)
    values[3, 1] = 9
    grid = Affine(4.5e-7, 0, 10, 0, -4.5e-7, 47)  # 5 cm cells in degrees
    label = burn_raster(tmp_path, values, (grid, "EPSG:4326"), (grid * Affine.translation(2, 0), "EPSG:4326"))
    assert np.argwhere(label).tolist() == [[3, 3]]


@pytest.mark.parametrize("shift", [0, 2])
def test_masked_pixels_of_a_class_raster_are_unlabelled(tmp_path, shift):
    mask = np.full((6, 8), 255, np.uint8)
    mask[:, :4] = 0
    values = np.full((6, 8), 3, np.uint8)
    label = burn_raster(tmp_path, values, (NORTH_UP, UTM), (NORTH_UP * Affine.translation(shift, 0), UTM), mask=mask)
    assert label[0].tolist() == [0] * (4 + shift) + [3] * (4 - shift)


def test_damaged_class_raster_is_refused(tmp_path):
    values = np.random.default_rng(0).integers(1, 9, (200, 200)).astype(np.uint8)
    source = write_raster(tmp_path / "classes.tif", values, compress="deflate")
    content = (tmp_path / "classes.tif").read_bytes()
    (tmp_path / "classes.tif").write_bytes(content[: len(content) // 2])
    with RasterLabels(source, describe(source), 16) as labels, pytest.raises(ToolboxError, match="seems to be damaged"):
        list(labels.find_values())


def test_class_raster_in_another_crs_lands_on_the_grid(tmp_path):
    from rasterio.warp import calculate_default_transform, reproject

    classes = np.zeros((30, 40), np.uint8)
    classes[5:20, 8:25] = 3
    target, width, height = calculate_default_transform(UTM, "EPSG:4326", 40, 30, *describe_bounds(40, 30))
    warped = np.zeros((height * 2, width * 2), np.uint8)
    target = target * target.scale(0.5)
    reproject(classes, warped, src_transform=NORTH_UP, src_crs=UTM, dst_transform=target, dst_crs="EPSG:4326")
    image = describe(write_raster(tmp_path / "image.tif", np.ones((30, 40), np.uint8)))
    source = write_raster(tmp_path / "classes.tif", warped, transform=target, crs="EPSG:4326", nodata=0)
    with RasterLabels(source, image, 16) as labels:
        label, blocks = labels.burn(Window(0, 0, 40, 30))
    assert (label != classes).mean() < 0.02
    assert blocks[5, 8] == 1
    assert blocks[19, 24] == 1 * 3 + 1 + 1


def describe_bounds(width, height):
    (west, north), (east, south) = NORTH_UP * (0, 0), NORTH_UP * (width, height)
    return west, south, east, north


def test_class_raster_of_floats_reads_nodata_nan_and_zero_as_unlabelled(tmp_path):
    values = np.array([[1, 2, np.nan, 0, -9999]], np.float32)
    source = write_raster(tmp_path / "classes.tif", values, nodata=-9999)
    with RasterLabels(source, describe(source), 4) as labels:
        assert labels.burn(Window(0, 0, 5, 1))[0].tolist() == [[1, 2, 0, 0, 0]]
        assert labels.build_schema(set().union(*labels.find_values())).values == (1, 2)


def test_fraction_in_a_class_raster_is_named(tmp_path):
    source = write_raster(tmp_path / "classes.tif", np.array([[1, 2.5]], np.float32))
    with RasterLabels(source, describe(source), 4) as labels, pytest.raises(ToolboxError, match=r"class value 2\.5"):
        list(labels.find_values())


def test_names_and_colours_come_from_the_attribute_table():
    columns = (("Value", 0), ("Class", 2), ("Red", 6), ("Green", 7), ("Blue", 8))
    fields = "".join(f"<FieldDefn><Name>{name}</Name><Usage>{usage}</Usage></FieldDefn>" for name, usage in columns)
    table = (
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>old</Category></CategoryNames>"
        f"<GDALRasterAttributeTable>{fields}<Row index='0'><F>1</F><F>Wald</F><F>0</F><F>100</F><F>20</F></Row>"
        "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
    )
    assert read_sidecar(table.encode()) == {1: {"name": "Wald", "color": [0, 100, 20]}}


@pytest.mark.parametrize(
    "content",
    [
        "<PAMDataset><PAMRaster",
        "<PAMDataset><PAMRasterBand><GDALRasterAttributeTable><FieldDefn><Name>x</Name><Usage>?</Usage></FieldDefn>"
        "<Row><F>1</F></Row></GDALRasterAttributeTable></PAMRasterBand></PAMDataset>",
    ],
)
def test_damaged_sidecar_tells_nothing(content):
    assert read_sidecar(content.encode()) == {}


def test_schema_fills_names_and_colours_and_sorts():
    schema = ClassSchema.from_dicts([{"value": 5, "name": " "}, {"value": 2, "name": "Water", "color": [-1, -1, -1]}])
    assert [(entry.value, entry.name) for entry in schema.classes] == [(2, "Water"), (5, "5")]
    assert all(0 <= part <= 255 for entry in schema.classes for part in entry.color)
    assert ClassSchema.from_dicts(schema.to_dicts()) == schema


def test_schema_refuses_a_value_twice():
    with pytest.raises(ToolboxError, match="each occur once"):
        ClassSchema.from_dicts([{"value": 1}, {"value": 1}])


@pytest.mark.parametrize(("largest", "dtype"), [(254, "uint8"), (255, "uint16")])
def test_label_type_grows_with_the_largest_value(largest, dtype):
    assert ClassSchema.from_dicts([{"value": 1}, {"value": largest}]).label_dtype == dtype
