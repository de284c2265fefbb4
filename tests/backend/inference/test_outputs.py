# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that a classification leaves, and those it does not."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.runtime.ranks import Ranks

from ..rasters import drive, write_raster
from .known import FirstBandNetwork, model, run, scene


def test_values_above_254_make_a_16_bit_raster(tmp_path):
    classes, _ = run(tmp_path, scene(classes=2), model(values=(7, 300)))
    assert classes.dtype == np.uint16
    assert set(np.unique(classes)) == {7, 300}
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        assert result.nodata == 65_535


def test_confidence_is_in_percent(tmp_path):
    values = scene()
    values[0, :10] = 0.5  # as near to class 1 as to class 2
    run(tmp_path, values, confidence=str(tmp_path / "out" / "confidence.tif"))
    with rasterio.open(tmp_path / "out" / "confidence.tif") as result:
        confidence = result.read(1)
        assert result.nodata == 255
    assert (confidence[0] == 50).all()
    assert (confidence[30] == 100).all()


def test_class_raster_is_cloud_optimised_with_colours_names_and_counts(tmp_path):
    values = scene(600, 700)
    run(tmp_path, values, tile_size=256)
    path = tmp_path / "out" / "classes.tif"
    with rasterio.open(path) as result:
        assert result.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert result.overviews(1)
        assert result.colormap(1)[2] == (2, 9, 8, 255)
    sidecar = (tmp_path / "out" / "classes.tif.aux.xml").read_text()
    assert f"<F>2</F><F>class 2</F><F>2</F><F>9</F><F>8</F><F>{(values[0] == 1).sum()}</F>" in sidecar
    assert 'value="3" color="#030908" label="class 3"' in (tmp_path / "out" / "classes.qml").read_text()
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["classes.qml", "classes.tif", "classes.tif.aux.xml"]


def test_previous_raster_is_replaced_with_its_sidecars(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "classes.tif").write_text("old")
    (tmp_path / "out" / "classes.qml").write_text("old")
    (tmp_path / "out" / "classes.tif.ovr").write_text("overviews of the old one")
    classes, _ = run(tmp_path, scene())
    assert classes.shape == (70, 90)
    assert "paletted" in (tmp_path / "out" / "classes.qml").read_text()
    assert not (tmp_path / "out" / "classes.tif.ovr").exists()


def test_previous_raster_survives_a_cancelled_run(tmp_path):
    source = write_raster(tmp_path / "image.tif", scene(300, 300), names=("a", "b"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "classes.tif").write_text("old")
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "out" / "classes.tif"), tile_size=32)
    events = classify_with(request, model(), FirstBandNetwork(3), Ranks())
    while "Writing" not in next(events).get("message", ""):  # until the last step, the copy
        pass
    events.close()
    assert [(entry.name, entry.read_text()) for entry in (tmp_path / "out").iterdir()] == [("classes.tif", "old")]


def test_previous_files_are_back_when_the_raster_cannot_be_moved(tmp_path, monkeypatch):
    """As on Windows while another program has the class raster open."""
    (tmp_path / "out").mkdir()
    names = ("classes.qml", "classes.tif", "percent.tif")
    for name in names:
        (tmp_path / "out" / name).write_text(f"old {name}")
    move = Path.replace

    def refuse(source, target):
        if source.name == "final.tif" and Path(target).name == "classes.tif":
            raise PermissionError(13, "Permission denied", str(target))
        return move(source, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ToolboxError, match=r"Permission denied: classes\.tif.*previous files are unchanged"):
        run(tmp_path, scene(), confidence=str(tmp_path / "out" / "percent.tif"))
    left = {entry.name: entry.read_text() for entry in (tmp_path / "out").iterdir()}
    assert left == {name: f"old {name}" for name in names}


def test_output_below_a_file_is_refused(tmp_path):
    source = write_raster(tmp_path / "image.tif", scene(), names=("a", "b"))
    (tmp_path / "file").write_text("")
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "file" / "classes.tif"), tile_size=32)
    with pytest.raises(ToolboxError, match="cannot be written"):
        drive(classify_with(request, model(), FirstBandNetwork(3), Ranks()))


@pytest.mark.parametrize(
    ("cell", "crs", "told"),
    [(10, "EPSG:32632", "100.0 %, 0.64 ha"), (1000, "EPSG:32632", "100.0 %, 64.00 km²"), (10, None, "100.0 %, 64 pixels")],
)
def test_areas_are_told_in_the_unit_that_fits(tmp_path, cell, crs, told):
    raster = {"transform": Affine(cell, 0, 0, 0, -cell, 0), "crs": crs}
    _, events = run(tmp_path, np.zeros((2, 8, 8), np.float32), model(gsd_m=None), raster=raster)
    assert f"  1  class 1: {told}" in [event["message"] for event in events["info"]]


def test_names_and_colours_are_read_back_from_the_sidecars(tmp_path):
    run(tmp_path, scene(), model(values=(2, 4), has_background=True))
    sidecar = tmp_path / "out" / "classes.tif.aux.xml"
    assert sidecar.read_bytes().startswith(b"<PAMDataset>")  # GDAL reads nothing after an XML declaration
    band = ElementTree.parse(sidecar).getroot().find("PAMRasterBand")
    assert [entry.text or "" for entry in band.find("CategoryNames")] == ["Background", "", "class 2", "", "class 4"]
    table = band.find("GDALRasterAttributeTable")
    columns = [(entry.findtext("Name"), entry.findtext("Usage")) for entry in table.findall("FieldDefn")]
    # GDAL's usages: MinMax, Name, Red, Green, Blue, PixelCount.
    assert columns == [("Value", "5"), ("Class", "2"), ("Red", "6"), ("Green", "7"), ("Blue", "8"), ("Count", "1")]
    assert [row.findtext("F") for row in table.findall("Row")] == ["0", "2", "4"]
    style = ElementTree.parse(tmp_path / "out" / "classes.qml").getroot()
    entries = style.findall("./pipe/rasterrenderer[@type='paletted']/colorPalette/paletteEntry")
    assert [(entry.get("value"), entry.get("label"), entry.get("color")) for entry in entries][1:] == [
        ("2", "class 2", "#020908"),
        ("4", "class 4", "#040908"),
    ]
