# SPDX-License-Identifier: GPL-2.0-or-later
"""Looking at Python interpreters from outside, by running them.

Imported by QGIS; standard library only. Inside QGIS ``sys.executable`` may be QGIS itself, and starting that opens a second
QGIS (qgis/QGIS #67318), so nothing is started whose name does not begin with ``python``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ..errors import ToolboxError
from .process import child_environment

MINIMUM_VERSION = (3, 10)
# What the backend imports, as import names, without what those bring along.
REQUIRED_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "segmentation_models_pytorch",
    "rasterio",
    "pyogrio",
    "shapely",
    "safetensors",
    "matplotlib",
    "numpy",
)
_TIMEOUT_SECONDS = 60  # a cold start from a network drive or under a virus scanner
_LOOK = """
import importlib.util, json, sys
def lacks(name):
    if name != "ssl":  # whose file may be there and not load
        return importlib.util.find_spec(name) is None
    try:
        import ssl
    except ImportError:
        return True
print(json.dumps([list(sys.version_info[:3]), [name for name in sys.argv[1:] if lacks(name)]]))
"""


class PythonReport(NamedTuple):
    """What an interpreter says about itself."""

    version: tuple[int, ...]  # e.g. (3, 11, 2)
    missing: tuple[str, ...]  # of the packages asked for


def inspect_python(path: Path, packages: tuple[str, ...] = REQUIRED_PACKAGES) -> PythonReport:
    """Runs an interpreter, isolated, and asks for its version and which of the packages it lacks (they are not imported).

    A few 100 ms at first; remembered in this process until the file or the packages' folder changes.

    Raises:
        ToolboxError: The file is not there, is not a Python, or does not run.
    """
    if not path.is_file():
        raise ToolboxError(f"there is no Python interpreter “{path}”")
    if not path.name.lower().startswith("python"):
        raise ToolboxError(f"“{path}” is not a Python interpreter (the name of its file should begin with “python”)")
    prefix = path.parent.parent
    watched = [path, *prefix.glob("lib*/python3*/site-packages"), *prefix.glob("Lib/site-packages")]
    return _inspect(path, packages, tuple(item.stat().st_mtime_ns for item in watched))


def missing_packages(path: Path) -> list[str]:
    """Import names of the packages the backend needs and this interpreter lacks; raises ToolboxError when it does not run."""
    return list(inspect_python(path).missing)


def python_beside(
    executable: str = sys.executable, exec_prefix: str = sys.exec_prefix, platform: str = sys.platform
) -> Path | None:
    """The real interpreter that belongs to the running Python, or None; tried by running it.

    Args:
        executable: ``sys.executable``: python, or the program that embeds it (qgis-bin.exe, QGIS.app/Contents/MacOS/QGIS).
        exec_prefix: ``sys.exec_prefix``, where its Python lives.
        platform: ``sys.platform``.
    """
    program, prefix = Path(executable), Path(exec_prefix)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if platform == "win32":
        candidates = [prefix / "python.exe", prefix / "python3.exe"]
    else:
        candidates = [prefix / "bin" / f"python{version}", prefix / "bin" / "python3"]
        if platform == "darwin":
            candidates = [program.parent / "bin" / "python3", program.parent / "python3", *candidates]
    # Last, because an embedded Python takes it from PATH, where a version manager may have put a stand-in of another Python.
    candidates += [program] if program.name.lower().startswith("python") else []
    for candidate in candidates:
        try:
            if inspect_python(candidate, ()).version[:2] == sys.version_info[:2]:
                return candidate
        except ToolboxError:  # not this one; the caller says what is missing when there is none
            continue
    return None


def check_base(python: Path | None) -> tuple[Path, bool]:
    """The Python to build on, tried out, and whether it brings a pip for environments; raises ToolboxError when it will not do."""
    base = python.expanduser().absolute() if python else python_beside()
    if base is None:
        raise ToolboxError("QGIS's own Python was not found: name a Python 3.10 or later to build on (PYTHON).")
    try:
        report = inspect_python(base, ("venv", "ensurepip", "pip", "ssl"))
    except ToolboxError as fault:
        raise ToolboxError(f"The environment cannot be built: {fault}. Name a Python 3.10 or later (PYTHON).") from fault
    if report.version[:2] < MINIMUM_VERSION:
        found = ".".join(map(str, report.version))
        raise ToolboxError(f"The Python “{base}” is version {found}: name a Python 3.10 or later to build on (PYTHON).")
    if "ssl" in report.missing:
        raise ToolboxError(f"The Python “{base}” cannot load ssl, without which nothing can be downloaded: name another one (PYTHON).")
    if "venv" in report.missing or {"ensurepip", "pip"} <= set(report.missing):
        lacking = " and ".join(name for name in ("venv", "ensurepip") if name in report.missing)
        raise ToolboxError(
            f"The Python “{base}” lacks its module {lacking}: install it with your system's package manager "
            "(on Debian and Ubuntu: apt install python3-venv), then try again."
        )
    return base, "ensurepip" not in report.missing


@lru_cache(maxsize=32)
def _inspect(path: Path, packages: tuple[str, ...], changed: tuple[int, ...]) -> PythonReport:
    """The uncached part of `inspect_python`; ``changed`` (modification times) only tells cached answers apart."""
    command = [str(path), "-I", "-X", "utf8", "-c", _LOOK, *packages]
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW
    else:
        flags = 0
    try:
        done = subprocess.run(
            command,
            env=child_environment(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
            creationflags=flags,
        )
        version, missing = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as fault:
        detail = (getattr(fault, "stderr", None) or b"").decode("utf-8", "replace").strip().splitlines()
        raise ToolboxError(f"the Python interpreter “{path}” does not run ({detail[-1] if detail else fault})") from fault
    return PythonReport(tuple(version), tuple(missing))
