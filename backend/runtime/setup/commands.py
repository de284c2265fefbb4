# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command of the installation: its output goes to the log, and the caller is asked several times a second whether to go on.

Standard library only.
"""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..process import kill_tree, start_process

TICK_SECONDS = 0.25
_KEPT_LINES = 200  # of the output, to tell a failure's reason from
# User and password in an address, with or without a scheme; a password may hold any of :/@.
_SECRET = re.compile(r"(?<=//)\S+@|(?<![\w/])[^\s/@:]+:(?!//)[^\s@]+@")


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: Exit code; 0 = success.
        lines: The last lines of its output.
    """

    code: int
    lines: tuple[str, ...]


def run_logged(
    command: list[str],
    environment: dict[str, str],
    log: Path,
    on_line: Callable[[str], None] = lambda line: None,
    on_tick: Callable[[], None] = lambda: None,
) -> Outcome:
    """Runs a command to its end, or until one of the callables raises: then it and its children are killed.

    Args:
        command: Program and arguments.
        environment: Its variables.
        log: File that the command and its output are appended to, without passwords in addresses.
        on_line: Called with each line of output.
        on_tick: Called every quarter of a second, whether or not there is output.
    """
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    output: queue.Queue[bytes | None] = queue.Queue()
    with log.open("a", encoding="utf-8", buffering=1) as file:
        file.write(f"$ {hide_secrets(' '.join(command))}\n")
        process = start_process(command, environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        reader = threading.Thread(target=_read, args=(process, output), daemon=True)
        reader.start()
        try:
            while True:
                on_tick()
                try:
                    raw = output.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    continue
                if raw is None:
                    break
                line = hide_secrets(raw.decode("utf-8", "replace").rstrip())
                on_line(line)
                if not line.startswith("Progress "):
                    lines.append(line)
                    file.write(line + "\n")
            code = process.wait()
        finally:
            kill_tree(process)
    return Outcome(code, tuple(lines))


def hide_secrets(text: str) -> str:
    """The text with user names and passwords in addresses replaced by asterisks."""
    return _SECRET.sub("***@", text)


def _read(process: subprocess.Popen[bytes], output: queue.Queue[bytes | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        output.put(line)
    output.put(None)
