# SPDX-License-Identifier: GPL-2.0-or-later
"""Output files that appear all together and whole, or not at all. Standard library only."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from ..errors import ToolboxError
from .output_folder import partial_name

STALE = ("-wal", "-shm", "-journal")  # SQLite would read them into the new file


class OutputFiles:
    """Context manager around the files of one job.

    Each output has a folder ``.partial-<job id>-<name>`` beside its place. What a stage writes there, under the final name or with
    a sidecar beside it, is moved in by `publish`; on leaving, the folders are removed.

    Args:
        paths: The outputs.
        job_id: Id of the job.
    """

    def __init__(self, paths: Iterable[str | None], job_id: str) -> None:
        self._paths = [Path(path).absolute() for path in paths if path]
        self._job_id = job_id
        self._made: list[Path] = []

    def __enter__(self) -> OutputFiles:
        """Makes the folders; raises ToolboxError when one cannot be written."""
        try:
            for path in self._paths:
                if path.is_dir():
                    raise ToolboxError(f"The output {path} is a folder; give the name of a file ending in {path.suffix or '.gpkg'}.")
                self._made += [folder for folder in path.parents if not folder.exists() and folder not in self._made]
                folder = self._folder(path)
                shutil.rmtree(folder, ignore_errors=True)  # of an earlier run of the same request
                folder.mkdir(parents=True)
        except BaseException as failure:
            self._clean_up()
            if isinstance(failure, OSError):
                raise ToolboxError(f"The output {path} cannot be written ({failure.strerror}); choose another folder.") from failure
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        self._clean_up()

    def _folder(self, path: Path) -> Path:
        return path.parent / f"{partial_name(self._job_id)}-{path.name}"

    def _clean_up(self) -> None:
        for path in self._paths:
            shutil.rmtree(self._folder(path), ignore_errors=True)  # what another program holds open is removed by the client later
        for folder in sorted(self._made, key=lambda folder: -len(folder.parts)):
            with contextlib.suppress(OSError):  # not empty: it holds the result
                folder.rmdir()

    def partial(self, path: str) -> Path:
        """Where to write an output until it is published."""
        final = Path(path).absolute()
        return self._folder(final) / final.name

    def publish(self) -> None:
        """Moves everything to its final place, files of an earlier result aside first.

        Raises:
            ToolboxError: A file could not be moved; everything that was is back in its place.
        """
        moves: list[tuple[Path, Path]] = []
        for path in self._paths:
            folder = self._folder(path)
            fresh = sorted(folder.iterdir(), key=lambda entry: entry.name == path.name)  # the file itself after its sidecars
            aside = folder / "previous"
            aside.mkdir()
            replaced = [path.with_name(entry.name) for entry in fresh] + [Path(f"{path}{ending}") for ending in STALE]
            moves += [(old, aside / old.name) for old in replaced if old.exists()]
            moves += [(entry, path.with_name(entry.name)) for entry in fresh]
        done: list[tuple[Path, Path]] = []
        try:
            for source, target in moves:
                source.replace(target)
                done.append((source, target))
        except OSError as failure:
            for source, target in reversed(done):
                target.replace(source)
            fault = f"{failure.strerror}: {Path(failure.filename or '').name}"
            raise ToolboxError(
                f"The result cannot be moved to its place ({fault}); the previous files are unchanged. Close programs that use them, "
                "or choose another name, then run again."
            ) from failure
