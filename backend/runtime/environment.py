# SPDX-License-Identifier: GPL-2.0-or-later
"""The managed environment: the Python with PyTorch that runs the worker.

A new one is built in a folder of its own beside the old one, proved, and only then put into use by replacing the marker; whatever
happens before, the old one goes on serving. Building again does nothing until the requirements change. Imported by QGIS; standard
library and Python 3.9 only. The command line is `setup_command`.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import __version__
from ..errors import ToolboxError
from .builds import DEVICES, Build, Choice, choose_build, find_build, name_build
from .commands import hide_secrets
from .disk import free_bytes
from .gpu import find_graphics
from .installer import Installer, Listener, Step
from .lock import exclusive, try_exclusive
from .marker import EnvironmentState, Marker, describe_folder, managed_environment, managed_python, read_state
from .network import Network
from .places import IN_USE, environments_folder, home_folder, install_log
from .pythons import check_base, inspect_python
from .requirements import hash_requirements, requirements_file

PREFIX = "environment-"  # of the folders of environments
_LEGACY = "environment"  # where version 0.1 kept it, in the home folder


@dataclass(frozen=True)
class BuildRequest:
    """What is to be installed, and from where.

    Attributes:
        python: The Python 3.10 or later to build on; None = the one that runs this.
        wheels: Folder of wheels to install from without any network, or None.
        device: auto, cpu or cuda: which build of PyTorch.
        folder: Where environments are kept; None = in the home folder.
        extras: Names of further requirement files, such as ``test``.
        repair: Build anew even if all seems well.
        network: Proxy and certificates.
    """

    python: Path | None = None
    wheels: Path | None = None
    device: str = "auto"
    folder: Path | None = None
    extras: Sequence[str] = ()
    repair: bool = False
    network: Network = field(default_factory=Network)

    def __post_init__(self) -> None:
        """Raises ToolboxError for a value that cannot be meant."""
        if self.device not in DEVICES:
            raise ToolboxError(f"The device “{self.device}” is unknown; choose one of {', '.join(DEVICES)}.")
        if self.wheels is not None and not self.wheels.is_dir():
            raise ToolboxError(f"There is no folder of wheels “{self.wheels}”.")
        for name in self.extras:
            requirements_file(name)

    def choose_build(self) -> Choice:
        """The build of PyTorch for this computer."""
        return choose_build(find_graphics(), self.device)


def find_fault() -> str:
    """What is wrong with an environment whose state is READY, found by starting its Python; empty when nothing is."""
    marker, python = Marker.read(), managed_python()
    if marker is None or python is None:
        return "it is gone"
    try:
        version = inspect_python(python, ()).version
    except ToolboxError as fault:
        return str(fault)
    found = f"{version[0]}.{version[1]}"
    if marker.python != found:
        return f"it was built for Python {marker.python}, and its base has become Python {found}"
    return ""


def build_environment(request: BuildRequest, progress: Listener = lambda step: None) -> Path:
    """Builds the managed environment, or adds what is missing to it, and returns its interpreter.

    Args:
        request: What to install.
        progress: Called several times a second; an exception from it stops the build.

    Raises:
        ToolboxError: The base Python is unsuitable, the disk too full, another build runs, or a step failed. The environment there
            was, if any, is as it was. What has been downloaded is kept for the next attempt.
    """
    if _is_complete(request):
        return _in_use()
    with exclusive(home_folder() / "environment.lock", "installing the deep learning libraries"):
        _start_log()
        if request.repair or not _serves(request):
            _build_anew(request, progress)
        for name in request.extras:
            _add_extra(name, request, progress)
    return _in_use()


def remove_environment() -> None:
    """Removes the managed environment and kept downloads; does nothing when there is none.

    Raises:
        ToolboxError: It is in use, or its files cannot be removed.
    """
    with exclusive(home_folder() / "environment.lock", "installing the deep learning libraries"):
        environment = managed_environment()
        parents = {environments_folder(), *([environment.parent] if environment else [])}
        if environment and not _remove(environment):
            raise ToolboxError(
                f"The environment “{environment}” is in use: wait until running tools have ended, then retry."
            )
        for parent in parents:
            _clean(parent, None)
            shutil.rmtree(_downloads(parent), ignore_errors=True)


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
    if request.folder and marker.environment.parent != request.folder.absolute():
        return False
    # A build with CUDA also serves the CPU. A card that was built in later is a case for a repair.
    build = find_build(marker.build)
    return request.device != "cuda" or (build is not None and build.capabilities is not None)


def _is_complete(request: BuildRequest) -> bool:
    marker = Marker.read()
    wanted = {name: hash_requirements(requirements_file(name)) for name in request.extras}
    has_extras = marker is not None and all(marker.extras.get(name) == digest for name, digest in wanted.items())
    return not request.repair and has_extras and _serves(request)


def _build_anew(request: BuildRequest, progress: Listener) -> None:
    """Builds a whole environment and puts it into use, or changes nothing."""
    base, has_ensurepip = check_base(request.python)
    choice = request.choose_build()
    if choice.blocked:
        raise ToolboxError(f"The deep learning libraries cannot be installed: {choice.reason}.")
    parent = (request.folder or environments_folder()).absolute()
    _clean(parent, managed_environment())
    _check_space(parent, choice.build)
    folder = parent / f"{PREFIX}{uuid.uuid4().hex[:8]}"
    old = managed_environment()
    try:
        installer = _make_installer(folder, request, progress)
        installer.create_environment(base, has_ensurepip)
        note = installer.install_worker(choice.build)
        build = name_build(installer.prove())
        (folder / IN_USE).touch()
        version = inspect_python(installer.python, ()).version
        found = f"{version[0]}.{version[1]}"
        Marker(describe_folder(folder), hash_requirements(requirements_file("worker")), found, __version__, build).write()
    except BaseException:  # also Ctrl+C and a cancelling listener
        shutil.rmtree(folder, ignore_errors=True)
        raise
    notes = "; ".join(text for text in (note, choice.reason) if text)
    progress(Step(1.0, f"The libraries are installed ({notes})" if notes else "The libraries are installed"))
    shutil.rmtree(_downloads(parent), ignore_errors=True)
    for place in {parent, *([old.parent] if old else [])}:
        _clean(place, folder)


def _add_extra(name: str, request: BuildRequest, progress: Listener) -> None:
    marker = Marker.read()
    if marker is not None and marker.with_extra(name) != marker:
        _make_installer(marker.environment, request, progress).install_extra(name)
        marker.with_extra(name).write()


def _make_installer(folder: Path, request: BuildRequest, progress: Listener) -> Installer:
    wheels = request.wheels.absolute() if request.wheels else None
    return Installer(folder, install_log(), progress, _downloads(folder.parent), wheels, request.network)


def _downloads(parent: Path) -> Path:
    return parent / "downloads"


def _clean(parent: Path, kept: Path | None) -> None:
    """Removes what interrupted builds and replaced environments left, unless a worker still runs in it."""
    leftovers = list(parent.glob(f"{PREFIX}*"))
    legacy = home_folder() / _LEGACY
    if parent == environments_folder() and legacy.is_dir():
        leftovers.append(legacy)
    for folder in leftovers:
        if folder != kept:
            _remove(folder)


def _remove(folder: Path) -> bool:
    """Removes an environment unless a worker runs in it; tells whether it is gone."""
    with try_exclusive(folder / IN_USE) as is_free:
        if is_free:
            # On Windows a folder with an open file cannot be renamed, so nothing is removed by halves.
            with contextlib.suppress(OSError):
                folder = folder.replace(folder.with_name(f"{folder.name}-removed"))
                shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def _check_space(parent: Path, build: Build) -> None:
    free = free_bytes(parent)
    if free < build.disk:
        raise ToolboxError(
            f"The deep learning libraries need {build.disk / 1e9:.0f} GB of disk space while installing, and {free / 1e9:.1f} GB "
            f"are free for “{hide_secrets(str(parent))}”: free some, or choose another folder (FOLDER)."
        )
