# SPDX-License-Identifier: GPL-2.0-or-later
"""One job of the worker, seen from Processing: finds the interpreter, shows the events, keeps the request with the result."""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingFeedback, QgsSettings

from ..backend import __version__
from ..backend.runtime.client import JobCancelled, new_job_folder, run_job
from ..backend.runtime.interpreter import SETTING, Interpreter, find_interpreter
from ..backend.runtime.protocol import Event, Request
from ..backend.runtime.remaining import RemainingTime, describe_seconds
from .notices import NOTICES

LABELS_FILE = "labels.gpkg"
MASK_FILE = "mask.gpkg"
REQUEST_FILE = "request.json"
KEPT_FILE = "kept.json"  # the request as it is beside the output, where the mask has another name


def current_interpreter() -> Interpreter:
    """The Python that runs the worker; raises ToolboxError that names the tool to install it."""
    return find_interpreter(QgsSettings().value(SETTING, "", type=str) or None)


@dataclass
class Job:
    """A job that is to be run, with its folder for request, labels, events and log."""

    stage: str
    interpreter: Interpreter
    folder: Path
    feedback: QgsProcessingFeedback
    _shown_warnings: set[str] = field(default_factory=set)
    _shown_step: str = ""
    _remaining: RemainingTime = field(default_factory=RemainingTime)

    @classmethod
    def start(cls, stage: str, feedback: QgsProcessingFeedback, interpreter: Interpreter | None = None) -> Job:
        """A new job, run by the current interpreter unless another is given; raises ToolboxError when there is none for it."""
        return cls(stage, interpreter or current_interpreter(), new_job_folder(stage), feedback)

    @property
    def job_id(self) -> str:
        """Short unique text."""
        return self.folder.name.rpartition("-")[2]

    def run(self, settings: dict[str, Any], keeps_request: bool = True) -> dict[str, Any]:
        """Runs the job and returns its outputs.

        Args:
            settings: Of the stage.
            keeps_request: Leave the request beside the output.

        Raises:
            JobCancelled: The user cancelled; nothing was written. Processing counts a raised exception as "not finished",
                which keeps models from going on.
            ToolboxError: The job failed.
        """
        self.feedback.pushInfo(f"Python: {self.interpreter.path} ({self.interpreter.source})")
        self.feedback.pushInfo(f"Request, events and log: {self.folder}")
        request = Request(stage=self.stage, settings=settings, job_id=self.job_id, version=__version__)
        NOTICES.job_started.emit(self.stage, str(self.folder))
        outputs = run_job(request, self.interpreter, self.folder, self._show, self.feedback.isCanceled)
        if keeps_request and settings.get("output"):
            self._keep_request(request, Path(settings["output"]))
        return outputs

    def check_cancelled(self) -> None:
        """Raises JobCancelled once the user has cancelled."""
        if self.feedback.isCanceled():
            raise JobCancelled("The job was cancelled; nothing was written.")

    def _show(self, event: Event) -> None:
        """Passes one event on to the dialog's log."""
        kind = event["event"]
        if kind == "progress":
            self.feedback.setProgress(100 * event["fraction"])
            self._remaining.update(time.monotonic(), event["fraction"])
            # Each text is a line in the dialog's log, so a step whose numbers run is shown once.
            step = re.sub(r"[\d.,]+", "", event["message"])
            if step and step != self._shown_step:
                self._shown_step = step
                self.feedback.setProgressText(event["message"])
        elif kind == "info":
            self.feedback.pushInfo(event["message"])
        elif kind == "warning" and event["message"] not in self._shown_warnings:
            self._shown_warnings.add(event["message"])
            self.feedback.pushWarning(event["message"])
        elif kind == "metric":
            left = self._remaining.seconds(time.monotonic())
            at_most = "" if left is None else f"; at most {describe_seconds(left)} left"
            self.feedback.pushInfo(format_metric(event) + at_most)
        elif kind == "device":
            reason = f" ({event['reason']})" if event["reason"] else ""
            self.feedback.pushInfo(f"Device: {event['name']}{reason}")

    def _keep_request(self, request: Request, output: Path) -> None:
        """Leaves the request, and the labels or masks it refers to, in the output folder or beside the output file."""
        try:
            if output.is_dir():
                labels = self.folder / LABELS_FILE
                if labels.exists():
                    _move(labels, output / LABELS_FILE)
                for mask in self.folder.glob("mask_*.gpkg"):
                    _copy(mask, output / mask.name)
                _copy(self.folder / REQUEST_FILE, output / REQUEST_FILE)
            else:
                kept = self.folder / REQUEST_FILE
                if request.settings.get("mask") == MASK_FILE:
                    mask = output.with_name(f"{output.stem}.{MASK_FILE}")
                    _copy(self.folder / MASK_FILE, mask)
                    kept = self.folder / KEPT_FILE
                    replace(request, settings={**request.settings, "mask": mask.name}).write(kept)
                _copy(kept, output.with_name(f"{output.stem}.{REQUEST_FILE}"))
        except OSError as failure:
            # The result itself is whole, so the job has not failed.
            self.feedback.pushWarning(f"The request could not be kept with the result ({failure}); it is in {self.folder}.")


def format_metric(event: Event) -> str:
    """One line for an epoch's figures, e.g. ``Epoch 3: loss 0.412, miou 0.653``."""
    values = ", ".join(f"{name} {value:.3g}" for name, value in event["values"].items())
    return f"Epoch {event['epoch']}: {values}"


def _copy(source: Path, target: Path) -> None:
    """Copies a file, whole or not at all."""
    part = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(source, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    _copy(source, target)
    source.unlink()
