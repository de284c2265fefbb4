# SPDX-License-Identifier: GPL-2.0-or-later
"""The managed environment: the Python with PyTorch that runs the worker.

A new one is built in a folder of its own beside the old one, proved, and only then put into use by replacing the marker; whatever
happens before, the old one goes on serving. Building again does nothing until the requirements change. Imported by QGIS; standard
library and Python 3.9 only. The command line is `command`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ... import __version__
from ...errors import ToolboxError
from ..disk import free_bytes
from ..lock import exclusive
from ..places import HOME_VARIABLE, IN_USE, home_folder, install_log
from ..pythons import REQUIRED_PACKAGES, check_base, inspect_python
from .builds import DEVICES, Build, name_build
from .environment_folders import clean, downloads_in, environments_in, make_environment_folder, remove_folder
from .gpu import Graphics, find_graphics
from .installer import Installer, Listener
from .marker import EnvironmentState, Marker, describe_folder, managed_environment, managed_python, read_state
from .network import Network
from .requirements import hash_requirements, requirements_file
from .source import Source, find_source


@dataclass(frozen=True)
class BuildRequest:
    """What is to be installed, and from where.

    Attributes:
        python: The Python 3.10 or later to build on; None = the one that runs this.
        wheels: Folder of wheels to install from without any network, or None.
        device: auto, cpu or cuda: which build of PyTorch.
        folder: Where environments are kept, in a folder of our own; None = beside the present one, else in the home folder.
        extras: Names of further requirement files, such as ``test``.
        repair: Build anew even if all seems well.
        network: Proxy and certificates.
        graphics: What `gpu.find_graphics` found, if it has been asked already.
    """

    python: Path | None = None
    wheels: Path | None = None
    device: str = "auto"
    folder: Path | None = None
    extras: Sequence[str] = ()
    repair: bool = False
    network: Network = field(default_factory=Network)
    graphics: Graphics | None = None

    def __post_init__(self) -> None:
        """Raises ToolboxError for a value that cannot be meant."""
        if self.device not in DEVICES:
            raise ToolboxError(f"The device “{self.device}” is unknown; choose one of {', '.join(DEVICES)}.")
        if self.wheels is not None and not self.wheels.is_dir():
            raise ToolboxError(f"There is no folder of wheels “{self.wheels}”.")
        for name in self.extras:
            requirements_file(name)

    def find_source(self, base: Path) -> Source:
        """The build of PyTorch for this computer and where it comes from; asks the network, and ``base`` for pip's settings."""
        graphics = find_graphics() if self.graphics is None else self.graphics
        return find_source(graphics, self.device, self.wheels, self.network, base)


@dataclass(frozen=True)
class Built:
    """The environment in use after a build.

    Attributes:
        python: Its interpreter.
        note: What the user should know about the build of PyTorch; empty when nothing, or when it was there already.
        is_new: It was built just now.
    """

    python: Path
    note: str = ""
    is_new: bool = False


def find_fault() -> str:
    """What is wrong with an environment whose state is READY, found by starting its Python; empty when nothing is."""
    marker, python = Marker.read(), managed_python()
    if marker is None or python is None:
        return "it is gone"
    try:
        report = inspect_python(python, REQUIRED_PACKAGES)
    except ToolboxError as fault:
        return str(fault)
    found = f"{report.version[0]}.{report.version[1]}"
    if marker.python != found:
        return f"it was built for Python {marker.python}, and its base has become Python {found}"
    return f"it lacks {', '.join(report.missing)}" if report.missing else ""


def build_environment(request: BuildRequest, progress: Listener = lambda step: None) -> Built:
    """Builds the managed environment, or adds what is missing to it.

    Args:
        request: What to install.
        progress: Called several times a second until the new environment is in use; an exception from it stops the build.

    Raises:
        ToolboxError: The base Python is unsuitable, the disk too full, another build runs, a place cannot be written, or a step
            failed. The environment there was, if any, is as it was. What has been downloaded is kept for the next attempt.
    """
    if _is_complete(request):
        return Built(_in_use())
    note, is_new = "", False
    with _changing_home():
        _start_log()
        if request.repair or not _serves(request):
            note, is_new = _build_anew(request, progress), True
        for name in request.extras:
            _add_extra(name, request, progress)
    return Built(_in_use(), note, is_new)


