# SPDX-License-Identifier: GPL-2.0-or-later
"""What points tell of the way in which they were drawn, and what is said where they tell too little."""

from __future__ import annotations

import numpy as np
import pytest
from deep_learning_toolbox.backend.assessment.allocation import read_expected_accuracy
from deep_learning_toolbox.backend.assessment.draw import Pixel, keep_apart
from deep_learning_toolbox.backend.assessment.regions import _open
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import write_raster
from .test_assess import CLASSES, CODES, run, write_points

# Classes 1, 2 and 5 on 600, 300 and 100 pixels.
MAP = np.repeat(np.array([1, 2, 5], np.uint8), (600, 300, 100)).reshape(20, 50)


def assess(tmp_path, places, strata, pixels, **settings):
    """Assesses `MAP` by points at some pixels, by number, all of them right; returns the table's rows and all notes as a text."""
    rows, columns = np.divmod(np.array(places), 50)
    codes = [CODES[int(value)] for value in MAP[rows, columns]]
    points = write_points(tmp_path / "points.gpkg", columns, rows, codes, strata, pixels)
    _, warnings, table = run(tmp_path, MAP, reference=points, reference_classes=CLASSES, **settings)
    return table, "\n".join(warnings)


def test_a_class_without_any_point_has_no_area_and_is_named(tmp_path):
    table, notes = assess(tmp_path, [0, 1, 700, 701], [1, 1, 2, 2], [600, 600, 300, 300])
    assert "No point was drawn in 5" in notes and "90 % of the area only" in notes
    assert np.isnan(table["C_5"]["Area_ha"]) and np.isnan(table["C_5"]["Area_Margin"])
    assert [table[row]["Area_ha"] for row in ("C_1", "C_2")] == pytest.approx([6.0, 3.0])
    assert table["Total"]["Area_ha"] == pytest.approx(9.0)  # of what is known


def test_a_sample_within_a_mask_is_said_to_hold_there_only(tmp_path):
    _, notes = assess(tmp_path, [0, 1, 700, 701], [1, 1, 2, 2], [60, 60, 40, 40])
    assert "drawn in 10 % of the map" in notes
    assert "No point tells of the map's classes 5" in notes


def test_points_without_a_design_among_others_are_left_out_and_counted(tmp_path):
    table, notes = assess(tmp_path, [0, 1, 700, 701, 950, 2], [1, 1, 2, 2, 5, -1], [600, 600, 300, 300, 100, ""])
    assert "1 reference points do not tell how they were drawn" in notes
    assert table["Total"]["Total"] == 5
    assert [table[row]["Area_ha"] for row in ("C_1", "C_2", "C_5")] == pytest.approx([6.0, 3.0, 1.0])


def test_points_without_a_design_count_where_no_estimate_is_wanted(tmp_path):
    table, _ = assess(tmp_path, [0, 700, 2], [1, 2, -1], [600, 300, ""], area_weighted=False)
    assert table["Total"]["Total"] == 3


def test_points_in_one_pixel_are_said(tmp_path):
    _, notes = assess(tmp_path, [0, 0, 0, 700, 701, 950, 951], None, None)
    assert "2 reference points lie in the same pixel as another one" in notes


def test_mcnemars_test_is_said_to_be_unweighted(tmp_path):
    second = write_raster(tmp_path / "second.tif", MAP)
    _, notes = assess(tmp_path, [0, 1, 700, 701, 950, 951], None, None, second_raster=second)
    assert "without weights" in notes


@pytest.mark.parametrize("text", ["0.8; 0.9", "1=0.7; 1=0.8; 0.9"])
def test_two_expected_accuracies_of_one_class_are_refused(text):
    with pytest.raises(ToolboxError, match="gives two numbers"):
        read_expected_accuracy(text, [1, 2])


def test_a_distance_below_a_pixel_keeps_all_points_at_once():
    pixels = {1: [Pixel(row, 0, 1) for row in range(5)]}
    assert keep_apart(pixels, {1: 3}, 1e-300, (10, 10)) == {1: pixels[1][:3]}


def test_of_very_many_small_regions_the_thick_and_the_long_ones_stay(monkeypatch):
    monkeypatch.setattr("deep_learning_toolbox.backend.assessment.regions.MOST_PER_STRIP", 4)
    codes = np.zeros((30, 40), np.int32)
    codes[::3, ::3] = 1
    codes[4:12, 5:20] = 7
    codes[20:23, 20:23] = 2
    codes[26, 5:35] = 3  # a border of one pixel's width
    opened = _open(codes)
    assert set(np.unique(opened)) == {0, 2, 3, 7}
    assert (opened == 7).sum() == 120 and (opened == 2).sum() == 9 and (opened == 3).sum() == 30
