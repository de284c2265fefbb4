# SPDX-License-Identifier: GPL-2.0-or-later
"""Writing labels of any provider into the GeoPackage that the worker reads."""

import pytest
from deep_learning_toolbox.algorithms.label_source import LabelSource, LabelWriter
from deep_learning_toolbox.algorithms.raster_source import RasterSource
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime.client import JobCancelled
from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameters,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant
from qgis_helpers import CRS, LEFT, PIXEL, SIZE, TOP, Log, make_layer, make_scene, scene_array, square, write_raster

FIELDS = [("value", QVariant.Type.Int)]


def source_of(layer, selected_only=False):
    """The layer as Processing hands it to an algorithm."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    QgsProject.instance().addMapLayer(layer, False)
    definition = QgsProcessingParameterFeatureSource("LABELS")
    value = QgsProcessingFeatureSourceDefinition(layer.id(), selected_only)
    source = QgsProcessingParameters.parameterAsSource(definition, {"LABELS": value}, context)
    assert isinstance(source, QgsProcessingFeatureSource)
    return source


def raster_source(path):
    return RasterSource.from_layer(QgsRasterLayer(str(path), "scene"), "INPUT")


def write(layer, raster, path, buffer_radius=0.0, selected_only=False, check_cancelled=lambda: None):
    """Writes the labels; returns (feature id, value, geometry) of what was written, and the log."""
    log = Log()
    labels = LabelSource.catch(source_of(layer, selected_only), layer, "", "")
    writer = LabelWriter(raster_source(raster), QgsCoordinateTransformContext(), buffer_radius, log, check_cancelled)
    count = writer.write(labels, labels.read_classes(), path)
    written = QgsVectorLayer(f"{path}|layername=labels", "written", "ogr")
    features = [(feature.id(), feature["value"], feature.geometry()) for feature in written.getFeatures()]
    assert len(features) == count
    return features, log


@pytest.fixture(autouse=True)
def empty_project(plugin):
    yield
    QgsProject.instance().clear()


def test_features_keep_value_and_place_in_the_order_of_their_ids(scene, folder):
    layer = make_layer([(square(50, 50), 2), (square(4, 4), 1), (square(20, 20), 2)], FIELDS)
    features, log = write(layer, scene, folder / "labels.gpkg")
    assert [(number, value) for number, value, _ in features] == [(1, 2), (2, 1), (3, 2)]
    assert features[1][2].equals(square(4, 4))
    assert log.warnings == []


def test_labels_in_another_crs_are_reprojected(scene, folder):
    to_degrees = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem(CRS), QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateTransformContext()
    )
    geometry = square(10, 10)
    geometry.transform(to_degrees)
    features, _ = write(make_layer([(geometry, 1)], FIELDS, "EPSG:4326"), scene, folder / "labels.gpkg")
    assert features[0][2].symDifference(square(10, 10)).area() < 0.001 * square(10, 10).area()


def test_only_features_that_meet_the_raster_are_written_but_all_make_classes(scene, folder):
    layer = make_layer([(square(500, 0), 9), (square(0, 0), 1)], FIELDS)
    features, _ = write(layer, scene, folder / "labels.gpkg")
    assert [value for _, value, _ in features] == [1]
    labels = LabelSource.catch(source_of(layer), layer, "", "")
    assert [entry["value"] for entry in labels.read_classes().entries] == [1, 9]


def test_the_selection_is_respected_but_the_whole_layer_makes_the_classes(scene, folder):
    layer = make_layer([(square(0, 0), 1), (square(20, 0), 2), (square(40, 0), 3)], FIELDS)
    layer.selectByIds([2])
    features, _ = write(layer, scene, folder / "labels.gpkg", selected_only=True)
    assert [value for _, value, _ in features] == [2]
    labels = LabelSource.catch(source_of(layer, True), layer, "", "")
    assert [entry["value"] for entry in labels.read_classes().entries] == [1, 2, 3]


def test_the_buffer_is_in_units_of_the_labels_crs(scene, folder):
    centre = QgsPointXY(LEFT + 480, TOP - 480)
    layer = make_layer([(QgsGeometry.fromPointXY(centre), 1)], FIELDS, kind="Point")
    features, _ = write(layer, scene, folder / "labels.gpkg", buffer_radius=100)
    assert features[0][2].area() == pytest.approx(3.1416 * 100**2, rel=0.01)


def test_polygon_that_crosses_itself_is_repaired_before_it_is_buffered(scene, folder):
    x, y = LEFT + 100, TOP - 100
    bowtie = QgsGeometry.fromPolygonXY([[QgsPointXY(x + a, y - b) for a, b in ((0, 0), (200, 200), (200, 0), (0, 200), (0, 0))]])
    features, _ = write(make_layer([(bowtie, 1)], FIELDS), scene, folder / "labels.gpkg", buffer_radius=1)
    for a in (20, 180):  # in both wings
        assert features[0][2].contains(QgsGeometry.fromPointXY(QgsPointXY(x + a, y - 100)))


def test_invalid_geometries_are_passed_on_as_they_are(scene, folder):
    x, y = LEFT + 100, TOP - 100
    bowtie = QgsGeometry.fromPolygonXY([[QgsPointXY(x + a, y - b) for a, b in ((0, 0), (200, 200), (200, 0), (0, 200), (0, 0))]])
    assert not bowtie.isGeosValid()
    features, log = write(make_layer([(bowtie, 1)], FIELDS), scene, folder / "labels.gpkg")
    assert len(features) == 1
    assert log.warnings == []


def test_features_without_class_or_geometry_are_left_out_with_their_number(scene, folder):
    layer = make_layer([(square(0, 0), NULL), (QgsGeometry(), 1), (square(20, 0), 1)], FIELDS)
    features, log = write(layer, scene, folder / "labels.gpkg")
    assert len(features) == 1
    assert log.warnings == [
        "1 labels without a class (“value” is empty) are left out.",
        "1 labels without a usable geometry are left out.",
    ]


def test_a_raster_without_crs_takes_the_labels_in_its_coordinates_with_a_warning(plugin, folder):
    raster = make_scene(folder / "scene.tif", crs=None)
    features, log = write(make_layer([(square(10, 10), 1)], FIELDS), raster, folder / "labels.gpkg")
    assert features[0][2].equals(square(10, 10))
    assert len(log.warnings) == 1
    assert "raster has no coordinate system" in log.warnings[0]


def test_a_raster_without_georeference_is_counted_downwards(plugin, folder):
    """QGIS shows such a raster below the x axis; the worker's rows count from 0 downwards."""
    raster = write_raster(folder / "photo.tif", scene_array(), crs=None, transform=None)
    geometry = QgsGeometry.fromWkt("POLYGON((10 -20, 30 -20, 30 -50, 10 -50, 10 -20))")
    features, _ = write(make_layer([(geometry, 1)], FIELDS, crs=""), raster, folder / "labels.gpkg")
    box = features[0][2].boundingBox()
    assert (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()) == (10, 20, 30, 50)


