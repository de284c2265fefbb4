# SPDX-License-Identifier: GPL-2.0-or-later
"""The QGIS side of a job: starts the worker, passes its events on, and never leaves it behind.

Enters: a request, the interpreter, a job folder. The folder then holds ``request.json``, ``events.jsonl`` (every event, for
monitors to follow) and ``worker.log`` (the worker's standard error). Leaves: the outputs of the job, or an exception with one
sentence for the user. Runs in any thread of QGIS, blocks it, needs no event loop; standard library only.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable

from .. import __version__
from ..errors import ToolboxError
from .failures import INSTALL_TOOL
from .interpreter import Interpreter
from .jobs import RUNNING_FILE, Leftovers, new_job_folder
from .lock import hold
from .process import child_environment, kill_tree, start_process
from .protocol import CANCEL_FILE, EVENTS_FILE, FINAL_EVENTS, SCHEMA_VERSION, Event, Request, cancelled, error

__all__ = ["JobCancelled", "new_job_folder", "run_job"]

POLL_SECONDS = 0.1
GRACE_SECONDS = 2.0  # from asking a worker to stop to killing it
EXIT_SECONDS = 0.5  # from a worker's last event, or its end, to killing what is left of it
_WINDOWS_CRASH = 0xC0000000  # NTSTATUS errors, such as an access violation


class JobCancelled(ToolboxError):  # noqa: N818 - not an error, and part of the interface
    """The job was stopped on request."""


def run_job(
    request: Request,
    interpreter: Interpreter,
    job_folder: Path,
    on_event: Callable[[Event], None],
    is_cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Runs one request in a worker and returns its outputs.

    Args:
        request: The job; its version should be this toolbox's.
        interpreter: What runs the worker, from `interpreter.find_interpreter`.
        job_folder: An existing folder for request, events and log, from `new_job_folder`.
        on_event: Called in this thread with every event but the final one. An exception from it ends the worker and is raised.
        is_cancelled: Asked every 0.1 s; once it says yes, the job ends within 3 s.

    Raises:
        JobCancelled: ``is_cancelled`` said yes.
        ToolboxError: The job failed; the text tells why and where the log is.
    """
    request_file = job_folder / "request.json"
    request.write(request_file)
    leftovers = Leftovers(request, job_folder)
    log = job_folder / "worker.log"
    with hold(job_folder / RUNNING_FILE), (job_folder / EVENTS_FILE).open("a", encoding="utf-8", buffering=1) as transcript:

        def record(event: Event) -> None:
            transcript.write(json.dumps({**event, "time": round(time.time(), 3)}, ensure_ascii=False) + "\n")

        process = _WorkerProcess(launch_command(interpreter.path, request_file), child_environment(interpreter.path), log)
        try:
            final = _follow(process, job_folder, record, on_event, is_cancelled)
        finally:
            process.finish()
            leftovers.remove()
        if final is None:  # the worker could not say how it ended, so that is said here
            final = cancelled() if process.asked_to_stop else error(_describe_death(process.exit_code))
            record(final)
    if final["event"] == "cancelled":
        raise JobCancelled("The job was cancelled.")
    if final["event"] == "error":
        raise ToolboxError(f"{final['message']} Details: {log}")
    outputs: dict[str, Any] = final["outputs"]
    return outputs


def launch_command(python: Path, request_file: Path) -> list[str]:
    """The command that starts the worker, isolated from the user's Python settings and site packages."""
    # Links are not resolved: the plugin's folder may be a link into a checkout.
    launcher = Path(__file__).absolute().with_name("launch.py")
    return [str(python), "-I", "-X", "utf8", str(launcher), str(request_file), "--watch-stdin"]


def _follow(
    process: _WorkerProcess,
    job_folder: Path,
    record: Callable[[Event], object],
    on_event: Callable[[Event], None],
    is_cancelled: Callable[[], bool],
) -> Event | None:
    """Passes the worker's events on until its final one, which is returned; None when it ended, or had to be ended, without."""
    greeted = False
    while time.monotonic() < process.kill_at:
        event = process.next_event(POLL_SECONDS)
        if event is not None:
            record(event)
            if not greeted:
                if process.asked_to_stop and event["event"] != "started":
                    return None  # it was stopped before it began, or could not, say because its folder is gone
                _check_handshake(event)
                greeted = True
            if event["event"] in FINAL_EVENTS:
                return event
            on_event(event)
        elif process.has_ended:
            return None
        if not process.asked_to_stop and is_cancelled():
            process.ask_to_stop(job_folder / CANCEL_FILE)
    return None


