# SPDX-License-Identifier: GPL-2.0-or-later
"""Further processes of one job, one for each further device: what torchrun does on a server, for a desktop with several cards.

Standard library only, but for the number of cards. The companions run the same request with torchrun's variables and say nothing;
their standard input ends with this process, and they with it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__
from .protocol import Request
from .ranks import ranks_wanted

LAUNCHER = Path(__file__).with_name("launch.py")
STOP_SECONDS = 1.0  # for all together to put their files in order when the job is stopped, which must take 3 seconds at most
GRACE_SECONDS = 30.0  # they have nothing left to do when the first process is through


def split_devices(wanted: str) -> list[str]:
    """The devices of a list such as `cuda:0,cuda:1`."""
    return [part.strip() for part in wanted.split(",") if part.strip()] or [wanted]


def own_device(wanted: str) -> str:
    """The device of this process: its place in the list or, under torchrun with a single `auto` or `cuda`, the card of its number."""
    devices = split_devices(wanted)
    rank, size = ranks_wanted()
    if size > 1 and devices in (["auto"], ["cuda"]):
        import torch

        cards = torch.cuda.device_count()
        return f"cuda:{int(os.environ.get('LOCAL_RANK', rank)) % cards}" if cards else devices[0]
    return devices[rank % len(devices)]


@contextlib.contextmanager
def companions(stage: str, settings: Any, job_id: str) -> Iterator[None]:
    """Starts a process for each device after the first, unless torchrun has; they are gone in the end.

    Their request lies in the working directory, which is the job's folder, so that relative paths and the files that stop a job
    mean the same to them.

    Args:
        stage: Name of the stage.
        settings: Its settings, with `device`.
        job_id: Of the job.
    """
    devices = split_devices(settings.device)
    if ranks_wanted()[1] > 1 or len(devices) == 1:
        yield
        return
    request = Path(f".companions-{job_id}.json").absolute()
    Request(stage, asdict(settings), job_id, __version__).write(request)
    group = {"WORLD_SIZE": str(len(devices)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    command = [sys.executable, "-I", str(LAUNCHER), str(request), "--watch-stdin"]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(1, len(devices)):
            environment = {**os.environ, **group, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            started.append(subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL))
        with _variables({**group, "RANK": "0", "LOCAL_RANK": "0"}):
            yield
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
    finally:
        _stop(started)
        request.unlink(missing_ok=True)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ends processes; first by the end of their input, at which they remove or keep what they have begun."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    last = time.monotonic() + STOP_SECONDS
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(last - time.monotonic(), 0))
        process.kill()
        process.wait()


@contextlib.contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Sets variables of the environment, and takes them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
