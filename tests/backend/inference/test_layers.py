# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of the probabilities, and of the class raster: uncertainty, probabilities, polygons, sieve, mask, cell size, bands."""

import math
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.inference import polygons, sieve
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.layers import Pixels, confidence, to_percent_of_each, uncertainty
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.runtime.ranks import Ranks
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import sieve as sieve_at_once
from rasterio.transform import from_origin

from ..rasters import drive, pixel_box, write_labels, write_raster
from .known import FirstBandNetwork, model, run, scene


def pixels(*shares):
    return Pixels(torch.tensor(shares, dtype=torch.float32).T.reshape(len(shares[0]), 1, -1))


def messages(events):
    """Texts for the user."""
    return [event["message"] for kind in ("info", "warning") for event in events.get(kind, [])]


def open_layer(path):
    _, _, geometry, fields = pyogrio.raw.read(path)
    names = pyogrio.read_info(path)["fields"]
    return shapely.from_wkb(geometry), dict(zip(names, fields, strict=True))


def test_uncertainty_is_the_entropy_in_percent_of_a_toss_between_all_classes():
    block = pixels((0.5, 0.5), (0.9, 0.1), (1.0, 0.0))
    assert uncertainty(block, 2).ravel().tolist() == [100, 47, 0]
    assert uncertainty(pixels((1 / 3, 1 / 3, 1 / 3)), 3).ravel().tolist() == [100]
    assert uncertainty(pixels((0.0, 0.5, 0.5)), 2).ravel().tolist() == [100]  # a background that must not win
    assert uncertainty(pixels((1.0,)), 1).ravel().tolist() == [0]
    assert confidence(block).ravel().tolist() == [50, 90, 100]
    assert to_percent_of_each(block)[:, 0].tolist() == [[50, 90, 100], [50, 10, 0]]


def test_uncertainty_and_probabilities_are_written_beside_the_classes(tmp_path):
    values = scene()
    values[0, :10] = 0.5  # as near to class 1 as to class 2
    values[:, 60:] = np.nan
    outputs = {name: str(tmp_path / "out" / f"{name}.tif") for name in ("uncertainty", "probabilities")}
    found, _ = run(tmp_path, values, **outputs)
    with rasterio.open(outputs["uncertainty"]) as result:
        unsure = result.read(1)
        assert (result.nodata, result.descriptions) == (255, ("Uncertainty (%)",))
    assert (unsure[5] == round(100 * math.log(2) / math.log(3))).all()
    assert (unsure[30] == 0).all()
    assert (unsure[60:] == 255).all()
    with rasterio.open(outputs["probabilities"]) as result:
        shares = result.read()
        assert result.descriptions == ("class 1", "class 2", "class 3")
    assert (shares[:2, :10] == 50).all()
    assert (shares.argmax(0) + 1 == found)[10:60].all()
    assert (shares[:, 60:] == 255).all()


def test_uncertainty_counts_a_background_only_where_it_may_win(tmp_path):
    values = scene()
    values[0] = 1.5  # as near to class 4 as to class 9
    description = model(values=(4, 9), has_background=True)
    path = tmp_path / "out" / "uncertainty.tif"
    found = {}
    for allowed in (True, False):
        run(tmp_path, values, description, uncertainty=str(path), predict_background=allowed)
        with rasterio.open(path) as result:
            (found[allowed],) = np.unique(result.read(1)).tolist()
    assert found == {True: round(100 * math.log(2) / math.log(3)), False: 100}


def test_rasters_of_percent_are_shown_from_0_to_100_whatever_they_hold(tmp_path):
    path = tmp_path / "out" / "confidence.tif"
    run(tmp_path, scene(), confidence=str(path))
    style = path.with_suffix(".qml").read_text()
    assert 'type="singlebandpseudocolor"' in style
    assert 'classificationMin="0" classificationMax="100"' in style