def _check_handshake(event: Event) -> None:
    """Raises ToolboxError when the worker's first event does not show this version of the toolbox."""
    version, schema = event.get("version"), event.get("schema")
    if event["event"] != "started" or schema != SCHEMA_VERSION or version != __version__:
        raise ToolboxError(
            f"The worker is version {version} (messages {schema}), the plugin {__version__} (messages {SCHEMA_VERSION}): "
            f"restart QGIS, and if this remains, run the tool {INSTALL_TOOL}."
        )


def _describe_death(exit_code: int) -> str:
    """A sentence for a worker that ended without a word; negative exit codes are signals (POSIX)."""
    if exit_code == -signal.SIGTERM or (hasattr(signal, "SIGKILL") and exit_code == -signal.SIGKILL):
        return (
            f"The worker process was killed (signal {-exit_code}), by another program or because the memory ran out: "
            "choose a smaller tile or batch size, or close other programs."
        )
    if exit_code < 0 or exit_code >= _WINDOWS_CRASH:
        code = f"signal {-exit_code}" if exit_code < 0 else f"code {exit_code:#x}"
        return f"The worker process crashed ({code}). Please report it together with the log."
    return f"The worker process ended without a result (exit code {exit_code}): if the log names a library, run {INSTALL_TOOL}."


class _WorkerProcess:
    """One worker, the thread that reads its events, and its log."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.asked_to_stop = False
        self.has_ended = False
        self.kill_at = float("inf")  # time.monotonic() at which patience with a worker that was asked to stop ends
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._log = log.open("ab", buffering=0)
        try:
            self._process = start_process(
                command, environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, cwd=str(log.parent)
            )
        except OSError as fault:
            self._log.close()
            raise ToolboxError(f"The Python “{command[0]}” cannot be started ({fault}): run the tool {INSTALL_TOOL}.") from fault
        atexit.register(self.finish)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin = self._process.stdin
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int:
        """Exit code of the ended worker; the negative signal number on POSIX."""
        return self._process.wait()

    def next_event(self, timeout: float) -> Event | None:
        """The next event, or None when none came for ``timeout`` seconds or ever will (then ``has_ended``)."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            # A child of a dead worker may hold its output open, so that the end of the stream never comes.
            if self._process.poll() is None:
                return None
            self._reader.join(EXIT_SECONDS)
            event = None if self._events.empty() else self._events.get()
        self.has_ended = event is None
        return event

    def ask_to_stop(self, cancel_file: Path) -> None:
        """Asks the worker to stop at its next event."""
        self.asked_to_stop = True
        self.kill_at = time.monotonic() + GRACE_SECONDS
        with contextlib.suppress(OSError):  # the folder is gone; the end of the standard input says the same
            cancel_file.touch()
        self._close_stdin()

    def finish(self) -> None:
        """Waits a moment for the worker's own end, then ends whatever is left of it and its children."""
        atexit.unregister(self.finish)
        self._close_stdin()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(min(EXIT_SECONDS, max(0.0, self.kill_at - time.monotonic())))
        kill_tree(self._process)
        self._reader.join(EXIT_SECONDS)  # the stream ends with the group, unless a descendant left the group and holds it
        if not self._reader.is_alive():
            self._log.close()

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError):  # the worker is gone already
            self._stdin.close()

    def _read(self, stream: BinaryIO) -> None:
        """Sorts the worker's lines: events into the queue, anything else into the log; a None marks the end."""
        with stream:
            for line in stream:
                event = _parse(line)
                if event is None:
                    self._log.write(line)  # the same descriptor as the worker's standard error, so nothing is overwritten
                else:
                    self._events.put(event)
        self._events.put(None)


def _parse(line: bytes) -> Event | None:
    """The event in a line, or None when it carries none."""
    try:
        event = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
