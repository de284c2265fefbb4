# SPDX-License-Identifier: GPL-2.0-or-later
"""Inspection and training read what the export writes, in every metadata format and every chip format."""

import numpy as np
import pytest
from deep_learning_toolbox.backend.chips.folder import ChipFolder
from deep_learning_toolbox.backend.chips.names import ESRI_MODES
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import write_labels, write_raster
from .inspection import inspect, kinds
from .test_export import image, run
from .test_formats import CLASSES, PAIRS, export
from .test_strikeouts import strike_out

WITH_MASKS = ("classified_tiles", "rcnn_masks", "panoptic")


def options(tmp_path, form):
    if form == "panoptic":
        return {"instances": write_labels(tmp_path / "instances.gpkg", PAIRS, layer="instances"), "instance_classes": CLASSES}
    if form in ("export_tiles", "cyclegan"):
        return {"raster2": write_raster(tmp_path / "second.tif", image(16, 32)[:1] + 1), "labels": None, "classes": []}
    return {}


@pytest.mark.parametrize("form", ESRI_MODES)
def test_every_format_is_inspected_without_a_fault(tmp_path, form):
    folder, index, _ = export(tmp_path, form, pairs=PAIRS, **options(tmp_path, form))
    found = inspect(folder, tmp_path)
    assert len(found.rows) == len(index.chips) or form == "cyclegan"
    assert set(kinds(found)) <= {"Same pixels as another chip", "All one class", "Mostly nodata"}
    assert found.warnings == []
    pixels = {value: sum(chip.class_pixels.get(value, 0) for chip in index.chips) for value in (3, 7)}
    if form in WITH_MASKS:
        told = {value: round(sum(row[f"share_{value}"] for row in found.rows.values()) * 256) for value in (3, 7)}
        assert told == pixels
    elif "count_3" in next(iter(found.rows.values())):
        assert all(row["objects"] > 0 for row in found.rows.values())


@pytest.mark.parametrize("form", ESRI_MODES)
def test_training_takes_formats_with_a_label_for_each_pixel_and_refuses_the_others(tmp_path, form):
    folder, _, _ = export(tmp_path, form, pairs=PAIRS, **options(tmp_path, form))
    if form not in WITH_MASKS:
        with pytest.raises(ToolboxError, match=f"was exported as {ESRI_MODES[form]}"):
            ChipFolder.open(folder)
        return
    opened = ChipFolder.open(folder)
    for chip in opened.chips:
        label = opened.load(chip).label
        assert {int(value): int((label == value).sum()) for value in np.unique(label) if value} == chip.class_pixels
    assert any("outside all objects" in note for note in opened.notes) == (form != "classified_tiles")


def test_masks_whose_map_is_lost_are_not_read_as_classes(tmp_path):
    folder, _, _ = export(tmp_path, "rcnn_masks", pairs=PAIRS)
    (folder / "map.txt").unlink()
    with pytest.raises(ToolboxError, match="names no masks"):
        ChipFolder.open(folder)


@pytest.mark.parametrize("form", ["tiff", "png", "jpeg", "mrf"])
def test_every_chip_format_keeps_its_nodata(tmp_path, form):
    values = image(16, 32, "uint8", 3)
    values[:, :, 28:] = 0
    source = {"values": values, "chip_format": form}
    folder, index, _ = export(tmp_path, "classified_tiles", **source, extent=None)
    found = inspect(folder, tmp_path)
    assert kinds(found) == {}
    assert [row["nodata"] for row in found.rows.values()] == [1 - chip.valid_pixels / 256 for chip in index.chips]


def test_turned_chips_are_inspected(tmp_path):
    folder, index, _ = export(tmp_path, "classified_tiles", rotation_angle=45)
    found = inspect(folder, tmp_path)
    assert len(found.rows) == len(index.chips)
    areas = [row["geometry"].area for row in found.rows.values()]
    assert areas == pytest.approx([160 * 160] * len(areas))


def test_export_that_replaces_an_inspected_one_forgets_what_was_struck_out(tmp_path):
    folder, _, _ = export(tmp_path, "classified_tiles")
    strike_out(inspect(folder, tmp_path).footprints, 0)
    _, told = run(tmp_path)
    assert any("replaced with what its inspection left" in event["message"] for event in told["info"])
    assert not (folder / "inspection").exists()
    assert ChipFolder.open(folder).struck_out == 0


def test_adding_to_an_inspected_export_keeps_what_is_struck_out(tmp_path):
    folder, index, _ = export(tmp_path, "classified_tiles")
    strike_out(inspect(folder, tmp_path).footprints, 0)
    export(tmp_path, "classified_tiles", append=True)
    opened = ChipFolder.open(folder)
    assert (opened.struck_out, len(opened.chips)) == (1, 2 * len(index.chips) - 1)