def remove_environment() -> None:
    """Removes the managed environment and kept downloads; does nothing when there is none.

    Raises:
        ToolboxError: It is in use, or its files cannot be removed.
    """
    with _changing_home():
        environment = managed_environment()
        parents = {environments_in(None), *([environment.parent] if environment else [])}
        if environment and not remove_folder(environment):
            raise ToolboxError(
                f"The environment “{environment}” is in use or cannot be removed: wait until running tools have ended, then retry."
            )
        for parent in parents:
            clean(parent, None)
            shutil.rmtree(downloads_in(parent), ignore_errors=True)


@contextlib.contextmanager
def _changing_home() -> Iterator[None]:
    """Nobody else changes the environment meanwhile; a place that cannot be written is told with what to do."""
    try:
        with exclusive(home_folder() / "environment.lock", "installing or removing the deep learning libraries"):
            yield
    except OSError as fault:
        raise ToolboxError(
            f"A file or folder of the installation cannot be written ({fault}): choose another folder (FOLDER), or another home "
            f"folder by the environment variable {HOME_VARIABLE}."
        ) from fault


def _start_log() -> None:
    """Begins a new log; the former one stays beside it."""
    log = install_log()
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".old.log"))


def _in_use() -> Path:
    python = managed_python()
    if python is None:
        raise ToolboxError("The environment was removed while it was being used: install the deep learning libraries again.")
    return python


def _serves(request: BuildRequest) -> bool:
    """Whether the environment there is, extras aside, is what is asked for."""
    marker = Marker.read()
    if read_state() is not EnvironmentState.READY or marker is None or find_fault():
        return False
    if request.folder and marker.environment.parent != environments_in(request.folder):
        return False
    # A build with CUDA also serves the CPU. A card that was built in later is a case for a repair.
    return request.device != "cuda" or marker.has_cuda


def _is_complete(request: BuildRequest) -> bool:
    marker = Marker.read()
    wanted = {name: hash_requirements(requirements_file(name)) for name in request.extras}
    has_extras = marker is not None and all(marker.extras.get(name) == digest for name, digest in wanted.items())
    return not request.repair and has_extras and _serves(request)


def _build_anew(request: BuildRequest, progress: Listener) -> str:
    """Builds a whole environment and puts it into use, or changes nothing; returns a note for the user."""
    base, has_ensurepip = check_base(request.python)
    source = request.find_source(base)
    old = managed_environment()
    parent = old.parent if old and request.folder is None else environments_in(request.folder)
    clean(parent, old)
    _check_space(parent, source.build)
    folder = make_environment_folder(parent)
    try:
        installer = _make_installer(folder, request, progress)
        installer.create_environment(base, has_ensurepip)
        installer.install_worker(source)
        build = name_build(installer.prove())
        version = inspect_python(installer.python, ()).version
        requirements = hash_requirements(requirements_file("worker"))
        found = f"{version[0]}.{version[1]}"
        marker = Marker(describe_folder(folder), requirements, found, __version__, build, request.device)
        if request.device == "cuda" and not marker.has_cuda:
            raise ToolboxError(
                f"CUDA was asked for, but what was installed is PyTorch's build “{build}”: give a folder of wheels or an index that "
                "has the build with CUDA, or choose the device CPU."
            )
        (folder / IN_USE).touch()
        marker.write()
    except BaseException:  # also Ctrl+C and a cancelling listener
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # The new one is in use: nothing that follows may undo or stop that.
    shutil.rmtree(downloads_in(parent), ignore_errors=True)
    for place in {parent, *([old.parent] if old else [])}:
        clean(place, folder)
    return source.note


def _add_extra(name: str, request: BuildRequest, progress: Listener) -> None:
    marker = Marker.read()
    if marker is not None and marker.with_extra(name) != marker:
        _make_installer(marker.environment, request, progress).install_extra(name)
        marker.with_extra(name).write()


def _make_installer(folder: Path, request: BuildRequest, progress: Listener) -> Installer:
    wheels = request.wheels.absolute() if request.wheels else None
    return Installer(folder, install_log(), progress, downloads_in(folder.parent), wheels, request.network)


def _check_space(parent: Path, build: Build) -> None:
    free = free_bytes(parent)
    if free < build.disk:
        raise ToolboxError(
            f"The deep learning libraries need {build.disk / 1e9:.0f} GB of disk space while installing, and {free / 1e9:.1f} GB "
            f"are free for “{parent}”: free some, or choose another folder (FOLDER)."
        )
