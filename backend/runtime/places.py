# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the toolbox keeps its own files: outside the plugin folder and QGIS's profile, so that upgrades leave them alone."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_VARIABLE = "DEEP_LEARNING_TOOLBOX_HOME"
IN_USE = "in_use.lock"  # in a managed environment: held by each worker that runs in it
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


def marker_file() -> Path:
    """The file that names the managed environment in use, see `marker`."""
    return home_folder() / "environment.json"


def environments_folder() -> Path:
    """Where managed environments are built unless the user names another folder."""
    return home_folder() / "environments"


def python_in(environment: Path) -> Path:
    """The interpreter of a virtual environment, whether or not it exists."""
    if sys.platform == "win32":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def logs_folder() -> Path:
    """Where the installer's log lies."""
    return home_folder() / "logs"


def install_log() -> Path:
    """The installer's log."""
    return logs_folder() / "install.log"


def encoders_folder() -> Path:
    """Where pretrained encoders are kept."""
    return home_folder() / "encoders"
