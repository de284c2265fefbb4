# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage ``preview``: right classes from few labels, uncertainty where labels are missing, and what it refuses."""

import numpy as np
import pytest
import rasterio
import torch
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.band_statistics import BandStatistics
from deep_learning_toolbox.backend.preview import preview as module
from deep_learning_toolbox.backend.preview import samples
from deep_learning_toolbox.backend.preview.features import MARGIN, describe_pixels
from deep_learning_toolbox.backend.preview.preview import preview_classes
from deep_learning_toolbox.backend.preview.settings import PreviewSettings

from ..rasters import NORTH_UP, classes, drive, pixel_box, write_labels, write_raster

SIZE = 96


def scene():
    """Three upright stripes of 32 columns, values 50, 100 and 150 in both bands, with noise: (2, 96, 96) float32."""
    levels = np.repeat([50.0, 100.0, 150.0], 32)
    return (levels + np.random.default_rng(0).normal(0, 8, (2, SIZE, SIZE))).astype(np.float32)


def stripes():
    return np.tile(np.repeat(np.array([1, 2, 3], np.uint8), 32), (SIZE, 1))


def draw(path, *labels):
    """Labels of 8 × 8 pixels at (column, row, class value)."""
    return write_labels(path, [(pixel_box(x, y, x + 8, y + 8), value) for x, y, value in labels])


def preview(folder, labels, image=None, nodata=None, values=(1, 2, 3), **wished):
    """Classes, uncertainty and events of a preview with both outputs."""
    raster = write_raster(folder / "scene.tif", scene() if image is None else image, nodata=nodata)
    outputs = {"output": str(folder / "classes.tif"), "uncertainty": str(folder / "unsure.tif")}
    settings = PreviewSettings(raster, draw(folder / "labels.gpkg", *labels), classes(*values), **outputs, **wished)
    events = drive(preview_classes(settings, "job"))
    with rasterio.open(outputs["output"]) as shown, rasterio.open(outputs["uncertainty"]) as unsure:
        return shown.read(1), unsure.read(1), events


ALL = ((4, 4, 1), (4, 60, 1), (40, 4, 2), (40, 60, 2), (80, 4, 3), (80, 60, 3))


def test_a_few_labels_of_each_class_give_the_right_classes_nearly_everywhere(tmp_path):
    shown, unsure, _ = preview(tmp_path, ALL)
    assert (shown == stripes()).mean() > 0.97
    assert unsure[:, 8:24].mean() < 40


def test_the_result_has_names_colours_and_place(tmp_path):
    x, y = NORTH_UP * (10, 20)
    preview(tmp_path, ALL, extent=(x, y - 300, x + 500, y))
    with rasterio.open(tmp_path / "classes.tif") as shown:
        assert (shown.width, shown.height) == (50, 30)
        assert shown.transform * (0, 0) == (x, y)
        assert shown.nodata == 255
        assert len(set(list(shown.colormap(1).values())[1:4])) == 3
    assert "class 2" in (tmp_path / "classes.tif.aux.xml").read_text()


def test_pixels_unlike_all_labels_are_less_certain(tmp_path):
    image = scene()
    image[:, 40:56, :32] = 75  # half-way between class 1 and 2
    _, unsure, _ = preview(tmp_path, ALL, image)
    assert unsure[44:52, 8:24].mean() > unsure[8:24, 8:24].mean() + 10


def test_the_same_seed_gives_the_same_result_and_an_extent_the_same_pixels(tmp_path):
    first, first_unsure, _ = preview(tmp_path, ALL)
    again, again_unsure, _ = preview(tmp_path, ALL)
    assert np.array_equal(first, again) and np.array_equal(first_unsure, again_unsure)
    x, y = NORTH_UP * (30, 10)
    part, part_unsure, _ = preview(tmp_path, ALL, extent=(x, y - 700, x + 400, y))
    assert np.array_equal(part, first[10:80, 30:70])
    assert np.abs(part_unsure.astype(int) - first_unsure[10:80, 30:70]).max() <= 1  # rounding of sums in another order


