# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user has told pip. Standard library only."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..process import installer_environment, start_process
from .network import Network

_TIMEOUT_SECONDS = 30


def has_own_index(python: Path, network: Network) -> bool:
    """Whether pip is set to an index of the user's own, which then is the only one to be asked; False where there is no pip."""
    command = [str(python), "-I", "-m", "pip", "config", "list"]
    variables = {**installer_environment(python), **network.variables()}
    process = start_process(command, variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        output = process.communicate(timeout=_TIMEOUT_SECONDS)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    keys = [line.partition("=")[0].rpartition(".")[2] for line in output.splitlines()]
    return "index-url" in keys or "no-index" in keys
