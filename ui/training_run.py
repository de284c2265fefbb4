# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of one training, read from its job's folder. No widgets.

The folder belongs to somebody else, who may write, be killed in the middle of a line, or remove it at any time; none of that is an
error here. Files are read from where the last look ended, a limited piece at a time, so that a look takes milliseconds.
"""

from __future__ import annotations

import enum
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..backend.runtime.jobs import is_running
from ..backend.runtime.protocol import EVENTS_FILE, FINAL_EVENTS, Event
from ..backend.runtime.remaining import RemainingTime

PIECE = 1 << 20  # bytes read in one look, about 9,000 events
TAIL = 1 << 16  # bytes at the end in which the last event is looked for
MOST_LINES = 200  # of the log
START_SECONDS = 20  # that a new job may need until its first event
SMALLER_IS_BETTER = "loss"


class State(enum.Enum):
    """How a training is."""

    STARTING = "starting"
    RUNNING = "running"
    DONE = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "interrupted"  # QGIS or the computer ended before it


@dataclass
class Samples:
    """Pictures of an epoch; the files may be gone by now."""

    epoch: int
    files: list[Path]
    captions: list[str]
    legend: list[tuple[str, str]]


@dataclass
class TrainingRun:
    """One training, as far as its events were read.

    Attributes:
        folder: Of the job.
        settings: Of the request; empty when it cannot be read.
        state: How it is.
        device: Name of the device, and why it is not a faster one.
        fraction: Share of the work done.
        message: What is being done.
        history: Epoch → figures.
        samples: Pictures, oldest first.
        memory: What the last event on it said.
        log: Infos and warnings, the newest last.
        outputs: Of the result.
        error: Why it failed.
        started, latest: Times of the first and last event, seconds since 1970; 0 before.
        is_behind: More can be read at once.
    """

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    state: State = State.STARTING
    device: str = ""
    fraction: float = 0.0
    message: str = ""
    history: dict[int, dict[str, float]] = field(default_factory=dict)
    samples: list[Samples] = field(default_factory=list)
    memory: Event = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    started: float = 0.0
    latest: float = 0.0
    is_behind: bool = False
    _remaining: RemainingTime = field(default_factory=RemainingTime)
    _offset: int = 0
    _rest: bytes = b""

    @property
    def is_over(self) -> bool:
        """Nothing more will come."""
        return self.state in (State.DONE, State.FAILED, State.CANCELLED)

    @property
    def monitor(self) -> str:
        """Name of the figure that decides which epoch is kept."""
        return str(self.settings.get("monitor", "miou"))

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the best monitored figure so far; the first of equals, as the training keeps it."""
        scores = {epoch: values[self.monitor] for epoch, values in self.history.items() if self.monitor in values}
        if not scores:
            return None
        sign = 1 if SMALLER_IS_BETTER in self.monitor else -1
        return min(scores, key=lambda epoch: (sign * scores[epoch], epoch))

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the last epoch would end; None when unknown or over."""
        return self._remaining.seconds(now) if self.state is State.RUNNING else None

    def look(self) -> bool:
        """Reads what is new; returns whether anything is."""
        if not self.settings:
            self.settings = _read_settings(self.folder)
        before = (self.state, self._offset)
        for event in self._read_events():
            self._take(event)
        if not self.is_over and not self.is_behind:
            self._judge()
        return before != (self.state, self._offset)

    def _read_events(self) -> list[Event]:
        """The next whole lines of the transcript; what is no event is skipped."""
        path = self.folder / EVENTS_FILE
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._offset:  # another file took its place
                    self._begin_anew()
                file.seek(self._offset)
                piece = file.read(PIECE)
        except OSError:  # not there yet, or not any more
            self.is_behind = False
            return []
        self._offset += len(piece)
        self.is_behind = self._offset < size
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [event for event in map(parse_event, lines) if event is not None]

    def _begin_anew(self) -> None:
        fresh = TrainingRun(self.folder)
        self.__dict__.update(fresh.__dict__)

    def _judge(self) -> None:
        """Whether a job without a last event still runs; a lock tells, which a killed program loses."""
        self.state = _judge(self.folder, bool(self._offset))

    def _take(self, event: Event) -> None:
        """Takes in one event; a key that is missing or odd costs this event only."""
        try:
            came = float(event.get("time", 0.0))
            self.started, self.latest = self.started or came, max(self.latest, came)
            take = getattr(self, f"_take_{event['event']}", None)
            if take is not None:
                take(event)
        except (AttributeError, KeyError, TypeError, ValueError):
            self._add_line(f"? {event}")

    def _take_device(self, event: Event) -> None:
        self.device = f"{event['name']} ({event['reason']})" if event.get("reason") else str(event["name"])

    def _take_progress(self, event: Event) -> None:
        self.fraction, self.message = float(event["fraction"]), str(event["message"])
        self._remaining.update(self.latest, self.fraction)

    def _take_metric(self, event: Event) -> None:
        values = {str(name): float(value) for name, value in event["values"].items()}
        self.history[int(event["epoch"])] = {name: value for name, value in values.items() if math.isfinite(value)}

    def _take_samples(self, event: Event) -> None:
        # Names count from the job's folder and must stay in it.
        files = [self.folder / file for file in map(str, event["files"]) if ".." not in file and not Path(file).is_absolute()]
        legend = [(str(name), str(colour)) for name, colour in event.get("legend", [])]
        self.samples.append(Samples(int(event["epoch"]), files, list(map(str, event["captions"])), legend))

    def _take_memory(self, event: Event) -> None:
        self.memory = {"used_mb": float(event["used_mb"]), "total_mb": float(event["total_mb"]), "place": str(event["place"])}

    def _take_info(self, event: Event) -> None:
        self._add_line(str(event["message"]))

    def _take_warning(self, event: Event) -> None:
        self._add_line(f"⚠ {event['message']}")

    def _take_result(self, event: Event) -> None:
        self.outputs, self.fraction, self.state = dict(event["outputs"]), 1.0, State.DONE

    def _take_error(self, event: Event) -> None:
        self.error, self.state = str(event["message"]), State.FAILED

    def _take_cancelled(self, event: Event) -> None:
        self.state = State.CANCELLED

    def _add_line(self, line: str) -> None:
        if line not in self.log:
            self.log = [*self.log, line][-MOST_LINES:]


def parse_event(line: bytes) -> Event | None:
    """The event in a line; None when there is none."""
    try:
        event = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def peek_state(folder: Path) -> State:
    """How a training is, from the end of its events only."""
    try:
        with (folder / EVENTS_FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            lines = file.read().rstrip(b"\n").split(b"\n")
    except OSError:
        lines = []
    last = parse_event(lines[-1]) if lines else None
    if last is not None and last["event"] in FINAL_EVENTS:
        return {"result": State.DONE, "error": State.FAILED, "cancelled": State.CANCELLED}[last["event"]]
    return _judge(folder, any(lines))


def _judge(folder: Path, has_events: bool) -> State:
    """How a training without a last event is."""
    if is_running(folder):
        return State.RUNNING
    try:
        age = time.time() - folder.stat().st_mtime
    except OSError:
        return State.LOST
    return State.STARTING if not has_events and age < START_SECONDS else State.LOST


def describe_run(folder: Path) -> str:
    """A line that tells a training from others: when it began, and its chips and model."""
    day, time = folder.name[:8], folder.name[9:15]
    began = f"{day[:4]}-{day[4:6]}-{day[6:]} {time[:2]}:{time[2:4]}"
    settings = _read_settings(folder)
    parts = [Path(str(settings[name])).name for name in ("folder", "output") if settings.get(name)]
    return f"{began}  {' → '.join(parts)}" if parts else began


def _read_settings(folder: Path) -> dict[str, Any]:
    """Settings of a job's request; empty when there is none that can be read."""
    try:
        settings = json.loads((folder / "request.json").read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return settings if isinstance(settings, dict) else {}
