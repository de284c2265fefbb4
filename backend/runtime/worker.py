# SPDX-License-Identifier: GPL-2.0-or-later
"""The worker process: runs the stage of one request and tells what happens.

Started by the client under ``python -I launch.py request.json --watch-stdin``, or by hand on a server. In order: it takes the
standard output for its events (whatever libraries print goes to the standard error, which is the log), sends the handshake
before anything heavy is imported, checks the settings, imports and runs the stage, and ends with exactly one of the events
result, error, cancelled. Relative paths of a request count from the request file: the worker changes to its folder.

It stops, by closing the stage's generator at its next event, when a file ``cancel`` appears beside the request, on SIGTERM, on
Ctrl+C, when nobody reads its events, and, with ``--watch-stdin``, when the standard input ends, which also is the sign that QGIS
is gone: then it gives the stage two seconds and ends itself and its children the hard way.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import faulthandler
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from .. import __version__
from ..errors import ToolboxError
from .failures import explain
from .lock import share
from .places import IN_USE
from .protocol import CANCEL_FILE, OUTPUT_SETTINGS, Event, Request, cancelled, error, started, warning
from .ranks import MEETING_THREAD
from .stages import load_stage

GRACE_SECONDS = 2.0


class EventWriter:
    """Writes events as JSON lines; remembers when nobody reads them any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.broken = False

    def send(self, event: Event) -> None:
        """Writes one event at once."""
        line = json.dumps(event, ensure_ascii=False, default=_plain)
        if self.broken:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except OSError:  # EPIPE, on Windows EINVAL: the reader has gone, so there is nobody to tell; the run ends as cancelled
            self.broken = True


class StopSignal:
    """Whether the job is to stop, from whichever side that was asked for."""

    def __init__(self, cancel_file: Path, writer: EventWriter) -> None:
        self._cancel_file = cancel_file
        self._writer = writer
        self._asked = threading.Event()

    def is_set(self) -> bool:
        """True once anybody has asked the job to stop."""
        return self._asked.is_set() or self._writer.broken or self._cancel_file.exists()

    def ask(self, *_: Any) -> None:
        """Asks the job to stop; may be called from a thread or as a signal handler."""
        self._asked.set()


def main(argv: list[str]) -> int:
    """Runs one request in this process; returns the exit code: 0 for a result or a cancelled job, 1 for an error."""
    parser = argparse.ArgumentParser(prog="deep_learning_toolbox.backend", description="Run one Deep Learning Toolbox job.")
    parser.add_argument("request", type=Path, help="request file (JSON); relative paths in it count from its folder")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when the standard input ends")
    arguments = parser.parse_args(argv)

    faulthandler.enable(sys.stderr)
    os.environ["GDAL_VRT_ENABLE_PYTHON"] = "NO"  # a VRT may carry Python code; data is never run
    writer = EventWriter(_take_stdout())
    request_file = arguments.request.absolute()
    stop = StopSignal(request_file.parent / CANCEL_FILE, writer)
    signal.signal(signal.SIGTERM, stop.ask)
    if arguments.watch_stdin:
        threading.Thread(target=_watch_stdin, args=(_take_stdin(), stop), daemon=True).start()
    in_use = share(Path(sys.prefix) / IN_USE)  # until the process ends: keeps the environment from being removed meanwhile
    with in_use or contextlib.nullcontext():
        code = run_request(request_file, writer, stop)
        if any(thread.name == MEETING_THREAD for thread in threading.enumerate()):
            # Python's usual end would tear it out of the libraries it waits in, which abort the process then.
            sys.stderr.flush()
            os._exit(code)
        return code


def run_request(request_file: Path, writer: EventWriter, stop: StopSignal) -> int:
    """Runs the request and sends its events; returns the exit code.

    This is the process's boundary: every exception becomes an event here, with the traceback on the standard error.
    """
    request: Request | None = None
    try:
        os.chdir(request_file.parent)
        try:
            request = Request.read(request_file)
        except (ValueError, TypeError, OSError) as fault:
            writer.send(started("", __version__))
            raise ToolboxError(f"The request file “{request_file}” cannot be used: {fault}.") from fault
        writer.send(started(request.stage, __version__))
        if request.version != __version__:
            writer.send(warning(f"The request was written by version {request.version}; this is version {__version__}."))
        final = _run_stage(request, writer, stop)
    except KeyboardInterrupt:
        final = cancelled()
    except Exception as failure:
        traceback.print_exc()
        settings = request.settings if request else {}
        final = explain(failure, [str(settings[name]) for name in OUTPUT_SETTINGS if settings.get(name)])
    writer.send(final)
    return 1 if final["event"] == "error" else 0


def _run_stage(request: Request, writer: EventWriter, stop: StopSignal) -> Event:
    """Runs the stage, passing its events on; returns the last event of the job.

    The result is held back until the generator has ended, so that its clean-up is part of the success.
    """
    stage = load_stage(request.stage)
    settings = _make_settings(stage.load_settings(), request)
    outcome: Event | None = None
    if stop.is_set():
        return cancelled()
    with contextlib.closing(stage.load_function()(settings, request.job_id)) as events:
        for event in events:
            if event["event"] == "result":
                outcome = event
                continue
            writer.send(event)
            if stop.is_set():
                return cancelled()
    if outcome is None:
        return error(f"The stage “{request.stage}” ended without a result. Please report it with the log.", unexpected=True)
    return outcome


def _make_settings(settings_class: Any, request: Request) -> Any:
    """The settings object; raises ToolboxError for names that the class does not know or needs."""
    fields = dataclasses.fields(settings_class)
    unknown = sorted(set(request.settings) - {field.name for field in fields})
    required = {
        field.name for field in fields if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - set(request.settings))
    if unknown or missing:
        faults = [f"unknown: {', '.join(unknown)}"] * bool(unknown) + [f"missing: {', '.join(missing)}"] * bool(missing)
        raise ToolboxError(
            f"The settings of the request do not fit the stage “{request.stage}” ({'; '.join(faults)}): "
            f"write the request with version {__version__} of the toolbox."
        )
    return settings_class(**request.settings)


def _take_stdout() -> TextIO:
    """A private stream to the standard output; from now on prints, also those of C libraries, go to the standard error."""
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return open(private, "w", encoding="utf-8", newline="\n")


def _take_stdin() -> int:
    """A private descriptor of the standard input, which itself becomes empty.

    On Windows a thread that waits in a read blocks whoever asks for the type of the same handle, as loading NumPy's and
    PyTorch's libraries does; and children of the worker must not read the pipe.
    """
    private = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return private


def _watch_stdin(descriptor: int, stop: StopSignal) -> None:
    """Waits for the end of the standard input, asks the job to stop, and ends the process if it does not."""
    for _ in _chunks(descriptor):
        pass
    stop.ask()
    # The main thread ends the process as soon as the stage is closed; this daemon thread then ends with it.
    threading.Event().wait(GRACE_SECONDS)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)  # the data loaders, too
    os._exit(1)


def _chunks(descriptor: int) -> Iterator[bytes]:
    """What arrives on a descriptor until its end; a broken pipe is its end, too."""
    with contextlib.suppress(OSError):
        while chunk := os.read(descriptor, 1024):
            yield chunk


def _plain(value: Any) -> Any:
    """JSON's form of a path or of a NumPy or PyTorch number."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"an event cannot carry a {type(value).__name__}")
