# SPDX-License-Identifier: GPL-2.0-or-later
"""The managed environment: the Python with PyTorch that runs the worker, in the toolbox's home folder.

It is complete or absent: a marker file, written last, after a child process has imported everything and computed something,
is what makes a folder an environment. Building again does nothing, until the requirements change. Imported by QGIS and run
from a shell, so standard library and Python 3.9 only::

    python -m deep_learning_toolbox.backend.runtime.environment build|find|remove [--home DIR] ...

or, from a clone of any name, by the path of this file.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    # Run by path: this module again, under its real name. The script's own folder is on sys.path, so `launch` is found.
    import importlib

    importlib.import_module("launch")
    sys.exit(importlib.import_module("deep_learning_toolbox.backend.runtime.environment").main(sys.argv[1:]))

import argparse
import enum
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable

from .. import __version__
from ..errors import ToolboxError
from .disk import free_bytes
from .installer import (
    CPU_BYTES,
    CUDA_BYTES,
    REQUIREMENTS,
    Installer,
    hash_requirements,
    requirements_file,
)
from .lock import exclusive
from .places import HOME_VARIABLE, environment_folder, environment_python, home_folder, logs_folder
from .pythons import MINIMUM_VERSION, inspect_python, python_beside

__all__ = ["build_environment", "environment_folder", "home_folder", "read_state", "remove_environment"]

DEVICES = ("auto", "cpu", "cuda")


class EnvironmentState(enum.Enum):
    """What there is in the environment's folder."""

    ABSENT = "absent"  # nothing, or an interrupted build
    OUTDATED = "outdated"  # whole, but for other requirements
    READY = "ready"


