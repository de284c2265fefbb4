# SPDX-License-Identifier: GPL-2.0-or-later
"""An output folder that is whole or untouched: written aside, moved in at the end, never mixed with other people's files.

Standard library only.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from ..errors import ToolboxError

# What the QGIS side leaves beside a result.
JOB_FILES = ("request.json", "labels.gpkg", "worker.log", "events.jsonl")
SHOWN_FOREIGN = 3
LEFT_SECONDS = 7 * 24 * 3600.0  # a second training, which writes its state elsewhere, may take days


def partial_name(job_id: str) -> str:
    """Name of the folder a job works in, inside its output folder."""
    return f".partial-{job_id}"


class OutputFolder:
    """Context manager around ``OUTPUT/.partial-<job id>``.

    On leaving, the partial folder is removed, and the output folder too if it was made here and stayed empty. Only `publish` puts
    anything under a final name.

    Args:
        path: The output folder.
        job_id: Id of the job.
        known: Names that a result of this kind may have; anything else in the folder is somebody else's.
        last: The name that makes a result complete; moved in after all others.

    Attributes:
        path: The output folder, absolute.
        partial: Where to write.
    """

    def __init__(self, path: Path, job_id: str, known: Iterable[str], last: str) -> None:
        self.path = path.absolute()
        self.partial = self.path / partial_name(job_id)
        self._known = {*known, last}
        self._last = last
        self._made: list[Path] = []

    def __enter__(self) -> OutputFolder:
        """Makes the partial folder.

        Raises:
            ToolboxError: The place is no folder, holds files of another kind, or cannot be written.
        """
        self._refuse_foreign()
        self._clear_leavings()
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            shutil.rmtree(self.partial, ignore_errors=True)  # of an earlier run of the same request
            self.partial.mkdir(parents=True)
        except OSError as failure:
            raise ToolboxError(
                f"The output folder {self.path} cannot be written ({failure.strerror}); choose another folder."
            ) from failure
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)  # what another program holds open is removed by the client later
        for folder in self._made:
            with contextlib.suppress(OSError):  # not empty: the result, or something of somebody else's
                folder.rmdir()

    def _clear_leavings(self) -> None:
        """Removes the partial folders of jobs whose machine died: nothing was written there for longer than a job pauses."""
        before = time.time() - LEFT_SECONDS
        for folder in self.path.glob(f"{partial_name('*')}/"):
            with contextlib.suppress(OSError):  # another job has just removed it
                if all(entry.stat().st_mtime < before for entry in (folder, *folder.rglob("*"))):
                    shutil.rmtree(folder)

    def _refuse_foreign(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ToolboxError(f"OUTPUT {self.path} is a file; choose a folder.")
        entries = self.path.iterdir() if self.path.is_dir() else ()
        ours = self._known | set(JOB_FILES)
        foreign = sorted(entry.name for entry in entries if entry.name not in ours and not entry.name.startswith(".partial-"))
        if foreign:
            more = f" and {len(foreign) - SHOWN_FOREIGN} more" if len(foreign) > SHOWN_FOREIGN else ""
            raise ToolboxError(
                f"The output folder {self.path} holds other files ({', '.join(foreign[:SHOWN_FOREIGN])}{more}); "
                "choose an empty or a new folder."
            )

    def publish(self) -> None:
        """Moves everything to its final name, `last` at the end; a previous result is moved aside first and then removed.

        The previous result's `last` goes first, so that a folder never looks complete while it is mixed. Job files stay: the request
        that is running may be the one in this folder.

        Raises:
            ToolboxError: A file could not be moved; everything that was is back in its place.
        """
        aside = self.partial / "previous"
        aside.mkdir()
        fresh = [entry for entry in self.partial.iterdir() if entry != aside]
        previous = [self.path / name for name in (self._last, *sorted(self._known - {self._last}))]
        moves = [(entry, aside / entry.name) for entry in previous if entry.exists()]
        moves += [(entry, self.path / entry.name) for entry in sorted(fresh, key=lambda entry: entry.name == self._last)]
        done: list[tuple[Path, Path]] = []
        try:
            for source, target in moves:
                source.replace(target)
                done.append((source, target))
        except OSError as failure:
            for source, target in reversed(done):
                target.replace(source)
            raise ToolboxError(
                f"The result cannot be moved into {self.path} ({failure.strerror}: {Path(failure.filename or '').name}); the previous "
                "content is unchanged. Close programs that use the folder, then run again."
            ) from failure
