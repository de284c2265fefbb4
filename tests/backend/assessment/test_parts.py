# SPDX-License-Identifier: GPL-2.0-or-later
"""Classes, objects and the error picture, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment import picture as picture_module
from deep_learning_toolbox.backend.assessment.classes import ShownClass, match_classes, merge_classes, read_legend
from deep_learning_toolbox.backend.assessment.objects import ObjectCounter
from deep_learning_toolbox.backend.assessment.pairs import NOTHING
from deep_learning_toolbox.backend.assessment.picture import ErrorPicture
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.imagery.raster import describe
from rasterio.windows import Window

from ..rasters import write_raster

LEGEND = {1: ShownClass(1, "Water", (0, 0, 255)), 4: ShownClass(4, "Forest", (0, 99, 0))}


def entry(code, value, name):
    return {"code": code, "value": value, "name": name}


def test_names_find_the_maps_class_in_any_case_and_by_number():
    matched = match_classes([entry(1, None, "WATER"), entry(2, None, " forest "), entry(3, None, "4")], LEGEND)
    assert matched.values == {1: 1, 2: 4, 3: 4}
    assert matched.warnings == ()


def test_unknown_name_becomes_a_class_of_its_own_with_a_warning():
    matched = match_classes([entry(1, None, "Rock"), entry(2, 9, "Ice"), entry(3, None, "Sand")], LEGEND)
    assert matched.values == {1: 10, 2: 9, 3: 11}
    assert len(matched.warnings) == 2
    assert "“Rock” is not on the map, which has 1 Water, 4 Forest" in matched.warnings[0]


@pytest.mark.parametrize(("name", "warnings"), [("Water", 0), ("water", 0), ("1", 0), ("Wasser", 1), ("Forest", 1)])
def test_value_with_another_name_than_on_the_map_is_told(name, warnings):
    assert len(match_classes([entry(1, 1, name)], LEGEND).warnings) == warnings


def test_no_value_is_left_for_an_unknown_name():
    with pytest.raises(ToolboxError, match="65,534"):
        match_classes([entry(1, 65_534, "Ice"), entry(2, None, "Rock")], LEGEND)


def test_merged_classes_keep_the_maps_names_and_have_distinct_colours():
    merged = merge_classes(LEGEND, {4: "Wald", 7: "", 2: "Rock"})
    assert [(shown.value, shown.name) for shown in merged] == [(1, "Water"), (2, "Rock"), (4, "Forest"), (7, "7")]
    assert len({shown.color for shown in merged}) == 4


def test_legend_comes_from_the_sidecar_and_zero_is_background(tmp_path):
    source = write_raster(tmp_path / "map.tif", np.array([[0, 1, 2]], np.uint8))
    content = "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>Water</Category></CategoryNames>"
    (tmp_path / "map.tif.aux.xml").write_text(content + "</PAMRasterBand></PAMDataset>")
    shown = read_legend(source, [2, 0, 1]).values()
    assert [(entry.value, entry.name) for entry in shown] == [(0, "Background"), (1, "Water"), (2, "2")]


def test_object_has_the_class_of_most_of_its_pixels_over_all_windows():
    counter = ObjectCounter(np.array([1, 4, 4, 1], np.uint16))
    counter.add(np.array([[1, 1, 2, 0]], np.uint32), np.array([[1, 4, 1, 9]], np.uint16))
    counter.add(np.array([[1, 2, 2, 3]], np.uint32), np.array([[4, 4, 4, NOTHING]], np.uint16))
    found = counter.finish([1, 4])
    assert found.matrix.counts.tolist() == [[0, 1], [0, 1]]  # the first is 4 by 2 pixels to 1, the second by 2 to 1
    assert found.without_data == 2


def test_tie_within_an_object_goes_to_the_truth():
    counter = ObjectCounter(np.array([1, 4], np.uint16))
    counter.add(np.array([[1, 1, 2, 2]], np.uint32), np.array([[1, 4, 1, 4]], np.uint16))
    assert counter.finish([1, 4]).matrix.overall_accuracy == 1


@pytest.mark.parametrize("heights", [[20], [7, 1, 12], [1] * 20])
def test_picture_is_every_nth_pixel_however_it_is_read(tmp_path, monkeypatch, heights):
    monkeypatch.setattr(picture_module, "LONGEST_SIDE", 10)
    generator = np.random.default_rng(2)
    mapped, reference = generator.choice([0, 1, 2, NOTHING], (2, 20, 30)).astype(np.uint16)
    gathered = ErrorPicture(describe(write_raster(tmp_path / "map.tif", mapped)))
    top = 0
    for height in heights:
        gathered.add(Window(0, top, 30, height), mapped[top : top + height], reference[top : top + height])
        top += height
    known = (mapped != NOTHING) & (reference != NOTHING)
    expected = np.where(known, np.where(mapped == reference, 1, 2), 0)[::3, ::3]
    assert np.array_equal(gathered.pixels, expected)
    gathered.is_zero_class = False
    assert np.array_equal(gathered.pixels, np.where(reference[::3, ::3] == 0, 0, expected))
