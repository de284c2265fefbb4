# SPDX-License-Identifier: GPL-2.0-or-later
"""Segments by the public tool: place, style, extent, and what is refused."""

import numpy as np
from qgis.core import QgsFillSymbol, QgsProject, QgsSingleSymbolRenderer, QgsVectorLayer
from qgis_helpers import CRS, LEFT, PIXEL, SIZE, TOP, Log, make_scene, refusal, run, tree, write_raster


def read(path):
    layer = QgsVectorLayer(str(path), "segments", "ogr")
    assert layer.isValid()
    return layer


def test_segments_cover_the_image_and_part_water_from_forest(folder):
    scene = make_scene(folder / "scene.tif")
    outputs = run("segmentimage", INPUT=scene, SEGMENT_SIZE=10, OUTPUT=folder / "out" / "Segmente ä.gpkg")
    layer = read(outputs["OUTPUT"])
    assert layer.crs().authid() == CRS
    assert layer.featureCount() == outputs["SEGMENTS"] > 60
    assert sum(feature["pixels"] for feature in layer.getFeatures()) == SIZE * SIZE
    shore = LEFT + SIZE // 2 * PIXEL
    boxes = [feature.geometry().boundingBox() for feature in layer.getFeatures()]
    assert all(box.xMaximum() <= shore or box.xMinimum() >= shore for box in boxes)


def test_an_extent_limits_the_segments(folder):
    scene = make_scene(folder / "scene.tif")
    extent = f"{LEFT + 100},{LEFT + 400},{TOP - 300},{TOP - 100} [{CRS}]"
    outputs = run("segmentimage", INPUT=scene, EXTENT=extent, OUTPUT=folder / "segments.gpkg")
    box = read(outputs["OUTPUT"]).extent()
    assert (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum()) == (LEFT + 100, LEFT + 400, TOP - 300, TOP - 100)


def test_an_image_without_georeference_is_segmented_where_it_is_shown(folder):
    scene = write_raster(folder / "photo.tif", np.random.default_rng(1).integers(0, 99, (3, 30, 40)).astype("uint8"), "", None, None)
    outputs = run("segmentimage", INPUT=scene, SEGMENT_SIZE=10, OUTPUT=folder / "segments.gpkg")
    box = read(outputs["OUTPUT"]).extent()
    assert (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum()) == (0, 40, -30, 0)


def test_loaded_segments_are_outlines_through_which_the_image_is_seen(folder):
    import processing

    QgsProject.instance().clear()
    scene = make_scene(folder / "scene.tif")
    processing.runAndLoadResults(
        "deeplearning:segmentimage", {"INPUT": str(scene), "OUTPUT": str(folder / "segments.gpkg")}, feedback=Log()
    )
    layer = QgsProject.instance().mapLayersByName("Segments")[0]
    assert isinstance(layer.renderer(), QgsSingleSymbolRenderer)
    assert isinstance(layer.renderer().symbol(), QgsFillSymbol)
    assert layer.renderer().symbol().symbolLayer(0).properties()["style"] == "no"


def test_refusals_name_the_fault_and_leave_nothing_behind(folder):
    scene = make_scene(folder / "scene.tif")
    assert "BANDS" in refusal("segmentimage", INPUT=scene, BANDS="9", OUTPUT=folder / "segments.gpkg")
    assert ".gpkg" in refusal("segmentimage", INPUT=scene, OUTPUT=folder / "segments.shp")
    assert "EXTENT" in refusal("segmentimage", INPUT=scene, EXTENT="0,1,0,1", OUTPUT=folder / "segments.gpkg")
    assert [name for name in tree(folder) if not name.startswith("scene.tif")] == []
