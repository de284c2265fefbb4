# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders on the user's disk that jobs leave behind: one per job with its request, events and log; and what a kill leaves over.

Imported by QGIS; standard library only.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from datetime import datetime
from pathlib import Path

from .lock import is_held
from .places import home_folder
from .protocol import OUTPUT_SETTINGS, Request

KEPT_JOBS = 50
RUNNING_FILE = "running.lock"  # in a job's folder, held while the job runs


def new_job_folder(stage: str) -> Path:
    """A new folder ``<home>/jobs/<time>-<stage>-<id>``; the part after the last ``-`` serves as job id.

    Only the newest 50 are kept, and those that still run.
    """
    jobs = jobs_folder()
    folder = jobs / f"{datetime.now():%Y%m%d-%H%M%S-%f}-{stage}-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    # The names start with the time, down to the microsecond, so their order is the age.
    for old in sorted(path for path in jobs.iterdir() if path.is_dir())[:-KEPT_JOBS]:
        if not is_running(old):
            shutil.rmtree(old, ignore_errors=True)  # a file of it may be open elsewhere; the next job tries again
    return folder


def jobs_folder() -> Path:
    """Where the folders of the jobs lie."""
    return home_folder() / "jobs"


def list_jobs(stage: str) -> list[Path]:
    """Folders of the jobs of a stage, the newest first."""
    try:
        names = sorted((path.name for path in jobs_folder().iterdir() if f"-{stage}-" in path.name), reverse=True)
    except OSError:  # there was no job yet
        return []
    return [jobs_folder() / name for name in names]


def is_running(folder: Path) -> bool:
    """Whether a job is running, in this QGIS or another."""
    return is_held(folder / RUNNING_FILE)


class Leftovers:
    """What a killed worker would leave beside the outputs of its request.

    Made before the run, so that it knows which output folders were there already.
    """

    def __init__(self, request: Request, job_folder: Path) -> None:
        self._prefix = f".partial-{request.job_id}"
        self._outputs = [job_folder / request.settings[name] for name in OUTPUT_SETTINGS if request.settings.get(name)]
        self._new = [output for output in self._outputs if not output.exists()]

    def remove(self) -> None:
        """Removes ``.partial-<job id>*`` in and beside the outputs, and an output folder that was created but is empty.

        What cannot be removed stays: this runs while the job's own failure, which matters more, is on its way to the user.
        """
        for folder in {folder for output in self._outputs for folder in (output, output.parent)}:
            if folder.is_dir():
                for path in [path for path in folder.iterdir() if path.name.startswith(self._prefix)]:
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        with contextlib.suppress(OSError):
                            path.unlink()
        for output in self._new:
            with contextlib.suppress(OSError):  # not there, a file, or not empty
                output.rmdir()