def test_curves_are_straightened(scene, folder):
    x, y = LEFT + 200, TOP - 200
    curve = QgsGeometry.fromWkt(
        f"CurvePolygon(CircularString({x} {y}, {x + 100} {y + 100}, {x + 200} {y}, {x + 100} {y - 100}, {x} {y}))"
    )
    features, _ = write(make_layer([(curve, 1)], FIELDS, kind="CurvePolygon"), scene, folder / "labels.gpkg")
    assert not features[0][2].constGet().hasCurvedSegments()
    assert features[0][2].area() == pytest.approx(3.1416 * 100**2, rel=0.01)


def test_labels_outside_the_raster_are_refused(scene, folder):
    with pytest.raises(ToolboxError, match=r"No label meets the raster “scene”"):
        write(make_layer([(square(500, 500), 1)], FIELDS), scene, folder / "labels.gpkg")


def test_an_empty_selection_is_refused(scene, folder):
    with pytest.raises(ToolboxError, match=r"nothing of it is selected"):
        write(make_layer([(square(0, 0), 1)], FIELDS), scene, folder / "labels.gpkg", selected_only=True)


def test_writing_stops_when_cancelled(scene, folder):
    def cancel():
        raise JobCancelled("The job was cancelled; nothing was written.")

    with pytest.raises(JobCancelled):
        write(make_layer([(square(0, 0), 1)], FIELDS), scene, folder / "labels.gpkg", check_cancelled=cancel)


def test_rasters_without_a_file_are_refused(plugin):
    from osgeo import gdal

    write_raster("/vsimem/scene.tif", scene_array())
    with pytest.raises(ToolboxError, match=r"INPUT “scene” lies in the memory of QGIS: export it"):
        raster_source("/vsimem/scene.tif")
    gdal.Unlink("/vsimem/scene.tif")
    service = QgsRasterLayer("type=xyz&url=http://127.0.0.1/{z}/{x}/{y}.png", "web", "wms")
    with pytest.raises(ToolboxError, match=r"comes from the source “wms”, which has no file"):
        RasterSource.from_layer(service, "INPUT")


def test_rasters_placed_by_control_points_are_refused(plugin, folder):
    from osgeo import gdal

    plain = write_raster(folder / "plain.tif", scene_array(), crs=None, transform=None)
    corners = [(0, 0), (SIZE, 0), (0, SIZE)]
    points = [gdal.GCP(LEFT + column * PIXEL, TOP - row * PIXEL, 0, column, row) for column, row in corners]
    gdal.Translate(str(folder / "placed.tif"), str(plain), GCPs=points, outputSRS=CRS)
    with pytest.raises(ToolboxError, match=r"placed by ground control points; warp it first"):
        raster_source(folder / "placed.tif")
