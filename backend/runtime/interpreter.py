# SPDX-License-Identifier: GPL-2.0-or-later
"""Which Python runs the worker.

The order: the environment variable DEEP_LEARNING_TOOLBOX_PYTHON, the plugin's setting, the managed environment, QGIS's own
Python. What somebody named is used or refused, never silently passed over. Imported by QGIS; standard library only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import BackendMissingError, ToolboxError
from .failures import INSTALL_TOOL
from .places import home_folder
from .pythons import MINIMUM_VERSION, inspect_python, missing_packages, python_beside
from .setup.environment import find_fault
from .setup.marker import EnvironmentState, managed_environment, managed_python, read_state

__all__ = ["Interpreter", "find_interpreter", "missing_packages", "python_beside"]

PYTHON_VARIABLE = "DEEP_LEARNING_TOOLBOX_PYTHON"
SETTING = "deep_learning_toolbox/python"


@dataclass(frozen=True)
class Interpreter:
    """A Python that has what the worker needs.

    Attributes:
        path: The interpreter.
        source: Why this one, for the user's eyes.
    """

    path: Path
    source: str


def find_interpreter(setting: str | None, qgis_python: str | None = None) -> Interpreter:
    """The first interpreter, in the order above, that has all the backend needs.

    Args:
        setting: Value of the plugin's setting ``deep_learning_toolbox/python``, None or empty when there is none.
        qgis_python: QGIS's own interpreter; by default it is looked for beside the running one.

    Raises:
        BackendMissingError: A named interpreter or the managed environment is of no use, or there is none at all; the text says what
            to do.
    """
    for named, source in (
        (os.environ.get(PYTHON_VARIABLE), f"the environment variable {PYTHON_VARIABLE}"),
        (setting, f"the setting {SETTING}"),
    ):
        if named:
            return named_interpreter(Path(named).expanduser().absolute(), source)
    managed = _managed_interpreter()
    if managed is not None:
        return managed
    own = Path(qgis_python) if qgis_python else python_beside()
    if own is None:
        reason = "QGIS's own Python was not found"
    else:
        reason = _find_fault(own)
        if not reason:
            return Interpreter(own, "QGIS's own Python")
    raise BackendMissingError(
        f"The deep learning libraries are not installed: run the tool {INSTALL_TOOL}. "
        f"(There is no environment in “{home_folder()}”, and {reason}.)"
    )


def named_interpreter(path: Path, source: str) -> Interpreter:
    """The interpreter that somebody named; raises BackendMissingError, which names the source, when it will not do."""
    fault = _find_fault(path)
    if fault:
        raise BackendMissingError(
            f"The Python named by {source} cannot be used: {fault}. "
            f"Name another one, or name none and run the tool {INSTALL_TOOL}."
        )
    return Interpreter(path, source)


def _managed_interpreter() -> Interpreter | None:
    """The managed environment's interpreter, or None when there is no whole environment."""
    state, python = read_state(), managed_python()
    if python is None:
        return None
    folder = managed_environment()
    if state is EnvironmentState.OUTDATED:
        raise BackendMissingError(f"The environment in “{folder}” is that of another version: run the tool {INSTALL_TOOL}.")
    fault = find_fault()  # its base Python may have been removed or replaced since
    if fault:
        raise BackendMissingError(f"The environment in “{folder}” is broken, {fault}: run the tool {INSTALL_TOOL}.")
    return Interpreter(python, f"the managed environment in {folder}")


def _find_fault(path: Path) -> str:
    """What keeps an interpreter from running the worker, in words that go on a sentence; empty when nothing does."""
    try:
        report = inspect_python(path)
    except ToolboxError as fault:
        return str(fault)
    if report.version[:2] < MINIMUM_VERSION:
        wanted, found = (".".join(map(str, version)) for version in (MINIMUM_VERSION, report.version))
        return f"“{path}” is Python {found}, and {wanted} or later is needed"
    if report.missing:
        return f"“{path}” lacks {', '.join(report.missing)}"
    return ""
