# SPDX-License-Identifier: GPL-2.0-or-later
"""Unsaved labels on disk: a text file beside the label store that outlives a crash of QGIS.

Committing after every shape would empty the undo stack, so shapes stay in the layer's edit buffer and are also appended here, one
JSON line each, flushed to the disk. A line is the state of one label (its shape and attributes, or that it is gone). Of several lines
of one label the last counts, so undo and redo are lines like any other; a line that a crash cut short is skipped. The first line tells
the highest id in the file at that time: what was committed later has a higher one, so nothing is replayed twice. A lock file, which
the end of the process makes stale, keeps two programs from writing one journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from qgis.PyQt.QtCore import QLockFile

from ...algorithms.label_layer import DISCARDED, UNSAVED
from ...backend.errors import ToolboxError

LOCK = ".lock"
VERSION = 1


@dataclass(frozen=True)
class LabelState:
    """One label, unsaved.

    Attributes:
        fid: Its id; negative when it is not in the file yet.
        shape: Well-known binary as hexadecimal text; None when the label was deleted.
        attributes: By field name.
    """

    fid: int
    shape: str | None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unsaved:
    """What a journal tells: whose session it is of, the highest id that was in the file before, and the last state of each label."""

    owner: str
    highest: int
    states: dict[int, LabelState]


class Journal:
    """The journal of one layer.

    Args:
        path: Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.discarded = Path(f"{self.path}{DISCARDED}")
        self._lock = QLockFile(f"{self.path}{LOCK}")
        self._lock.setStaleLockTime(0)  # a long pause of the labeller makes no lock stale; the end of the process does
        self._file: TextIO | None = None
        self._highest, self._owner = 0, ""

    def claim(self) -> None:
        """Takes the journal for this process; raises ToolboxError when another has it or the folder is not writable."""
        if self._lock.isLocked() or self._lock.tryLock(0):
            return
        if self._lock.error() == QLockFile.LockError.LockFailedError:
            name = self.path.name.partition(UNSAVED)[0]
            raise ToolboxError(f"{name} is being labelled in another QGIS window; close it there, or label another file.")
        raise ToolboxError(
            f"Nothing can be written into the folder {self.path.parent}; copy the labels to a folder of your own, and label there."
        )

    def release(self) -> None:
        """Closes the file and lets others have the journal; the lines stay."""
        self._close()
        self._lock.unlock()

    def begin(self, highest: int, owner: str) -> None:
        """Tells the highest id in the store and the name of this session, before any line of it."""
        self._highest, self._owner = highest, owner

    def append(self, states: Iterable[LabelState]) -> None:
        """Appends states and flushes them to the disk; raises ToolboxError when that fails."""
        lines = [json.dumps([state.fid, state.shape, state.attributes], ensure_ascii=False, default=str) for state in states]
        if not lines:
            return
        try:
            if self._file is None:
                is_new = not self.path.exists() or self.path.stat().st_size == 0
                self._file = self.path.open("a", encoding="utf-8")
                header = json.dumps({"version": VERSION, "owner": self._owner, "highest": self._highest})
                # The blank line ends one that a crash may have cut short.
                self._file.write(f"{header}\n" if is_new else "\n")
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as failure:
            self._close()
            raise ToolboxError(
                f"The unsaved labels cannot be kept beside the file ({failure.strerror}); save the labels now, and free the disk."
            ) from failure

    def rewrite(self, states: Iterable[LabelState]) -> None:
        """Exchanges all lines for these in one step, so that a crash leaves either; raises ToolboxError when that fails."""
        self._close()
        real, self.path = self.path, Path(f"{self.path}.partial")
        try:
            self.path.unlink(missing_ok=True)
            self.append(states)
            self._close()
            if self.path.exists():
                os.replace(self.path, real)
            else:
                real.unlink(missing_ok=True)
        except OSError as failure:
            raise ToolboxError(f"The unsaved labels cannot be kept beside the file ({failure.strerror}); save them now.") from failure
        finally:
            self.path = real

    def read(self, discarded: bool = False) -> Unsaved | None:
        """What is not saved, or what was discarded last; None when there is nothing. Raises ToolboxError if it cannot be read."""
        path = self.discarded if discarded else self.path
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise ToolboxError(f"The unsaved labels in {path} cannot be read ({failure.strerror}); make it readable.") from failure
        owner, highest, states = "", 0, {}
        for line in lines:
            content = _parse(line)
            if isinstance(content, dict) and isinstance(content.get("highest"), int):
                owner, highest = str(content.get("owner")), content["highest"]
            elif isinstance(content, list) and len(content) == 3 and isinstance(content[0], int) and isinstance(content[2], dict):
                states[content[0]] = LabelState(content[0], content[1], content[2])
        return Unsaved(owner, highest, states) if states else None

    def forget(self) -> None:
        """Forgets the lines: nothing is unsaved."""
        self._close()
        self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forgets the lines, and those that were discarded before: all is saved."""
        self.forget()
        self.discarded.unlink(missing_ok=True)

    def discard(self) -> bool:
        """Sets the lines aside after the edits were rolled back, until the next save; returns whether there were any."""
        self._close()
        if not self.path.exists():
            return False
        os.replace(self.path, self.discarded)
        return True

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _parse(line: str) -> Any:
    """The content of a line; None for one that a crash cut short."""
    try:
        return json.loads(line)
    except ValueError:
        return None
