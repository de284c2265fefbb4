# SPDX-License-Identifier: GPL-2.0-or-later
"""The output folder of a training run: written aside, moved in when whole, never mixed with other people's files."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType

from ..errors import ToolboxError

REPORT = "model_metrics.html"
CHARACTERISTICS = "ModelCharacteristics"
CHECKPOINTS = "checkpoints"
JOB_FILES = ("request.json", "labels.gpkg", "worker.log", "events.jsonl")  # what the QGIS side may leave beside a result
SHOWN_FOREIGN = 3


class OutputFolder:
    """Context manager around `OUTPUT/.partial-<job id>`.

    On leaving, the partial folder is removed, and the output folder too if it was made here and stayed empty. Only `publish` puts
    anything under a final name.

    Attributes:
        path: The output folder.
        partial: Where to write.
    """

    def __init__(self, path: Path, job_id: str) -> None:
        self.path = path.absolute()
        self.partial = self.path / f".partial-{job_id}"
        self._is_new = False

    @property
    def model(self) -> Path:
        """The model package under its final name."""
        return self.path / f"{self.path.name}.dlpk"

    def __enter__(self) -> OutputFolder:
        """Makes the partial folder.

        Raises:
            ToolboxError: The place is no folder, holds files that are not of a training run, or cannot be written.
        """
        self._refuse_foreign()
        self._is_new = not self.path.exists()
        try:
            shutil.rmtree(self.partial, ignore_errors=True)  # of a killed run of the same request
            self.partial.mkdir(parents=True)
        except OSError as failure:
            raise ToolboxError(
                f"The output folder {self.path} cannot be written ({failure.strerror}); choose another folder."
            ) from failure
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)  # what another program holds open is removed by the client later
        if self._is_new and self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _refuse_foreign(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ToolboxError(f"OUTPUT {self.path} is a file; choose a folder.")
        known = {self.model.name, REPORT, CHARACTERISTICS, CHECKPOINTS, *JOB_FILES}
        entries = self.path.iterdir() if self.path.is_dir() else ()
        foreign = sorted(entry.name for entry in entries if entry.name not in known and not entry.name.startswith(".partial-"))
        if foreign:
            more = f" and {len(foreign) - SHOWN_FOREIGN} more" if len(foreign) > SHOWN_FOREIGN else ""
            raise ToolboxError(
                f"The output folder {self.path} holds other files ({', '.join(foreign[:SHOWN_FOREIGN])}{more}); "
                "choose an empty or a new folder."
            )

    def publish(self) -> None:
        """Moves everything to its final name, the model package last; a previous result is replaced."""
        for entry in sorted(self.partial.iterdir(), key=lambda entry: entry.name == self.model.name):
            target = self.path / entry.name
            if target.is_dir():
                shutil.rmtree(target)
            entry.replace(target)
