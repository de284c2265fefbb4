# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole stage with a network whose right answer is known: the class is what the first band says."""

import json
import threading

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.normalise import BandStatistics
from deep_learning_toolbox.backend.inference.classify import classify_with
from deep_learning_toolbox.backend.inference.settings import ClassifySettings
from deep_learning_toolbox.backend.labels.schema import ClassSchema
from deep_learning_toolbox.backend.models.definition import ModelDescription

from ..rasters import drive, pixel_box, write_raster


class FirstBandNetwork(torch.nn.Module):
    """Logits that are highest for the class whose number the first band holds (statistics with mean 0 and std 1)."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes
        self.sizes = []

    def forward(self, image):
        self.sizes.append(tuple(image.shape))
        numbers = torch.arange(self.classes).view(1, -1, 1, 1)
        return -20 * (image[:, :1] - numbers).abs()


def model(values=(1, 2, 3), bands=("a", "b"), has_background=False, gsd_m=10.0, chip=32):
    identity = [BandStatistics(name, 0, 9, 0.0, 1.0, -1e6, 1e6, 9) for name in bands]
    classes = ClassSchema.from_dicts([{"value": value, "name": f"class {value}", "color": [value % 256, 9, 8]} for value in values])
    return ModelDescription("m", "unet", "resnet18", tuple(identity), classes, has_background, chip, gsd_m)


def scene(rows=70, columns=90, classes=3, seed=0):
    values = np.random.default_rng(seed).integers(0, classes, (rows, columns))
    return np.stack([values, np.ones_like(values)]).astype(np.float32)


def run(tmp_path, values, description=None, network=None, names=("a", "b"), raster=None, **settings):
    """Classifies and returns the open class raster's values, its path and the events."""
    description = description or model()
    source = write_raster(tmp_path / "image.tif", values, names=names, **(raster or {}))
    network = network or FirstBandNetwork(len(description.class_values))
    options = {"tile_size": 32, **settings}
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "out" / "classes.tif"), **options)
    events = drive(classify_with(request, "test", description, network, "cpu"))
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        return result.read(1), events


@pytest.mark.parametrize(("rows", "columns"), [(70, 90), (32, 32), (33, 31), (1, 1), (5, 200), (64, 96)])
@pytest.mark.parametrize("overlap", [0, 7, 16])
def test_every_pixel_gets_its_class_for_any_shape_and_overlap(tmp_path, rows, columns, overlap):
    values = scene(rows, columns)
    classes, _ = run(tmp_path, values, overlap=overlap, batch_size=3)
    assert np.array_equal(classes, values[0] + 1)


def test_column_bands_give_the_same_pixels(tmp_path):
    values = scene(40, 1700)
    network = FirstBandNetwork(3)
    classes, events = run(tmp_path, values, network=network, memory_mb=64, tile_size=1024, overlap=16, batch_size=1)
    assert np.array_equal(classes, values[0] + 1)
    assert "4 column band(s)" in events["info"][0]["message"]


def test_symmetries_average_to_the_same_answer(tmp_path):
    values = scene()
    network = FirstBandNetwork(3)
    classes, _ = run(tmp_path, values, network=network, test_time_augmentation=True, batch_size=1000)
    assert np.array_equal(classes, values[0] + 1)
    assert len(network.sizes) % 8 == 0


def test_nodata_stays_nodata_and_tiles_without_data_are_not_computed(tmp_path):
    values = scene(64, 160)
    values[1, :, 64:] = -5
    network = FirstBandNetwork(3)
    classes, _ = run(tmp_path, values, network=network, raster={"nodata": -5}, overlap=0, batch_size=1)
    assert (classes[:, 64:] == 255).all()
    assert np.array_equal(classes[:, :64], values[0, :, :64] + 1)
    assert len(network.sizes) == 4


def test_raster_without_any_data_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ToolboxError, match="nodata everywhere"):
        run(tmp_path, np.zeros((2, 40, 40), np.float32), raster={"nodata": 0})
    assert not (tmp_path / "out").exists()


def test_values_above_254_make_a_16_bit_raster(tmp_path):
    classes, _ = run(tmp_path, scene(classes=2), model(values=(7, 300)))
    assert classes.dtype == np.uint16
    assert set(np.unique(classes)) == {7, 300}
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        assert result.nodata == 65_535


def test_background_is_zero_and_can_be_suppressed(tmp_path):
    description = model(values=(4, 9), has_background=True)
    classes, _ = run(tmp_path, scene(), description)
    assert set(np.unique(classes)) == {0, 4, 9}
    classes, _ = run(tmp_path, scene(), description, predict_background=False)
    assert set(np.unique(classes)) == {4, 9}


def test_suppressing_a_background_that_is_not_there_is_said(tmp_path):
    _, events = run(tmp_path, scene(), predict_background=False)
    assert any("no effect" in event["message"] for event in events["info"])


