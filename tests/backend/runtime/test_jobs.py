# SPDX-License-Identifier: GPL-2.0-or-later
"""Job folders."""

from __future__ import annotations

import re

from deep_learning_toolbox.backend.runtime.jobs import KEPT_JOBS, RUNNING_FILE, is_running, list_jobs, new_job_folder
from deep_learning_toolbox.backend.runtime.lock import hold


def test_a_job_folder_tells_time_stage_and_id(home):
    folder = new_job_folder("train")
    assert folder.is_dir()
    assert folder.parent == home / "jobs"
    assert re.fullmatch(r"\d{8}-\d{6}-\d{6}-train-[0-9a-f]{8}", folder.name)
    assert new_job_folder("train") != folder


def test_only_the_newest_jobs_are_kept(home):
    for number in range(KEPT_JOBS + 5):
        (home / "jobs" / f"20200101-0000{number:02d}-export-x").mkdir(parents=True)
        (home / "jobs" / f"20200101-0000{number:02d}-export-x" / "worker.log").touch()
    newest = new_job_folder("export")
    names = sorted(path.name for path in (home / "jobs").iterdir())
    assert len(names) == KEPT_JOBS
    assert names[0] == "20200101-000006-export-x"
    assert names[-1] == newest.name


def test_a_job_that_runs_is_kept_however_old_it_is(home):
    running = home / "jobs" / "20190101-000000-train-x"
    running.mkdir(parents=True)
    for number in range(KEPT_JOBS):
        (home / "jobs" / f"20200101-0000{number:02d}-export-x").mkdir()
    with hold(running / RUNNING_FILE):
        assert is_running(running)
        new_job_folder("export")
        assert running.is_dir()
    assert not is_running(running)
    new_job_folder("export")
    assert not running.exists()


def test_jobs_of_a_stage_are_listed_newest_first(home):
    assert list_jobs("train") == []
    for name in ("20200101-000000-train-a", "20200102-000000-export-b", "20200103-000000-train-c"):
        (home / "jobs" / name).mkdir(parents=True)
    assert [folder.name for folder in list_jobs("train")] == ["20200103-000000-train-c", "20200101-000000-train-a"]


def test_jobs_that_begin_within_one_second_are_listed_newest_first(home):
    begun = [new_job_folder("train") for _ in range(5)]
    assert list_jobs("train") == begun[::-1]
