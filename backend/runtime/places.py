# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the toolbox keeps its own files: outside the plugin folder and QGIS's profile, so that upgrades leave them alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_VARIABLE = "DEEP_LEARNING_TOOLBOX_HOME"
_NAME = "deep_learning_toolbox"


def home_folder() -> Path:
    """The toolbox's home: the variable DEEP_LEARNING_TOOLBOX_HOME, else a folder in the platform's user data. Not created."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    user = Path.home()
    if sys.platform == "win32":
        # The local part of the profile: gigabytes must not roam through a company's network.
        return Path(os.environ.get("LOCALAPPDATA") or user / "AppData" / "Local") / _NAME
    if sys.platform == "darwin":
        return user / "Library" / "Application Support" / _NAME
    return Path(os.environ.get("XDG_DATA_HOME") or user / ".local" / "share") / _NAME


def environment_folder() -> Path:
    """The managed environment's folder; see `environment.read_marker` for whether there is a whole one."""
    return home_folder() / "environment"


def environment_python() -> Path:
    """The interpreter inside the managed environment, whether or not it exists."""
    if sys.platform == "win32":
        return environment_folder() / "Scripts" / "python.exe"
    return environment_folder() / "bin" / "python"


def logs_folder() -> Path:
    """Where the installer's log lies."""
    return home_folder() / "logs"