def test_each_connected_region_becomes_a_valid_polygon_with_the_fields_of_a_label_layer(tmp_path, monkeypatch):
    monkeypatch.setattr(polygons, "STRIP_ROWS", 16)
    monkeypatch.setattr(polygons, "BATCH", 7)
    values = scene(seed=3)
    values[0, 20:50, 10:40] = 1  # one region over several strips
    path = tmp_path / "out" / "regions.gpkg"
    found, events = run(tmp_path, values, polygons=str(path))
    geometry, fields = open_layer(path)
    assert shapely.is_valid(geometry).all()
    assert list(fields) == ["Classname", "Classvalue", "Pixels", "Area_m2"]
    assert f"{len(geometry):,} polygons were written." in messages(events)
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        burned = rasterio.features.rasterize(
            zip(geometry, fields["Classvalue"].tolist(), strict=True), out_shape=found.shape, transform=result.transform
        )
    assert np.array_equal(burned, found)
    assert set(zip(fields["Classvalue"].tolist(), fields["Classname"], strict=True)) == {(n, f"class {n}") for n in (1, 2, 3)}
    assert fields["Pixels"].sum() == found.size
    assert np.allclose(fields["Area_m2"], fields["Pixels"] * 100)
    assert len(geometry) == sum(1 for _ in rasterio.features.shapes(found, connectivity=4))
    assert 'value="2" label="class 2"' in path.with_suffix(".qml").read_text()


def test_polygons_per_class_hold_all_regions_of_a_class(tmp_path):
    values = scene(300, 80)  # noise: thousands of regions, many that touch at corners
    values[0, 10:20, 10:20] = np.nan
    places = {"polygons": str(tmp_path / "out" / "regions.gpkg"), "polygons_per": "class"}
    classes, _ = run(tmp_path, values, **places)
    meta, _, wkb, columns = pyogrio.raw.read(tmp_path / "out" / "regions.gpkg")
    fields = dict(zip(meta["fields"], columns, strict=True))
    outlines = shapely.from_wkb(wkb)
    assert meta["geometry_type"] == "MultiPolygon"
    assert fields["Classvalue"].tolist() == [1, 2, 3]
    assert fields["Pixels"].tolist() == [(classes == value).sum() for value in (1, 2, 3)]
    assert shapely.is_valid(outlines).all()
    assert np.array_equal(shapely.area(outlines), fields["Pixels"] * 100)


def test_background_has_polygons_too(tmp_path):
    description = model(values=(4,), has_background=True)
    path = tmp_path / "out" / "regions.gpkg"
    run(tmp_path, scene(classes=2), description, polygons=str(path))
    assert set(open_layer(path)[1]["Classvalue"].tolist()) == {0, 4}


def test_small_regions_go_to_their_largest_neighbour_in_raster_polygons_and_counts(tmp_path):
    values = np.zeros((2, 70, 90), np.float32)
    values[0, :, 45:] = 1
    values[0, 10:12, 10:12] = 2  # four pixels
    values[0, 30:33, 60:63] = 2  # nine
    values[1] = 1
    values[:, 66:] = np.nan
    found, events = run(tmp_path, values, min_region=5, polygons=str(tmp_path / "out" / "p.gpkg"))
    assert (found[10:12, 10:12] == 1).all()
    assert (found[30:33, 60:63] == 3).all()
    assert (found[66:] == 255).all()
    assert "  3  class 3: 0.2 %, 0.09 ha" in messages(events)
    assert len(open_layer(tmp_path / "out" / "p.gpkg")[0]) == 3
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        assert result.colormap(1)[2] == (2, 9, 8, 255)


def measure_regions(values):
    """For each pixel, the size of the connected region that it lies in."""
    sizes = np.zeros(values.shape, int)
    for geometry, _ in rasterio.features.shapes(values, connectivity=4):
        inside = rasterio.features.rasterize([geometry], out_shape=values.shape) > 0
        sizes[inside] = inside.sum()
    return sizes


