# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a classification may write, and where its results lie on the map."""

import os
import sqlite3

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.runtime.ranks import Ranks

from ..rasters import drive, write_raster
from .known import FirstBandNetwork, model, scene


class UntouchedNetwork(FirstBandNetwork):
    """Fails the test if the network is asked before a place is refused."""

    def forward(self, image):
        if image.shape[0] > 1 or not (image <= 1).all():  # folding tries the network on numbers of 0 to 1
            raise AssertionError("the network ran")
        return super().forward(image)


def classify(source, output, network=None, **settings):
    request = ClassifySettings(str(source), "m.dlpk", str(output), tile_size=32, **settings)
    return drive(classify_with(request, model(), network or FirstBandNetwork(3), Ranks()))


@pytest.mark.parametrize("way", ["part of a VRT", "link", "as confidence"])
def test_no_file_that_is_read_is_replaced(tmp_path, way):
    part = tmp_path / "part.tif"
    source = write_raster(part, scene(), names=("a", "b"))
    before = part.read_bytes()
    places = {"output": str(part)}
    if way == "part of a VRT":
        source = str(tmp_path / "all.vrt")
        rasterio.shutil.copy(str(part), source, driver="VRT")
    elif way == "link":
        os.symlink(part, tmp_path / "link.tif")
        places = {"output": str(tmp_path / "link.tif")}
    else:
        os.link(part, tmp_path / "same.tif")
        places = {"output": str(tmp_path / "classes.tif"), "confidence": str(tmp_path / "same.tif")}
    with pytest.raises(ToolboxError, match="is one of the files that are read"):
        classify(source, **places)
    assert part.read_bytes() == before


@pytest.mark.parametrize("place", ["folder.gpkg", "file/regions.gpkg"])
def test_polygons_that_cannot_be_written_are_refused_before_the_network_runs(tmp_path, place):
    source = write_raster(tmp_path / "image.tif", scene() + 2, names=("a", "b"))
    (tmp_path / "folder.gpkg").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolboxError, match=r"is a folder|cannot be written"):
        classify(source, tmp_path / "out" / "classes.tif", UntouchedNetwork(3), polygons=str(tmp_path / place))
    assert not (tmp_path / "out").exists()


def test_polygons_replace_a_layer_with_its_journal(tmp_path):
    """Else SQLite would play the changes of the old layer into the new one."""
    source = write_raster(tmp_path / "image.tif", scene(), names=("a", "b"))
    polygons = tmp_path / "regions.gpkg"
    database = sqlite3.connect(polygons)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE old (number)")
    database.commit()
    assert (tmp_path / "regions.gpkg-wal").exists()
    classify(source, tmp_path / "classes.tif", polygons=str(polygons))
    database.close()
    assert not (tmp_path / "regions.gpkg-wal").exists()
    assert pyogrio.list_layers(polygons)[:, 0].tolist() == ["regions"]


@pytest.mark.parametrize("extent", [None, (20.0, 10.0, 60.0, 50.0)])
def test_results_of_an_image_without_georeference_lie_where_the_image_is_shown(tmp_path, extent):
    """QGIS shows row r of such an image at y = −r."""
    values = scene(70, 90)
    source = write_raster(tmp_path / "image.tif", values, names=("a", "b"), crs=None, transform=Affine.identity())
    places = {"output": str(tmp_path / "classes.tif"), "polygons": str(tmp_path / "regions.gpkg")}
    classify(source, **places, extent=extent, has_georeference=False)
    left, top, right, bottom = map(int, extent or (0, 0, 90, 70))
    with rasterio.open(tmp_path / "classes.tif") as result:
        assert np.array_equal(result.read(1), values[0, top:bottom, left:right] + 1)
        if extent:  # of the whole image there is nothing to say: QGIS shows it like the image
            assert result.bounds == (left, -bottom, right, -top)
    outlines = shapely.from_wkb(pyogrio.raw.read(tmp_path / "regions.gpkg")[2])
    assert tuple(shapely.total_bounds(outlines)) == (left, -bottom, right, -top)
