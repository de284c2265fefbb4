# SPDX-License-Identifier: GPL-2.0-or-later
"""Exports that fail or are broken off late: the previous result must stay as it was."""

import contextlib
import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from deep_learning_toolbox.backend.chips.chip import count_blocks
from deep_learning_toolbox.backend.chips.chip_writer import ChipWriter
from deep_learning_toolbox.backend.chips.export import export_chips
from deep_learning_toolbox.backend.chips.settings import ExportSettings
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import classes, drive, pixel_box, write_labels, write_raster
from .test_export import CHIPS, image, run


def prepare(tmp_path, output, side=256):
    """Settings of an export of random numbers, which do not compress: about a megabyte for 256 pixels."""
    values = np.random.default_rng(0).integers(1, 60_000, (4, side, side)).astype(np.uint16)
    source = write_raster(tmp_path / "noise.tif", values)
    labels = write_labels(tmp_path / "noise.gpkg", [(pixel_box(0, 0, side, side), 1)])
    tiles = dict.fromkeys(CHIPS, 64)
    return ExportSettings(source, str(output), labels=labels, classes=classes(1), **tiles)


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def small_disk(path, kilobytes):
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)]
    if os.name != "posix" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only an administrator of Linux can mount a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


# The chips need about 1100 KB. The last two sizes hold them, but leave too little to trust that GDAL wrote all of them.
@pytest.mark.parametrize("kilobytes", [600, 1000, 1140, 1400])
def test_full_disk_keeps_the_previous_result(tmp_path, kilobytes):
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        (disk / "chips").mkdir()
        (disk / "chips" / "toolbox_index.json").write_text("previous")
        with pytest.raises(ToolboxError, match=r"The disk is full: .*disk/chips”"):
            drive(export_chips(prepare(tmp_path, disk / "chips"), "test"))
        assert {str(name): content for name, content in snapshot(disk / "chips").items()} == {"toolbox_index.json": b"previous"}
        assert [entry.name for entry in (disk / "chips").iterdir()] == ["toolbox_index.json"]


def test_full_disk_that_shows_after_the_last_chip_is_told_before_the_previous_result_goes(tmp_path, monkeypatch):
    run(tmp_path)
    before = snapshot(tmp_path / "chips")
    monkeypatch.setattr("deep_learning_toolbox.backend.runtime.disk.is_full", lambda path: True)
    with pytest.raises(ToolboxError, match="The disk is full"):
        run(tmp_path, stride_x=4)
    assert snapshot(tmp_path / "chips") == before


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/holiday.jpg", "labels/mine.shp", "A/x"], "holds other files .* and no toolbox_index.json"),
        (["inspection/notes.txt"], "holds other files"),
        (["images/000000000.tif", "esri_model_definition.emd", "map.txt"], "training data of ArcGIS"),
    ],
)
def test_folder_without_our_index_is_never_written_to(tmp_path, files, message, append):
    for name in files:
        path = tmp_path / "chips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not ours")
    before = snapshot(tmp_path / "chips")
    with pytest.raises(ToolboxError, match=message):
        run(tmp_path, append=append)
    assert snapshot(tmp_path / "chips") == before


@pytest.mark.parametrize("name", ["images/holiday.jpg", "labels/mine.shp", "images/0001.tif", "blocks/notes/000000000000"])
def test_files_of_others_among_the_chips_keep_an_export_from_being_replaced(tmp_path, name):
    run(tmp_path)
    (tmp_path / "chips" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "chips" / name).write_text("not ours")
    before = snapshot(tmp_path / "chips")
    with pytest.raises(ToolboxError, match=name):
        run(tmp_path)
    assert snapshot(tmp_path / "chips") == before
    run(tmp_path, append=True)
    assert (tmp_path / "chips" / name).read_text() == "not ours"


def test_what_programs_leave_beside_chips_goes_with_them(tmp_path):
    run(tmp_path)
    stem = next((tmp_path / "chips" / "images").glob("*.tif"))
    for ending in (".aux.xml", ".ovr"):
        stem.with_name(stem.name + ending).write_text("of QGIS")
    run(tmp_path)
    assert not list((tmp_path / "chips" / "images").glob("*.ovr"))


def test_older_export_that_lost_its_index_is_not_wiped_by_an_addition(tmp_path):
    run(tmp_path)
    (tmp_path / "chips" / "toolbox_index.json").unlink()
    before = snapshot(tmp_path / "chips")
    with pytest.raises(ToolboxError, match="neither replaces nor adds to"):
        run(tmp_path, append=True)
    assert snapshot(tmp_path / "chips") == before