@given(seed=st.integers(0, 10_000), smallest=st.integers(2, 12), strip=st.integers(3, 30), margin=st.integers(2, 3))
@settings(max_examples=50, deadline=None)
def test_sieving_in_strips_removes_every_small_region_and_changes_no_large_one(tmp_path_factory, seed, smallest, strip, margin):
    random = np.random.default_rng(seed)
    values = np.kron(random.integers(1, 4, (12, 9)), np.ones((4, 3), int)).astype(np.uint8)
    noise = random.random(values.shape) < 0.05
    values[noise] = random.integers(1, 4, noise.sum())
    values[20:23, 5:9] = 255
    path = tmp_path_factory.mktemp("sieve") / "rows.tif"
    profile = {"driver": "GTiff", "height": 48, "width": 27, "count": 1, "dtype": "uint8", "nodata": 255}
    with rasterio.open(path, "w", **profile, transform=from_origin(0, 0, 1, 1)) as target:
        target.write(values, 1)
    plan = sieve.SievePlan(smallest, strip, margin * smallest)
    assert list(sieve.sieve_raster(path, plan))[-1] == 1
    with rasterio.open(path) as source:
        found = source.read(1)
    known = values != 255
    assert ((found == 255) == ~known).all()
    before, after = measure_regions(values), measure_regions(found)
    large = known & (before >= smallest)
    assert (found[large] == values[large]).all()
    at_once = np.where(known, sieve_at_once(values, smallest, mask=known, connectivity=4), 255).astype(np.uint8)
    assert (known & (after < smallest)).sum() <= (known & (measure_regions(at_once) < smallest)).sum()
    assert sieve.count_values(path) == {int(n): int((found == n).sum()) for n in np.unique(found[known])}


@given(width=st.integers(1, 300_000), height=st.integers(1, 200_000), smallest=st.integers(0, 10_000), memory_mb=st.integers(64, 4096))
def test_the_strips_of_a_sieve_fit_into_the_memory_with_margins_that_are_high_enough(width, height, smallest, memory_mb):
    try:
        plan = sieve.plan_sieve(width, height, smallest, memory_mb)
    except ToolboxError as refused:
        possible = int(str(refused).rpartition("at most ")[2].partition(" pixels")[0].replace(",", ""))
        assert possible < smallest
        sieve.plan_sieve(width, height, possible, memory_mb)
        return
    rows = min(plan.strip + 2 * plan.margin, height)
    assert rows * width * sieve.BYTES_PER_PIXEL <= memory_mb * 2**20
    assert plan.strip > 0
    assert plan.margin >= 2 * smallest or plan.strip == height


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 2)])
def test_a_raster_smaller_than_the_smallest_region_keeps_its_class(tmp_path, shape):
    classes, _ = run(tmp_path, np.ones((2, *shape), np.float32), min_region=50)
    assert np.array_equal(classes, np.full(shape, 2))


def test_a_smallest_region_that_takes_too_much_memory_is_refused_before_the_network_runs(tmp_path):
    network = FirstBandNetwork(3)
    with pytest.raises(ToolboxError, match=r"MIN_REGION 10,000 needs 644 MB on a raster of 450 columns.* at most 994 pixels"):
        run(tmp_path, scene(6000, 450), network=network, min_region=10_000, memory_mb=64)
    assert not network.sizes


def test_only_pixels_in_the_mask_polygons_are_classified_and_their_surroundings_are_still_seen(tmp_path):
    values = scene(200, 200)
    path = tmp_path / "mask.gpkg"
    write_labels(path, [(pixel_box(10, 20, 40, 40), 1)])
    found, _ = run(tmp_path, values, mask=str(path))
    inside = np.zeros(found.shape, bool)
    inside[20:40, 10:40] = True
    assert ((found != 255) == inside).all()
    assert (found[inside] == values[0][inside] + 1).all()


def test_tiles_outside_of_the_mask_are_not_computed(tmp_path):
    path = tmp_path / "mask.gpkg"
    write_labels(path, [(pixel_box(0, 0, 10, 10), 1)])
    network, whole = FirstBandNetwork(3), FirstBandNetwork(3)
    run(tmp_path, scene(200, 200), network=network, mask=str(path))
    run(tmp_path, scene(200, 200), network=whole)
    assert sum(size[0] for size in network.sizes) == 1
    assert sum(size[0] for size in whole.sizes) > 40