def test_nodata_stays_nodata_and_does_not_spoil_its_surroundings(tmp_path):
    image = scene()
    image[:, :, 20:26] = -9999
    shown, unsure, _ = preview(tmp_path, ALL, image, nodata=-9999)
    assert (shown[:, 20:26] == 255).all() and (unsure[:, 20:26] == 255).all()
    assert (shown[:, 16:20] == 1).mean() > 0.95


def test_a_class_without_labelled_pixels_is_named(tmp_path):
    shown, _, events = preview(tmp_path, ALL[:4], values=(1, 2, 7))
    assert set(np.unique(shown)) == {1, 2}
    assert any("class 7" in event["message"] for event in events["warning"])


def test_values_above_254_are_written_in_16_bits(tmp_path):
    shown, _, _ = preview(tmp_path, ((4, 4, 300), (40, 4, 2)), values=(2, 300))
    assert shown.dtype == np.uint16 and set(np.unique(shown)) == {2, 300}


def test_labels_without_data_or_of_one_class_are_refused_and_nothing_is_left(tmp_path):
    image = scene()
    image[:, :, 32:] = -1
    with pytest.raises(ToolboxError, match="only of class 1; draw labels of two classes"):
        preview(tmp_path, ALL[:4], image, nodata=-1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.gpkg", "scene.tif"]


def test_too_large_a_part_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_PIXELS", 1000)
    with pytest.raises(ToolboxError, match="zoom in"):
        preview(tmp_path, ALL)


@pytest.mark.parametrize(
    ("wished", "text"),
    [
        ({"output": "a.png"}, "a.png must end in .tif"),
        ({"uncertainty": "a.tif"}, "the same file"),
        ({"classes": classes(1)}, "only one class"),
        ({"seed": -1}, "SEED is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wished, text):
    given = {"raster": "r.tif", "labels": "l.gpkg", "classes": classes(1, 2), "output": "a.tif"}
    with pytest.raises(ToolboxError, match=text):
        PreviewSettings(**{**given, **wished})


def test_a_large_and_a_small_label_of_a_class_count_alike(tmp_path):
    # Class 2 lies in two colours, one of which has a hundredth of the labelled pixels.
    image = scene()
    path = write_labels(
        tmp_path / "labels.gpkg",
        [(pixel_box(0, 0, 30, 90), 1), (pixel_box(34, 0, 62, 90), 2), (pixel_box(80, 40, 85, 45), 2)],
    )
    raster = write_raster(tmp_path / "scene.tif", image)
    drive(preview_classes(PreviewSettings(raster, path, classes(1, 2), str(tmp_path / "classes.tif")), "job"))
    with rasterio.open(tmp_path / "classes.tif") as shown:
        assert (shown.read(1)[:, 68:] == 2).mean() > 0.9


def test_each_class_gives_at_most_a_fixed_number_of_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "PIXELS_PER_CLASS", 20)
    _, _, events = preview(tmp_path, ALL)
    assert "class 1 20, class 2 20, class 3 20" in events["info"][0]["message"]


def test_features_are_means_and_spreads_over_the_valid_surroundings():
    random = np.random.default_rng(1)
    image = torch.from_numpy(random.normal(0, 1, (1, 15, 15)).astype(np.float32))
    valid = torch.from_numpy(random.random((15, 15)) < 0.7)
    statistics = [BandStatistics("b", -9, 9, 0.0, 1.0, -9, 9, 100)]
    described = describe_pixels(image, valid, statistics)
    row, column = 7, 6
    for place, radius in enumerate((1, MARGIN)):
        around = slice(row - radius, row + radius + 1), slice(column - radius, column + radius + 1)
        expected = image[0][around][valid[around]]
        assert described[1 + 2 * place, row, column].item() == pytest.approx(expected.mean().item(), abs=1e-5)
        assert described[2 + 2 * place, row, column].item() == pytest.approx(expected.std(unbiased=False).item(), abs=1e-4)
