# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``accuracy_points``: what is written, what is said, and that the seed alone decides."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import shapely
from deep_learning_toolbox.backend.assessment import maps
from deep_learning_toolbox.backend.assessment.points import draw_points
from deep_learning_toolbox.backend.assessment.settings import PointsSettings
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import NORTH_UP, drive, pixel_box, write_labels, write_raster


@pytest.fixture
def classified(tmp_path):
    values = np.random.default_rng(0).choice([0, 3, 300, 999], (40, 50), p=[0.5, 0.3, 0.19, 0.01]).astype(np.uint16)
    return write_raster(tmp_path / "map.tif", values, nodata=999), values


def read(path):
    """Pixel (row, column) of each point, and its fields by name."""
    meta, _, geometry, fields = pyogrio.raw.read(path)
    points = shapely.from_wkb(geometry)
    columns, rows = ~NORTH_UP * (shapely.get_x(points), shapely.get_y(points))
    return list(zip((rows - 0.5).tolist(), (columns - 0.5).tolist(), strict=True)), dict(zip(meta["fields"], fields, strict=True))


def test_points_of_many_classes_carry_class_stratum_and_review_fields(tmp_path, classified):
    source, values = classified
    output = tmp_path / "points.gpkg"
    events = drive(draw_points(PointsSettings(source, str(output), count=50), "job"))
    pixels, fields = read(output)
    assert list(fields) == ["Classified", "GrndTruth", "StratumPix", "Status", "Comment"]
    assert fields["Classified"].tolist() == [values[int(row), int(column)] for row, column in pixels]
    assert set(fields["Classified"].tolist()) == {0, 3, 300}
    assert fields["StratumPix"].tolist() == [int((values == value).sum()) for value in fields["Classified"]]
    assert set(fields["GrndTruth"].tolist()) == {-1}
    assert set(fields["Status"].tolist()) == {"open"}
    assert events["result"][0]["outputs"] == {"OUTPUT": str(output), "POINTS": len(pixels)}
    assert len(set(pixels)) == len(pixels) >= 50


def test_points_come_in_an_order_that_tells_nothing_of_the_class(tmp_path, classified):
    drive(draw_points(PointsSettings(classified[0], str(tmp_path / "points.gpkg"), count=90, sampling="equalized"), "job"))
    _, fields = read(tmp_path / "points.gpkg")
    changes = np.count_nonzero(np.diff(fields["Classified"]))
    assert changes > 40  # 59 are expected of 90 shuffled points, 2 of sorted ones


def test_strips_and_blocks_play_no_part(tmp_path, classified, monkeypatch):
    source, values = classified
    tiled = write_raster(tmp_path / "tiled.tif", values, nodata=999, tiled=True, blockxsize=16, blockysize=16)
    results = []
    for number, (raster, pixels) in enumerate(((source, 10**6), (tiled, 10**6), (source, 60))):
        monkeypatch.setattr(maps, "STRIP_PIXELS", pixels)
        output = tmp_path / f"{number}.gpkg"
        drive(draw_points(PointsSettings(raster, str(output), count=40, sampling="random"), "job"))
        results.append(read(output)[0])
    assert results[0] == results[1] == results[2]


def test_more_points_than_pixels_take_them_all_and_say_so(tmp_path):
    source = write_raster(tmp_path / "map.tif", np.array([[1, 1, 2]], np.uint8))
    for sampling in ("stratified", "equalized", "random"):
        events = drive(draw_points(PointsSettings(source, str(tmp_path / "points.gpkg"), count=10, sampling=sampling), "job"))
        assert events["result"][0]["outputs"]["POINTS"] == 3
        assert any("only 3 pixels" in event["message"] for event in events["warning"])


def test_classes_with_few_points_are_named(tmp_path, classified):
    settings = PointsSettings(classified[0], str(tmp_path / "points.gpkg"), count=20, min_per_class=2)
    warnings = [event["message"] for event in drive(draw_points(settings, "job"))["warning"]]
    assert any("Fewer than 10 points: 3, 300." in text for text in warnings)


def test_mask_that_covers_no_class_is_refused(tmp_path):
    source = write_raster(tmp_path / "map.tif", np.array([[1, 9]], np.uint8), nodata=9)
    mask = write_labels(tmp_path / "mask.gpkg", [(pixel_box(1, 0, 2, 1), 1)])
    with pytest.raises(ToolboxError, match="MASK"):
        drive(draw_points(PointsSettings(source, str(tmp_path / "points.gpkg"), mask=mask), "job"))
    assert not (tmp_path / "points.gpkg").exists()


def test_previous_points_are_replaced_whole(tmp_path, classified):
    output = tmp_path / "points.gpkg"
    (tmp_path / "points.gpkg-wal").write_bytes(b"of an older file")
    for count in (30, 60):
        drive(draw_points(PointsSettings(classified[0], str(output), count=count, sampling="random"), "job"))
    assert len(read(output)[0]) == 60
    assert not (tmp_path / "points.gpkg-wal").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".partial")]


def test_all_faults_of_the_settings_are_told_at_once():
    with pytest.raises(ToolboxError) as raised:
        PointsSettings("m.tif", "p.shp", count=-1, sampling="best", min_per_class=-1, min_distance=-2.0, margin=1.5)
    assert all(name in str(raised.value) for name in ("COUNT", "SAMPLING", "MIN_PER_CLASS", "MIN_DISTANCE", "MARGIN", "p.shp"))