def test_folder_is_never_without_an_index_or_metadata_while_chips_are_added(tmp_path, monkeypatch):
    run(tmp_path)
    needed = [tmp_path / "chips" / name for name in ("toolbox_index.json", "map.txt", "esri_model_definition.emd")]
    replace, moves = Path.replace, []

    def watch(self, target):
        moved = replace(self, target)
        moves.append(all(path.is_file() for path in needed))
        return moved

    monkeypatch.setattr(Path, "replace", watch)
    run(tmp_path, append=True)
    assert len(moves) > 4
    assert all(moves)


def test_failed_write_keeps_the_previous_result(tmp_path, monkeypatch):
    run(tmp_path)
    before = snapshot(tmp_path / "chips")

    def fail(*_args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(ChipWriter, "write_label", fail)
    with pytest.raises(OSError, match="Input/output error"):
        run(tmp_path)
    assert snapshot(tmp_path / "chips") == before


def test_cancel_after_any_event_leaves_the_previous_result_or_a_whole_new_one(tmp_path):
    run(tmp_path)
    before = snapshot(tmp_path / "chips")
    source, labels = str(tmp_path / "image.tif"), str(tmp_path / "labels.gpkg")
    settings = ExportSettings(source, str(tmp_path / "chips"), labels=labels, classes=classes(1, 2), **(CHIPS | {"stride_x": 4}))
    count = len(list(export_chips(settings, "test")))
    run(tmp_path)
    assert snapshot(tmp_path / "chips") == before
    for told in range(1, count):
        events = export_chips(settings, "test")
        for _ in range(told):
            next(events)
        events.close()
        assert snapshot(tmp_path / "chips") == before, f"cancelled after event {told} of {count}"


def test_output_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def refuse(self, *_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    source = write_raster(tmp_path / "image.tif", image())
    labels = write_labels(tmp_path / "labels.gpkg", [(pixel_box(2, 2, 8, 8), 1)])
    settings = ExportSettings(source, str(tmp_path / "chips"), labels=labels, classes=classes(1), **CHIPS)
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(ToolboxError, match=r"cannot be written \(Permission denied\)"):
        drive(export_chips(settings, "test"))
    assert not (tmp_path / "chips").exists()


def test_class_value_that_the_class_list_lacks_is_named_for_features(tmp_path):
    with pytest.raises(ToolboxError, match="class value 2, but the class list only 1"):
        run(tmp_path, class_values=(1,))
    assert not (tmp_path / "chips").exists()


def test_class_value_that_the_class_list_lacks_is_named_for_a_class_raster(tmp_path):
    source = write_raster(tmp_path / "image.tif", image())
    labels = write_raster(tmp_path / "classes.tif", np.full((40, 48), 3, np.uint8))
    settings = ExportSettings(source, str(tmp_path / "chips"), label_raster=labels, classes=classes(1, 7), **CHIPS)
    with pytest.raises(ToolboxError, match="class value 3, but the class list only 1, 7"):
        drive(export_chips(settings, "test"))


# rasterio warns while the test makes the raster, which lacks its georeference on purpose.
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_raster_without_crs_and_georeference_is_exported(tmp_path):
    pixels = Affine.identity()
    folder, _ = run(
        tmp_path, pairs=[(pixel_box(18, 18, 24, 24, pixels), 1)], class_values=(1,), raster={"crs": None, "transform": pixels}
    )
    assert folder.index.crs_wkt is None
    assert folder.index.gsd_m is None
    assert [chip.window for chip in folder.chips] == [(16, 16, 16, 16)]
    expected = np.zeros((16, 16), np.uint16)
    expected[2:8, 2:8] = 1
    assert np.array_equal(folder.load(folder.chips[0]).label, expected)


def test_class_wholly_on_nodata_is_reported_by_name_and_count(tmp_path):
    values = image(dtype="int16")
    values[:, 18:30, 20:30] = -5
    _, events = run(tmp_path, values, raster={"nodata": -5}, class_values=(1, 2, 9))
    told = [event["message"] for event in events["warning"]]
    assert told == [
        "All 120 labelled pixels of class 2 are nodata in the raster, so it cannot be learned.",
        "class 9 has no pixel on the raster, so it cannot be learned.",
    ]


def test_each_feature_of_a_class_is_counted_apart():
    label = np.array([[7, 7, 0, 7], [65_534, 7, 7, 7]], np.uint16)
    blocks = np.array([[1, 1, 0, 4_000_000_000], [2, 1, 4_000_000_000, 4_000_000_000]], np.uint32)
    assert count_blocks(label, blocks) == [(1, 7, 3), (2, 65_534, 1), (4_000_000_000, 7, 3)]
    assert count_blocks(label * 0, blocks) == []
