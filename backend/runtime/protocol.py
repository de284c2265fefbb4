# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages between QGIS and the worker.

QGIS writes one request file, the worker answers with one JSON object a line on its standard output. Both sides import this
module, so it keeps to the standard library and to Python 3.9.

An event is a flat dictionary with the key ``event``; its other keys depend on the kind and are listed at each function below.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1

CANCEL_FILE = "cancel"  # beside the request; its appearance asks the worker to stop
STOP_FILE = "stop"  # beside the request; its appearance asks a training to end and to keep its best epoch
EVENTS_FILE = "events.jsonl"  # beside the request: every event with the time it came, for monitors to follow
FINAL_EVENTS = ("result", "error", "cancelled")
OUTPUT_SETTINGS = ("output", "confidence")  # the settings, of any stage, that name what it writes

Event = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One job for the worker, complete enough to be run again on another machine.

    Attributes:
        stage: Name of the stage, a key of ``backend.runtime.stages.STAGES``.
        settings: Keyword arguments of the stage's settings dataclass. A relative path is relative to the request file.
        job_id: Short unique text; the stage works in ``.partial-<job_id>``.
        version: Version of the toolbox that wrote the request.
        schema: Version of this message format.
    """

    stage: str
    settings: dict[str, Any]
    job_id: str
    version: str
    schema: int = field(default=SCHEMA_VERSION)

    def write(self, path: Path) -> None:
        """Writes the request as JSON (UTF-8)."""
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Request:
        """Reads a request file; raises ValueError when it is not one of ours or of another schema."""
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("schema") != SCHEMA_VERSION:
            raise ValueError(f"{path.name} is not a request of schema {SCHEMA_VERSION}")
        return cls(**data)


def started(stage: str, version: str) -> Event:
    """First event of every job: the handshake."""
    return {"event": "started", "schema": SCHEMA_VERSION, "version": version, "stage": stage}


def device(name: str, kind: str, reason: str = "") -> Event:
    """The device in use (``kind`` as in torch: cpu, cuda:0, mps); ``reason`` says why it is not a faster one."""
    return {"event": "device", "name": name, "kind": kind, "reason": reason}


def progress(fraction: float, message: str = "") -> Event:
    """Share of the work done, 0 to 1, and what is being done."""
    return {"event": "progress", "fraction": round(float(fraction), 4), "message": message}


def info(message: str) -> Event:
    """One line for the user's log."""
    return {"event": "info", "message": message}


def warning(message: str) -> Event:
    """Something the user should know although the job goes on."""
    return {"event": "warning", "message": message}


def metric(epoch: int, values: dict[str, float]) -> Event:
    """Figures of one epoch of training, by name."""
    return {"event": "metric", "epoch": epoch, "values": values}


def samples(epoch: int, files: list[str], captions: list[str], legend: list[tuple[str, str]]) -> Event:
    """Pictures, in the job's folder, of the same chips each time: image, label and prediction beside each other.

    The legend has each class's name and colour (``#rrggbb``).
    """
    return {"event": "samples", "epoch": epoch, "files": files, "captions": captions, "legend": legend}


def memory(used_mb: float, total_mb: float, place: str) -> Event:
    """Memory in use and in all, in MiB (0 = unknown), of the ``place``: the device's name, or ``RAM``."""
    return {"event": "memory", "used_mb": round(used_mb), "total_mb": round(total_mb), "place": place}


def result(outputs: dict[str, Any]) -> Event:
    """Last event of a successful job: the outputs, by the name of the algorithm's output."""
    return {"event": "result", "outputs": outputs}


def error(message: str, unexpected: bool = False) -> Event:
    """Last event of a failed job: one sentence for the user; the traceback is in the log."""
    return {"event": "error", "message": message, "unexpected": unexpected}


def cancelled() -> Event:
    """Last event of a job that was stopped on request."""
    return {"event": "cancelled"}
