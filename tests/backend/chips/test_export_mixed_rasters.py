# SPDX-License-Identifier: GPL-2.0-or-later
"""Rasters that cannot be cut into one folder, or that do not say in which units they lie."""

import json

import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import drive, pixel_box, write_labels, write_raster
from .test_export import CHIPS, image
from .test_export_options import BOX, append_layer, export, two_rasters


def rescale(path, scale, offset):
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = [1, scale], [0, offset]


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(("scale", "offset"), [(0.5, 0), (1, -0.1)])
def test_rasters_of_other_scale_or_offset_are_refused_but_only_in_the_used_bands(tmp_path, scale, offset, append):
    first, other, labels = two_rasters(tmp_path)
    rescale(other, scale, offset)
    message = f"its band {{}} has scale and offset {scale:g}, {offset:g} instead of 1, 0"
    if append:
        export(tmp_path, first, labels=labels)
        with pytest.raises(ToolboxError, match=message.format(2)):
            export(tmp_path, other, [(pixel_box(42, 2, 48, 8), 2)], append=True)
        return
    for bands, place in (([], 2), ([2], 1)):
        with pytest.raises(ToolboxError, match=message.format(place)):
            export(tmp_path, first, labels=labels, more_rasters=[other], bands=bands)
    export(tmp_path, first, labels=labels, more_rasters=[other], bands=[1])


@pytest.mark.parametrize(("crs", "message"), [((None, "EPSG:32632"), "it has a coord"), (("EPSG:32632", None), "it has no coord")])
def test_rasters_with_and_without_coordinate_system_are_not_mixed(tmp_path, crs, message):
    first = write_raster(tmp_path / "a.tif", image(32, 32), crs=crs[0])
    other = write_raster(tmp_path / "b.tif", image(32, 32), crs=crs[1])
    with pytest.raises(ToolboxError, match=message):
        export(tmp_path, first, BOX, more_rasters=[other])
    export(tmp_path, first, BOX)
    with pytest.raises(ToolboxError, match=message):
        export(tmp_path, other, BOX, append=True)


def test_kinds_of_pictures_with_and_without_coordinate_system_are_exported(tmp_path):
    first = write_raster(tmp_path / "a.tif", image(32, 32))
    other = write_raster(tmp_path / "b.tif", image(32, 32), crs=None)
    settings = ExportSettings(first, str(tmp_path / "chips"), raster2=other, metadata_format="cyclegan", **CHIPS)
    assert drive(export_chips(settings, "test"))["result"][0]["outputs"]["CHIPS"] == 8


def test_cell_size_in_the_wrong_unit_is_refused_with_the_size_of_the_grid(tmp_path):
    source = write_raster(tmp_path / "a.tif", image(32, 32))
    with pytest.raises(ToolboxError, match="CELL_SIZE 1e-05 makes a grid of 32,000,000 × 32,000,000 cells"):
        export(tmp_path, source, BOX, cell_size=1e-5)


@pytest.mark.parametrize(("crs", "code"), [("EPSG:32632", 32632), ("ESRI:102003", 102003)])
def test_coordinate_systems_of_both_authorities_have_their_number(tmp_path, crs, code):
    source = write_raster(tmp_path / "a.tif", image(32, 32), crs=crs)
    export(tmp_path, source, BOX)
    definition = json.loads((tmp_path / "chips" / "esri_model_definition.emd").read_text())
    assert definition["MinCellSize"]["spatialReference"] == {"wkid": code, "latestWkid": code}


def test_raster_that_gives_no_chip_is_named(tmp_path):
    first, other, _ = two_rasters(tmp_path)
    pairs = [(pixel_box(2, 2, 8, 8), 1)]
    labels = write_labels(tmp_path / "one.gpkg", pairs)
    write_labels(tmp_path / "more.gpkg", pairs, layer="labels_2")
    append_layer(tmp_path / "more.gpkg", labels)
    _, events = export(tmp_path, first, labels=labels, more_rasters=[other])
    assert any("b.tif gave no chip" in event["message"] for event in events["warning"])


def test_cell_size_in_metres_and_degrees_at_once_is_refused(tmp_path):
    first = write_raster(tmp_path / "a.tif", image(32, 32))
    other = write_raster(tmp_path / "b.tif", image(32, 32), crs="EPSG:4326", transform=Affine(1e-4, 0, 9, 0, -1e-4, 47))
    with pytest.raises(ToolboxError, match="CELL_SIZE counts metre there and degree here"):
        export(tmp_path, first, BOX, more_rasters=[other], cell_size=20)
