# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime.output_files import OutputFiles


def write(files, path, text, sidecar=None):
    files.partial(str(path)).write_text(text)
    if sidecar is not None:
        files.partial(str(path)).with_suffix(".qml").write_text(sidecar)


def test_all_files_appear_at_once_with_their_sidecars(tmp_path):
    first, second = tmp_path / "new" / "a.gpkg", tmp_path / "b.html"
    with OutputFiles([str(first), None, str(second)], "job") as files:
        write(files, first, "one", "style")
        write(files, second, "two")
        assert not first.exists()
        assert not second.exists()
        files.publish()
    assert (first.read_text(), first.with_suffix(".qml").read_text(), second.read_text()) == ("one", "style", "two")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.gpkg", "a.qml", "b.html", "new"]


def test_without_publishing_everything_is_as_before(tmp_path):
    first = tmp_path / "a.gpkg"
    first.write_text("previous")
    with pytest.raises(RuntimeError), OutputFiles([str(first), str(tmp_path / "new" / "deep" / "b.gpkg")], "job") as files:
        write(files, first, "half")
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["a.gpkg"]
    assert first.read_text() == "previous"


def test_failed_move_brings_the_previous_files_back(tmp_path, monkeypatch):
    first, second = tmp_path / "a.gpkg", tmp_path / "b.gpkg"
    for path in (first, second, first.with_suffix(".qml")):
        path.write_text("previous")
    move = Path.replace

    def refuse(self, target):
        if self.name == "b.gpkg" and "previous" not in {self.parent.name, target.parent.name}:
            raise PermissionError(13, "in use", str(target))
        return move(self, target)

    with OutputFiles([str(first), str(second)], "job") as files:
        write(files, first, "new", "new")
        write(files, second, "new")
        monkeypatch.setattr(Path, "replace", refuse)
        with pytest.raises(ToolboxError, match=r"in use: b\.gpkg.*previous files are unchanged"):
            files.publish()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(("a.gpkg", "a.qml", "b.gpkg"), "previous")


def test_previous_files_are_replaced_and_their_journals_removed(tmp_path):
    path = tmp_path / "a.gpkg"
    path.write_text("previous")
    (tmp_path / "a.gpkg-wal").write_text("journal")
    with OutputFiles([str(path)], "job") as files:
        write(files, path, "new")
        files.publish()
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"a.gpkg": "new"}


def test_folder_or_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "a.gpkg").mkdir()
    with pytest.raises(ToolboxError, match="is a folder"), OutputFiles([str(tmp_path / "a.gpkg")], "job"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolboxError, match="cannot be written"), OutputFiles([str(tmp_path / "file" / "b.gpkg")], "job"):
        pass
