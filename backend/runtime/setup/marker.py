# SPDX-License-Identifier: GPL-2.0-or-later
"""Which managed environment is in use: one small file, replaced in one step, so that a switch to a new one is whole or not at all.

It is written last, after a child process of the new environment has imported everything and computed something. Until then the
old environment serves. Imported by QGIS; standard library only.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..places import home_folder, marker_file, python_in
from .requirements import hash_requirements, requirements_file


class EnvironmentState(enum.Enum):
    """What the marker says; the environment itself is not started."""

    ABSENT = "absent"  # nothing, or its folder is gone
    OUTDATED = "outdated"  # whole, but for other requirements
    READY = "ready"


@dataclass(frozen=True)
class Marker:
    """What a whole environment says about itself.

    Attributes:
        folder: The environment; relative to the home folder if it lies in there, so that the home may be moved.
        requirements: Hash of the worker's requirements.
        python: Version of its Python, major and minor, such as 3.11; packages are bound to it.
        version: Version of the toolbox that built it.
        build: Name of the build of PyTorch, see `builds`.
        device: The device that was asked for: auto, cpu or cuda.
        extras: Hash of the requirements of each extra that was added, by name.
    """

    folder: str
    requirements: str
    python: str
    version: str
    build: str
    device: str = "auto"
    extras: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Marker | None:
        """The marker; None when there is none that can be used, so that the environment counts as absent."""
        try:
            return cls(**_checked(json.loads(marker_file().read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):  # no marker, half a marker, one of another form
            return None

    @property
    def environment(self) -> Path:
        """The environment's folder, absolute."""
        return home_folder() / self.folder

    @property
    def has_cuda(self) -> bool:
        """Whether its PyTorch can use NVIDIA cards."""
        return self.build.startswith("cu")

    def write(self) -> None:
        """Puts this marker in the place of the one there is, whole or not at all."""
        marker_file().parent.mkdir(parents=True, exist_ok=True)
        part = marker_file().with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        part.replace(marker_file())

    def with_extra(self, name: str) -> Marker:
        """This marker after the requirements of an extra were installed."""
        return replace(self, extras={**self.extras, name: hash_requirements(requirements_file(name))})


def describe_folder(environment: Path) -> str:
    """How a marker names an environment's folder."""
    try:
        return environment.relative_to(home_folder()).as_posix()
    except ValueError:  # elsewhere
        return str(environment)


def managed_environment() -> Path | None:
    """The folder of the environment in use, or None when there is none."""
    marker = Marker.read()
    return marker.environment if marker and python_in(marker.environment).exists() else None


def managed_python() -> Path | None:
    """The interpreter of the environment in use, or None when there is none."""
    environment = managed_environment()
    return python_in(environment) if environment else None


def read_state() -> EnvironmentState:
    """Whether there is a whole environment for the present requirements; reads one small file, starts nothing."""
    marker = Marker.read()
    if marker is None or managed_environment() is None:
        return EnvironmentState.ABSENT
    current = marker.requirements == hash_requirements(requirements_file("worker"))
    return EnvironmentState.READY if current else EnvironmentState.OUTDATED


def _checked(content: Any) -> dict[str, Any]:
    """The content of a marker file; raises ValueError or TypeError unless it has the form of a marker."""
    if not isinstance(content, dict) or not isinstance(content.get("extras", {}), dict):
        raise TypeError("not a marker")
    if not all(isinstance(value, str) and value for name, value in content.items() if name != "extras"):
        raise ValueError("a marker without words")
    return content
