# SPDX-License-Identifier: GPL-2.0-or-later
import os
import time
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.errors import ToolboxError
from deep_learning_toolbox.backend.runtime.output_folder import OutputFolder


def publish(path, text):
    with OutputFolder(path, "job", ("data", "notes.txt"), "index.json") as output:
        (output.partial / "data").mkdir()
        (output.partial / "data" / "a").write_text(text)
        (output.partial / "index.json").write_text(text)
        output.publish()


def content(path):
    return {str(entry.relative_to(path)): entry.read_text() for entry in path.rglob("*") if entry.is_file()}


def test_result_replaces_the_previous_one_and_leaves_the_request(tmp_path):
    publish(tmp_path / "out", "old")
    (tmp_path / "out" / "notes.txt").write_text("old")
    (tmp_path / "out" / "request.json").write_text("the request that runs")
    publish(tmp_path / "out", "new")
    assert content(tmp_path / "out") == {"data/a": "new", "index.json": "new", "request.json": "the request that runs"}


def test_leavings_of_an_earlier_run_of_the_same_request_are_cleared(tmp_path):
    (tmp_path / "out" / ".partial-job" / "data").mkdir(parents=True)
    publish(tmp_path / "out", "new")
    assert content(tmp_path / "out") == {"data/a": "new", "index.json": "new"}


def test_leavings_of_jobs_that_died_long_ago_are_cleared_and_those_of_jobs_at_work_stay(tmp_path):
    for name, hours in {"died": 8 * 24, "at-work": 8 * 24, "second-training": 3 * 24}.items():
        left = tmp_path / "out" / f".partial-{name}" / "checkpoints"
        left.mkdir(parents=True)
        (left / "last").write_text(name)
        then = time.time() - hours * 3600
        for entry in (left / "last", left, left.parent):
            os.utime(entry, (then, then))
    os.utime(tmp_path / "out" / ".partial-at-work" / "checkpoints" / "last")
    publish(tmp_path / "out", "new")
    assert sorted(entry.name for entry in (tmp_path / "out").glob(".partial-*")) == [".partial-at-work", ".partial-second-training"]


@pytest.mark.parametrize("failing", ["data", "index.json"])
def test_failing_move_brings_the_previous_result_back(tmp_path, monkeypatch, failing):
    publish(tmp_path / "out", "old")
    replace = Path.replace

    def refuse(self, target):
        if self.parent.name == ".partial-job" and self.name == failing:
            raise PermissionError(13, "Permission denied", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ToolboxError, match=f"Permission denied: {failing}.*previous content is unchanged"):
        publish(tmp_path / "out", "new")
    assert content(tmp_path / "out") == {"data/a": "old", "index.json": "old"}


def test_folder_made_for_nothing_is_removed_with_its_parents(tmp_path):
    with pytest.raises(RuntimeError), OutputFolder(tmp_path / "a" / "b", "job", (), "index.json"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
