# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of an inspection under way: written aside, moved to their names when all are whole."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from types import TracebackType

from ...errors import ToolboxError
from ...runtime.output_folder import partial_name
from ..strikeouts import default_footprints, remember_footprints
from .settings import InspectSettings

# A program that has the previous footprints open may have left these; they would be taken for parts of the new file.
SQLITE_ENDINGS = ("-wal", "-shm", "-journal")


class InspectionFiles:
    """Footprints, their style and the report. A context manager that removes what is not finished.

    Args:
        folder: The folder of chips.
        settings: The request.
        job_id: Names the partial files.

    Attributes:
        footprints: Final name of the footprints.
        report: Final name of the report; None when none is wanted.
        new_footprints: Where to write the footprints.
        new_style: Where to write their style.
        new_report: Where to write the report.

    Raises:
        ToolboxError: On entering, when a place cannot be written.
    """

    def __init__(self, folder: Path, settings: InspectSettings, job_id: str) -> None:
        self._folder = folder
        self.footprints = Path(settings.output).absolute() if settings.output else default_footprints(folder)
        self.report = Path(settings.report).absolute() if settings.report else None
        self._partial = self.footprints.parent / f"{partial_name(job_id)}-{self.footprints.name}"
        self.new_footprints = self._partial / self.footprints.name
        self.new_style = self._partial / f"{self.footprints.stem}.qml"
        # Beside its final name: that may be on another disk than the footprints.
        self.new_report = None if self.report is None else self.report.with_name(f"{partial_name(job_id)}-{self.report.name}")
        self._made: list[Path] = []

    def __enter__(self) -> InspectionFiles:
        places = [self.footprints, *([self.report] if self.report else [])]
        for path in places:
            if path.is_dir():
                raise ToolboxError(f"{path} is a folder; give the name of a file.")
        parents = {parent for path in places for parent in path.parents if not parent.exists()}
        self._made = sorted(parents, key=lambda parent: len(parent.parts), reverse=True)
        try:
            shutil.rmtree(self._partial, ignore_errors=True)  # of an earlier run of the same request
            self._partial.mkdir(parents=True)
            if self.new_report is not None:
                self.new_report.parent.mkdir(parents=True, exist_ok=True)
                self.new_report.write_bytes(b"")
        except OSError as failure:
            self._clean_up()
            raise ToolboxError(
                f"{failure.filename or self.footprints} cannot be written ({failure.strerror}); choose other places for OUTPUT and "
                "OUTPUT_HTML."
            ) from failure
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)  # what another program holds open is removed by the client later
        if self.new_report is not None:
            with contextlib.suppress(OSError):
                self.new_report.unlink(missing_ok=True)
        for parent in self._made:
            with contextlib.suppress(OSError):  # not empty: it holds the result
                parent.rmdir()

    def publish(self) -> str:
        """Moves all to their final names, or nothing; previous files of these names are replaced.

        Returns:
            A sentence when training will not find the footprints, else an empty text.

        Raises:
            ToolboxError: A file could not be moved; the previous ones are back in their places.
        """
        done: list[tuple[Path, Path]] = []
        try:
            for source, target in self._plan_moves():
                source.replace(target)
                done.append((source, target))
        except OSError as failure:
            for source, target in reversed(done):
                target.replace(source)
            raise ToolboxError(
                f"The result cannot be moved to {self.footprints} ({failure.strerror}: {Path(failure.filename or '').name}); the "
                "previous files are unchanged. Remove the layer from QGIS, or choose other names, then run again."
            ) from failure
        try:
            remember_footprints(self._folder, self.footprints)
        except OSError as failure:
            return (
                f"{self._folder} cannot be written ({failure.strerror}), so training will not see the chips struck out in "
                f"{self.footprints}; train on a copy of the folder."
            )
        return ""

    def _plan_moves(self) -> list[tuple[Path, Path]]:
        """The previous files aside, the new ones in, the footprints after their style."""
        aside = self._partial / "previous"
        aside.mkdir()
        style = self.footprints.with_suffix(".qml")
        sqlite = [self.footprints.with_name(self.footprints.name + ending) for ending in SQLITE_ENDINGS]
        moves = [(path, aside / path.name) for path in (self.footprints, style, *sqlite) if path.exists()]
        moves += [(self.new_style, style), (self.new_footprints, self.footprints)]
        if self.new_report is not None and self.report is not None:
            moves.append((self.new_report, self.report))
        return moves