def test_a_mask_beside_the_data_is_an_error_that_names_it(tmp_path):
    values = scene()
    values[:, :30] = np.nan
    path = tmp_path / "mask.gpkg"
    write_labels(path, [(pixel_box(5, 5, 15, 15), 1)])
    with pytest.raises(ToolboxError, match=r"within the extent and the mask polygons; check .* MASK"):
        run(tmp_path, values, mask=str(path))


def test_cell_size_resamples_on_the_fly_and_keeps_scale_and_names(tmp_path):
    values = np.kron(scene(35, 45), np.ones((2, 2), np.float32))  # 10 m cells, alike in twos
    found, events = run(tmp_path, values, model(gsd_m=20.0), cell_size=20.0)
    assert found.shape == (35, 45)
    assert np.array_equal(found, values[0, ::2, ::2] + 1)
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        assert result.res == (20.0, 20.0)
    assert "cells measure" not in " ".join(messages(events))


def test_another_ground_sample_distance_names_the_cell_size_to_give(tmp_path):
    _, events = run(tmp_path, scene(), model(gsd_m=20.0))
    assert "CELL_SIZE=20 resamples it" in " ".join(messages(events))


def test_scaled_integers_are_resampled_in_their_physical_values(tmp_path):
    values = np.kron(scene(35, 45) + 1, np.ones((2, 2))) * 100
    source = write_raster(tmp_path / "scaled.tif", values.astype(np.uint16), names=("a", "b"), nodata=65535)
    with rasterio.open(source, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.01, 0.01), (-1.0, -1.0)
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "classes.tif"), cell_size=20.0)
    drive(classify_with(request, model(), FirstBandNetwork(3), Ranks()))
    with rasterio.open(tmp_path / "classes.tif") as result:
        found = result.read(1)
    assert np.array_equal(found, values[0, ::2, ::2] / 100)


def test_a_band_map_says_which_bands_are_meant(tmp_path):
    values = scene()[::-1].copy()
    found, _ = run(tmp_path, values, names=("x", "y"), band_map={"A": 2, "b": 1})
    assert np.array_equal(found, values[1] + 1)


@pytest.mark.parametrize(
    ("given_map", "message"),
    [
        ({"c": 1, "a": 1, "b": 2}, "BAND_MAP names c, but the bands of the model m are a, b"),
        ({"a": 1}, "BAND_MAP lacks b; give a band of the raster for each"),
        ({"a": 1, "b": 3}, "BAND_MAP names band 3, but the raster has bands 1 to 2"),
    ],
)
def test_a_band_map_that_does_not_fit_is_refused(tmp_path, given_map, message):
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, scene(), band_map=given_map)


def test_another_sensor_than_the_models_is_warned_of(tmp_path):
    described = replace(model(), training={"sensor": "Landsat 8"})
    network, source = FirstBandNetwork(3), write_raster(tmp_path / "image.tif", scene(), names=("a", "b"))
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "classes.tif"))
    for sensor, told in (("Sentinel-2A", True), ("landsat 8", False)):
        with rasterio.open(source, "r+") as dataset:
            dataset.update_tags(SENSOR=sensor)
        events = drive(classify_with(request, described, network, Ranks()))
        assert ("The raster is of Sentinel-2A, the model was trained on Landsat 8" in " ".join(messages(events))) == told


def test_bad_options_are_told_together(tmp_path):
    with pytest.raises(ToolboxError, match=r"p\.tif must end in \.gpkg, .*CELL_SIZE is -1.*MIN_REGION is -2"):
        run(tmp_path, scene(), polygons=str(tmp_path / "p.tif"), cell_size=-1, min_region=-2)
    same = str(tmp_path / "out" / "classes.tif")
    with pytest.raises(ToolboxError, match="OUTPUT and OUTPUT_UNCERTAINTY are the same file"):
        run(tmp_path, scene(), uncertainty=same)