def test_extent_is_snapped_to_the_grid(tmp_path):
    values = scene()
    west, south, east, north = pixel_box(10.2, 5.3, 19.9, 12.0).bounds
    classes, _ = run(tmp_path, values, extent=(west, south, east, north))
    assert np.array_equal(classes, values[0, 5:12, 10:20] + 1)
    with rasterio.open(tmp_path / "out" / "classes.tif") as result:
        assert result.transform == Affine(10, 0, 500_100, 0, -10, 5_199_950)


def test_extent_outside_is_refused(tmp_path):
    with pytest.raises(ToolboxError, match="EXTENT lies outside"):
        run(tmp_path, scene(), extent=(0, 0, 10, 10))


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


def test_bands_are_found_by_name_in_any_order(tmp_path):
    values = scene()[::-1]
    classes, events = run(tmp_path, values, names=("B", "a"))
    assert np.array_equal(classes, values[1] + 1)
    assert "warning" not in events


def test_unnamed_bands_are_taken_in_order_with_a_warning(tmp_path):
    classes, events = run(tmp_path, scene(), names=())
    assert np.array_equal(classes, scene()[0] + 1)
    assert "matched by their order" in events["warning"][0]["message"]


@pytest.mark.parametrize(
    ("bands", "names", "message"),
    [(2, ("a", "c"), "lacks the band b"), (1, (), "trained on 2 bands"), (3, (), "trained on 2 bands")],
)
def test_other_bands_are_refused_by_name(tmp_path, bands, names, message):
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, np.ones((bands, 40, 40), np.float32), names=names)
    assert not (tmp_path / "out").exists()


def test_other_cell_size_is_warned_of(tmp_path):
    _, events = run(tmp_path, scene(), model(gsd_m=30.0))
    assert "trained at 30 m" in events["warning"][0]["message"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tile_size": 32, "overlap": 17}, "at most half of the tile"), ({"tile_size": 40}, "trained on chips of 64 pixels")],
)
def test_tiles_that_do_not_fit_the_model_are_refused(tmp_path, settings, message):
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, scene(), model(chip=64 if settings["tile_size"] == 40 else 32), **settings)


def test_settings_that_contradict_are_told_at_once():
    with pytest.raises(ToolboxError, match=r"input raster itself.*EXTENT is empty"):
        ClassifySettings("a.tif", "m.dlpk", "a.tif", extent=(1, 1, 0, 2))


def test_previous_raster_is_replaced_with_its_sidecars(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "classes.tif").write_text("old")
    (tmp_path / "out" / "classes.qml").write_text("old")
    classes, _ = run(tmp_path, scene())
    assert classes.shape == (70, 90)
    assert "paletted" in (tmp_path / "out" / "classes.qml").read_text()


def test_cancel_removes_everything_and_ends_the_reader(tmp_path):
    source = write_raster(tmp_path / "image.tif", scene(300, 300), names=("a", "b"))
    request = ClassifySettings(source, "m.dlpk", str(tmp_path / "new" / "classes.tif"), tile_size=32)
    events = classify_with(request, "test", model(), FirstBandNetwork(3), "cpu")
    while next(events)["event"] != "progress":
        pass
    assert list((tmp_path / "new").iterdir())
    events.close()
    assert not (tmp_path / "new").exists()
    assert "strip reader" not in {thread.name for thread in threading.enumerate()}


def test_memory_that_runs_out_halves_the_batch(tmp_path):
    class Greedy(FirstBandNetwork):
        def forward(self, image):
            if len(image) > 2:
                raise torch.OutOfMemoryError("too much")
            return super().forward(image)

    classes, events = run(tmp_path, scene(), network=Greedy(3), batch_size=8)
    assert np.array_equal(classes, scene()[0] + 1)
    assert [event["message"].split()[-4] for event in events["warning"]] == ["4", "2"]


def test_network_sees_what_training_sees(tmp_path):
    from deep_learning_toolbox.backend.imagery.normalise import normalise

    seen = []

    class Recorder(FirstBandNetwork):
        def forward(self, image):
            seen.append(image.clone())
            return super().forward(image)

    statistics = (BandStatistics("a", 0, 9, 1.0, 0.5, 0.0, 1.9, 9), BandStatistics("b", 0, 9, 2.0, 2.0, 0, 9, 9))
    description = ModelDescription("m", "unet", "resnet18", statistics, model().classes, False, 32, 10.0)
    values = scene(32, 32)
    run(tmp_path, values, description, network=Recorder(3))
    expected = normalise(torch.from_numpy(values), torch.ones(32, 32, dtype=torch.bool), statistics)
    assert torch.equal(seen[0][0], expected)


def test_events_are_plain_json(tmp_path):
    _, events = run(tmp_path, scene())
    assert json.loads(json.dumps(events)) == events