@dataclass(frozen=True)
class Marker:
    """What a whole environment says about itself.

    Attributes:
        requirements: Hash of the worker's requirements.
        python: Version of its Python, major and minor, such as 3.11; packages are bound to it.
        version: Version of the toolbox that built it.
        extras: Hash of the requirements of each extra that was added, by name.
    """

    requirements: str
    python: str
    version: str
    extras: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Marker | None:
        """The marker of the managed environment; None when there is none, so that the folder counts as absent."""
        try:
            return cls(**json.loads(_marker_file().read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # no marker, half a marker, one of another form
            return None

    def write(self) -> None:
        """Writes the marker, whole or not at all."""
        part = _marker_file().with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        part.replace(_marker_file())


def read_state() -> EnvironmentState:
    """Whether there is a whole environment for the present requirements; reads one small file, starts nothing."""
    marker = Marker.read()
    if marker is None or not environment_python().exists():
        return EnvironmentState.ABSENT
    current = marker.requirements == hash_requirements(requirements_file("worker"))
    return EnvironmentState.READY if current else EnvironmentState.OUTDATED


def find_fault() -> str:
    """What is wrong with an environment whose state is READY, found by starting its Python; empty when nothing is."""
    marker = Marker.read()
    try:
        version = inspect_python(environment_python(), ()).version
    except ToolboxError as fault:
        return str(fault)
    python = f"{version[0]}.{version[1]}"
    if marker is not None and marker.python != python:
        return f"it was built for Python {marker.python}, and its base has become Python {python}"
    return ""


def build_environment(
    python: Path | None = None,
    wheels: Path | None = None,
    extras: Sequence[str] = (),
    device: str = "auto",
    progress: Callable[[str], None] = lambda line: None,
) -> Path:
    """Builds the managed environment, or adds what is missing to it, and returns its interpreter.

    Args:
        python: The Python 3.10 or later to build on; by default the one that runs this.
        wheels: Folder of wheels to install from without any network.
        extras: Names of further requirement files, such as ``test``.
        device: auto, cpu or cuda: which build of PyTorch on Linux (without an NVIDIA driver, auto is cpu).
        progress: Called with one line per step; an exception from it stops the build and leaves nothing.

    Raises:
        ToolboxError: The base Python is unsuitable, the disk too full, another build runs, or a step failed. Then there is no
            environment, or, when only an extra failed, the one there was.
    """
    wanted = {name: hash_requirements(requirements_file(name)) for name in extras}
    if device not in DEVICES:
        raise ToolboxError(f"The device “{device}” is unknown; choose one of {', '.join(DEVICES)}.")
    if wheels is not None and not wheels.is_dir():
        raise ToolboxError(f"There is no folder of wheels “{wheels}”.")
    if _is_complete(wanted):
        return environment_python()
    with exclusive(home_folder() / "environment.lock", "installing the deep learning libraries"):
        logs_folder().mkdir(parents=True, exist_ok=True)
        log = logs_folder() / "install.log"
        installer = Installer(environment_python(), log, progress, wheels.absolute() if wheels else None, device)
        if read_state() is not EnvironmentState.READY or find_fault():
            _build_from_scratch(installer, _check_base(python))
        for name, digest in wanted.items():
            marker = Marker.read()
            assert marker is not None
            if marker.extras.get(name) != digest:
                installer.install_extra(name)
                Marker(marker.requirements, marker.python, marker.version, {**marker.extras, name: digest}).write()
    return environment_python()


def remove_environment() -> None:
    """Removes the managed environment; does nothing when there is none."""
    folder = environment_folder()
    if not folder.exists():
        return
    try:
        # The marker first: what an interrupted removal leaves then counts as absent.
        _marker_file().unlink(missing_ok=True)
        shutil.rmtree(folder)
    except OSError as fault:
        raise ToolboxError(
            f"The old environment cannot be removed ({fault}): end running jobs and other QGIS windows, then try again."
        ) from fault


def _marker_file() -> Path:
    return environment_folder() / "toolbox_environment.json"


def _is_complete(extras: dict[str, str]) -> bool:
    marker = Marker.read()
    return (
        read_state() is EnvironmentState.READY
        and marker is not None
        and all(marker.extras.get(name) == digest for name, digest in extras.items())
        and not find_fault()
    )


def _build_from_scratch(installer: Installer, base: Path) -> None:
    """Replaces whatever lies in the environment's folder by a whole environment, or by nothing."""
    _check_space(CPU_BYTES if installer.wants_cpu_build else CUDA_BYTES)
    remove_environment()
    try:
        installer.create_environment(base, environment_folder())
        installer.install_worker()
        installer.prove()
        version = inspect_python(installer.python, ()).version
        Marker(hash_requirements(requirements_file("worker")), f"{version[0]}.{version[1]}", __version__).write()
    except BaseException:  # also Ctrl+C and a cancelling progress: complete or absent
        remove_environment()
        raise


def _check_base(python: Path | None) -> Path:
    """The Python to build on, tried out; raises ToolboxError when it will not do."""
    base = python.expanduser().absolute() if python else python_beside()
    if base is None:
        raise ToolboxError("QGIS's own Python was not found: name a Python 3.10 or later to build on (PYTHON).")
    try:
        report = inspect_python(base, ("venv", "ensurepip"))
    except ToolboxError as fault:
        raise ToolboxError(f"The environment cannot be built: {fault}. Name a Python 3.10 or later (PYTHON).") from fault
    if report.version[:2] < MINIMUM_VERSION:
        found = ".".join(map(str, report.version))
        raise ToolboxError(f"The Python “{base}” is version {found}: name a Python 3.10 or later to build on (PYTHON).")
    if report.missing:
        raise ToolboxError(
            f"The Python “{base}” lacks its module {' and '.join(report.missing)}: install it with your system's package manager "
            "(on Debian and Ubuntu: apt install python3-venv), then try again."
        )
    return base


def _check_space(needed: int) -> None:
    home = home_folder()
    free = free_bytes(home)
    if free < needed:
        raise ToolboxError(
            f"The deep learning libraries need {needed / 1e9:.0f} GB of disk space while installing, and {free / 1e9:.1f} GB "
            f"are free in “{home}”: free some, or choose another folder ({HOME_VARIABLE})."
        )


def main(argv: list[str]) -> int:
    """The command line; prints the interpreter's path on success, an error's sentence on failure (exit code 1)."""
    parser = argparse.ArgumentParser(prog="environment", description="The Python environment of the Deep Learning Toolbox.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="install the deep learning libraries, or do nothing when they are there")
    build.add_argument("--python", type=Path, help="Python 3.10 or later to build on (default: the one that runs this)")
    build.add_argument("--wheels", type=Path, help="install from this folder of wheels, without any network")
    build.add_argument("--device", choices=DEVICES, default="auto", help="build of PyTorch on Linux")
    build.add_argument("--extra", action="append", default=[], help=f"also install {REQUIREMENTS.name}/EXTRA.txt")
    commands.add_parser("find", help="print the interpreter")
    commands.add_parser("remove", help="remove the environment")
    for command in commands.choices.values():
        command.add_argument("--home", type=Path, help=f"home folder (default: {HOME_VARIABLE} or the user's data folder)")
    arguments = parser.parse_args(argv)
    if arguments.home:
        os.environ[HOME_VARIABLE] = str(arguments.home.absolute())
    try:
        if arguments.command == "remove":
            remove_environment()
        elif arguments.command == "build":
            build_environment(arguments.python, arguments.wheels, arguments.extra, arguments.device, _show)
            _show(str(environment_python()))
        elif read_state() is EnvironmentState.READY:
            _show(str(environment_python()))
        else:
            raise ToolboxError(f"There is no environment in “{environment_folder()}”: run this with “build”.")
    except ToolboxError as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


def _show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
