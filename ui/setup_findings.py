# SPDX-License-Identifier: GPL-2.0-or-later
"""What the set-up dialog finds out before it shows anything, in the background: a driver may have to be loaded, an index asked."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from qgis.core import Qgis, QgsApplication, QgsTask

from ..algorithms.network_settings import describe_network, read_network
from ..backend.errors import ToolboxError
from ..backend.runtime.pythons import check_base
from ..backend.runtime.setup.diagnostics import describe_plan, describe_space, diagnose
from ..backend.runtime.setup.environment import BuildRequest
from ..backend.runtime.setup.environment_folders import environments_in
from ..backend.runtime.setup.gpu import Graphics, find_graphics
from ..backend.runtime.setup.network import Network


@dataclass(frozen=True)
class Wish:
    """What the user has chosen so far.

    Attributes:
        device: auto, cpu or cuda.
        folder: Folder of the environment, None for the usual one.
        python: The Python to build on, None for QGIS's own.
    """

    device: str = "auto"
    folder: Path | None = None
    python: Path | None = None


@dataclass(frozen=True)
class Findings:
    """What there is and what an installation would do.

    Attributes:
        rows: Names and values for people.
        graphics: The graphics cards.
        plan: What would be installed, or why nothing can be.
        build: Name of the build that would be installed; empty when nothing can be.
    """

    rows: dict[str, str]
    graphics: Graphics
    plan: str
    build: str


def look(wish: Wish, network: Network, network_text: str, graphics: Graphics | None) -> Findings:
    """Asks the computer and the network; takes from 0.2 s to some seconds. ``graphics`` are not asked for again if given."""
    graphics = find_graphics() if graphics is None else graphics
    rows = {"QGIS": f"{Qgis.version()}, Python {platform.python_version()}", **diagnose(network_text, graphics)}
    parent = environments_in(wish.folder)
    rows["Free disk space"] = describe_space(parent)
    try:
        base, _ = check_base(wish.python)
        source = BuildRequest(device=wish.device, network=network, graphics=graphics).find_source(base)
    except ToolboxError as fault:
        return Findings(rows, graphics, str(fault), "")
    return Findings(rows, graphics, describe_plan(source, parent), source.build.name)


def look_in_background(
    wish: Wish, graphics: Graphics | None, then: Callable[[Exception | None, Findings | None], None], title: str
) -> QgsTask:
    """Starts `look` as a task; ``then`` is called in the main thread with its failure or what was found."""
    try:
        network = read_network()
    except ToolboxError:  # told in the text
        network = Network()
    text = describe_network()

    def show(failure: Exception | None, found: Findings | None = None) -> None:
        then(failure, found)

    task = QgsTask.fromFunction(title, lambda _task: look(wish, network, text, graphics), on_finished=show)
    QgsApplication.taskManager().addTask(task)
    return task
