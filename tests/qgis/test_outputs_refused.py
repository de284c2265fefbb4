# SPDX-License-Identifier: GPL-2.0-or-later
"""Places that cannot be written, hold other people's files, or run full: a clear sentence, and nothing left or touched."""

import subprocess
from pathlib import Path

import pytest
from qgis_helpers import QUICK_TRAINING, SMALL_CHIPS, make_labels, refusal, tree


@pytest.fixture
def refuse(scene, chips, model):
    """Runs a tool with good input and a bad output; returns what it says."""

    def run_it(tool, output):
        inputs = {
            "exporttrainingdata": {"INPUT": scene, "LABELS": make_labels(), **SMALL_CHIPS},
            "trainmodel": {"INPUT": chips, **QUICK_TRAINING},
            "classifypixels": {"INPUT": scene, "MODEL": model, "DEVICE": "cpu"},
        }
        return refusal(tool, OUTPUT=output, **inputs[tool])

    return run_it


@pytest.fixture
def small_disk(folder):
    """Makes a disk of a given size in KiB, mounted in the test's folder."""
    mounted = []

    def mount(size):
        point = folder / "small disk"
        point.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(point)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"mounting a small disk needs root ({done.stderr.strip()}); the tests of full disks did NOT run")
        mounted.append(point)
        return point

    yield mount
    for point in mounted:
        subprocess.run(["umount", str(point)], check=True)


@pytest.mark.parametrize("tool", ["exporttrainingdata", "trainmodel", "classifypixels"])
def test_place_that_cannot_be_written_is_refused(refuse, folder, tool):
    parent = folder / "notes.txt"
    parent.write_text("mine", encoding="utf-8")
    output = parent / ("classes.tif" if tool == "classifypixels" else "out")
    message = refuse(tool, output)
    assert "cannot be written" in message
    assert "choose another folder" in message
    assert str(output) in message
    assert tree(folder) == ["notes.txt"]
    assert parent.read_text(encoding="utf-8") == "mine"


def test_place_where_nobody_may_write_is_refused(refuse):
    output = Path("/proc/fs/chips")  # not even root can make files here
    message = refuse("exporttrainingdata", output)
    assert f"{output} cannot be written" in message
    assert not output.exists()


@pytest.mark.parametrize("tool", ["exporttrainingdata", "trainmodel"])
def test_folder_with_other_files_is_refused_and_left_alone(refuse, folder, tool):
    (folder / "out").mkdir()
    (folder / "out" / "holiday.jpg").write_bytes(b"\xff\xd8")
    message = refuse(tool, folder / "out")
    assert "holds other files (holiday.jpg)" in message
    assert "choose an empty or a new folder" in message
    assert tree(folder / "out") == ["holiday.jpg"]
    assert (folder / "out" / "holiday.jpg").read_bytes() == b"\xff\xd8"


@pytest.mark.parametrize("tool", ["exporttrainingdata", "trainmodel"])
def test_file_in_place_of_the_folder_is_refused_and_left_alone(refuse, folder, tool):
    (folder / "out").write_text("mine", encoding="utf-8")
    assert "is a file" in refuse(tool, folder / "out")
    assert (folder / "out").read_text(encoding="utf-8") == "mine"


def test_folder_in_place_of_the_class_raster_is_refused(refuse, folder):
    (folder / "classes.tif").mkdir()
    assert "is a folder" in refuse("classifypixels", folder / "classes.tif")
    assert tree(folder) == ["classes.tif"]


# Sizes in KiB that end a tool in the middle of its writing: a set of chips takes 110, a class raster 20. A model takes 55,000, which
# is told before the training has cost hours.
@pytest.mark.parametrize(
    ("tool", "size", "told"),
    [
        ("exporttrainingdata", 64, "disk is full"),
        ("trainmodel", 8192, "MB free, but the model takes"),
        ("classifypixels", 8, "disk is full"),
    ],
)
def test_full_disk_is_told_and_nothing_is_left_on_it(refuse, small_disk, tool, size, told):
    disk = small_disk(size)
    message = refuse(tool, disk / ("classes.tif" if tool == "classifypixels" else "out"))
    assert told in message
    assert "free space" in message
    assert str(disk) in message
    assert tree(disk) == []
