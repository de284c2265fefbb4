# SPDX-License-Identifier: GPL-2.0-or-later
"""What there is on this computer, for the set-up's first page, for *Check set-up* and for a report to the developers.

Starts nvidia-smi and reads small files; nothing heavy. Standard library only; passwords never appear.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

from ... import __version__
from ..disk import free_bytes
from ..interpreter import PYTHON_VARIABLE
from ..places import home_folder
from .builds import choose_build, find_build
from .gpu import Graphics, find_graphics
from .marker import EnvironmentState, Marker, read_state
from .network import Network
from .source import Source

GB = 10**9


def diagnose(network: str | None = None, graphics: Graphics | None = None) -> dict[str, str]:
    """Names and values, in the order to show them.

    Args:
        network: QGIS's settings of the network in a line.
        graphics: What `gpu.find_graphics` found, if it has been asked already.
    """
    graphics = find_graphics() if graphics is None else graphics
    rows = {
        "Deep Learning Toolbox": __version__,
        "System": f"{_name_system()}, {platform.machine()}, {os.cpu_count()} processor threads",
        "QGIS's Python": f"{platform.python_version()} ({sys.executable or 'embedded'})",
        "Graphics": graphics.describe(),
        "Home folder": str(home_folder()),
        "Free disk space": describe_space(home_folder()),
        "Network": Network().describe() if network is None else network,
        "Environment": describe_environment(),
    }
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        rows[f"Variable {PYTHON_VARIABLE}"] = named
    return rows


def describe_environment() -> str:
    """The managed environment in a line."""
    marker, state = Marker.read(), read_state()
    if marker is None or state is EnvironmentState.ABSENT:
        return "not installed"
    build = find_build(marker.build)
    title = f"PyTorch for {build.title}" if build else f"PyTorch ({marker.build})"
    text = f"{marker.environment} (Python {marker.python}, {title}, by version {marker.version})"
    return f"{text}; made for other libraries than this version needs" if state is EnvironmentState.OUTDATED else text


def describe_readiness(found: dict[str, Any], graphics: Graphics) -> str:
    """The result of the worker's probe in a sentence; why it is only the CPU is better known from the graphics card."""
    reason = choose_build(graphics).reason
    if found["REASON"] and reason:
        return f"Ready on {found['DEVICE']}, because {reason}."
    return f"{found['SUMMARY']}."


def describe_plan(source: Source, parent: Path) -> str:
    """What an installation would do, in a sentence."""
    build = source.build
    sizes = f"a download of about {build.download / GB:.1f} GB, {build.disk / GB:.0f} GB on disk while installing"
    note = f" ({source.note})" if source.note else ""
    return f"Will be installed: PyTorch for {build.title}{note} and the other libraries: {sizes}, in {parent}."


def describe_space(place: Path) -> str:
    """The free space of the disk that a place, which need not exist yet, lies on."""
    try:
        return f"{free_bytes(place) / GB:.1f} GB"
    except OSError as fault:
        return f"unknown ({fault})"


def read_log(path: Path, lines: int = 100) -> str:
    """The end of a log; empty without one."""
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _name_system() -> str:
    """The operating system as people know it, e.g. ``Debian GNU/Linux 12 (bookworm)``."""
    release = getattr(platform, "freedesktop_os_release", None)  # since Python 3.10
    if sys.platform == "linux" and release is not None:
        with contextlib.suppress(OSError):  # a system without that file
            return str(release().get("PRETTY_NAME", "Linux"))
    return platform.platform(aliased=True, terse=True)
