# SPDX-License-Identifier: GPL-2.0-or-later
"""What an inspection writes is whole or not there, and never touches the chips."""

import pytest
from deep_learning_toolbox.backend.chips.inspection import files as inspect_files
from deep_learning_toolbox.backend.chips.inspection.folder import inspect_chips
from deep_learning_toolbox.backend.chips.inspection.settings import InspectSettings
from deep_learning_toolbox.backend.errors import ToolboxError

from ..rasters import drive
from .esri import ROAD, ROOF, EsriFolder, square
from .inspection import inspect


@pytest.fixture
def folder(tmp_path):
    made = EsriFolder(tmp_path / "esri")
    made.classified(0, square(ROOF))
    made.classified(1, square(ROAD))
    return made.finish()


def content(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_result_is_footprints_and_style_in_the_folder_and_the_report(tmp_path, folder):
    before = content(folder)
    inspect(folder, tmp_path)
    after = content(folder)
    assert set(after) - set(before) == {"inspection/footprints.gpkg", "inspection/footprints.qml"}
    assert {name: after[name] for name in before} == before
    assert list(content(tmp_path / "out")) == ["report.html"]


def test_elsewhere_means_only_a_note_in_the_folder(tmp_path, folder):
    inspect(folder, tmp_path, tmp_path / "deep" / "er" / "f.gpkg")
    assert sorted(content(tmp_path / "deep")) == ["er/f.gpkg", "er/f.qml"]
    assert [path.name for path in (folder / "inspection").iterdir()] == ["footprints.json"]


def test_without_a_report_there_is_none(tmp_path, folder):
    outputs = drive(inspect_chips(InspectSettings(str(folder)), "job"))["result"][0]["outputs"]
    assert outputs == {"OUTPUT": str(folder / "inspection" / "footprints.gpkg")}


@pytest.mark.parametrize("after", range(1, 8))
def test_inspection_that_is_stopped_leaves_nothing(tmp_path, folder, after):
    before = content(tmp_path)
    events = inspect_chips(InspectSettings(str(folder), str(tmp_path / "a" / "f.gpkg"), str(tmp_path / "b" / "r.html")), "job")
    for _ in range(after):
        assert next(events)["event"] != "result"
    events.close()
    assert content(tmp_path) == before
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()


def test_previous_result_stays_when_the_new_one_cannot_be_moved(tmp_path, folder, monkeypatch):
    inspect(folder, tmp_path)
    before = content(tmp_path)
    real = inspect_files.Path.replace

    def fail_on_the_report(source, target):
        if str(target).endswith("report.html"):
            raise OSError(13, "Permission denied", str(source))
        return real(source, target)

    monkeypatch.setattr(inspect_files.Path, "replace", fail_on_the_report)
    with pytest.raises(ToolboxError, match="the previous files are unchanged"):
        inspect(folder, tmp_path)
    assert content(tmp_path) == before


def test_leftovers_of_a_program_that_had_the_footprints_open_are_not_taken_for_the_new_ones(tmp_path, folder):
    footprints = inspect(folder, tmp_path).footprints
    for ending in ("-wal", "-shm"):
        (folder / "inspection" / f"footprints.gpkg{ending}").write_bytes(b"")
    assert inspect(folder, tmp_path).footprints == footprints
    assert sorted(path.name for path in (folder / "inspection").iterdir()) == ["footprints.gpkg", "footprints.qml"]


@pytest.mark.parametrize("name", ["output", "report"])
def test_place_that_cannot_be_written_is_refused(tmp_path, folder, name):
    (tmp_path / "file").write_text("mine")
    target = {"output": "file/f.gpkg", "report": "file/r.html"}[name]
    with pytest.raises(ToolboxError, match="cannot be written"):
        drive(inspect_chips(InspectSettings(str(folder), **{name: str(tmp_path / target)}), "job"))
    assert (tmp_path / "file").read_text() == "mine"
    assert not (folder / "inspection").exists()


def test_folder_in_place_of_a_file_is_refused(tmp_path, folder):
    (tmp_path / "f.gpkg").mkdir()
    with pytest.raises(ToolboxError, match=r"f\.gpkg is a folder"):
        drive(inspect_chips(InspectSettings(str(folder), str(tmp_path / "f.gpkg")), "job"))


def test_chip_folder_that_cannot_be_written_is_told_when_the_footprints_lie_elsewhere(tmp_path, folder):
    (folder / "inspection").write_text("not a folder")  # as if the medium could not be written
    found = inspect(folder, tmp_path, tmp_path / "f.gpkg")
    assert any("training will not see the chips struck out" in text for text in found.warnings)
