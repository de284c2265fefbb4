# SPDX-License-Identifier: GPL-2.0-or-later
"""Child processes that share nothing with QGIS: a clean environment, a process group of their own, an end that takes all along.

Imported by QGIS; standard library only. QGIS sets PYTHONHOME, PATH, GDAL_DATA and more for itself, which break any other
Python (qgis/QGIS #67319), so a child gets only what is listed here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .places import HOME_VARIABLE, home_folder

# What a worker gets of the caller's variables: the user's places; the system; the network; devices and threads. Compared in
# upper case, because Windows does not distinguish.
_ALLOWED_NAMES = """
    HOME USER LOGNAME USERNAME USERPROFILE USERDOMAIN HOMEDRIVE HOMEPATH APPDATA LOCALAPPDATA XDG_DATA_HOME XDG_CACHE_HOME
    TEMP TMP TMPDIR SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT PROGRAMDATA PROGRAMFILES LANG LANGUAGE TZ
    NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE PROCESSOR_IDENTIFIER
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
    CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES PYTORCH_CUDA_ALLOC_CONF
    OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
"""
_ALLOWED = frozenset(_ALLOWED_NAMES.split())
_FORCED = {
    "PYTHONUTF8": "1",
    "HF_HUB_OFFLINE": "1",  # nothing is downloaded inside a run
    "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads must not burn the cores that QGIS and other jobs compute on
    "MPLBACKEND": "Agg",  # charts go to files; there may be no display
    "GDAL_VRT_ENABLE_PYTHON": "NO",  # a VRT may carry Python code; data is never run
}
# What pip and venv must not inherit.
_DROPPED_PREFIXES = ("PYTHON", "CONDA", "VIRTUAL_ENV", "GDAL", "PROJ", "QGIS", "QT_", "LD_", "DYLD_", "PIP_", "__PYVENV")
# Of pip's own variables only those about where packages come from: others, such as PIP_TARGET, would put them elsewhere.
_PIP_NAMES = """
    INDEX_URL EXTRA_INDEX_URL NO_INDEX FIND_LINKS TRUSTED_HOST PROXY CERT CLIENT_CERT DEFAULT_TIMEOUT TIMEOUT RETRIES RESUME_RETRIES
    CONFIG_FILE KEYRING_PROVIDER
"""
_PIP_ALLOWED = frozenset(f"PIP_{name}" for name in _PIP_NAMES.split())
_CUDA_DRIVER = "libcuda.so.1"


def child_environment(python: Path, source: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables for a worker: an allow-list of the caller's, and what we set.

    Args:
        python: The interpreter that will run; its folders lead PATH.
        source: The caller's variables; those of this process by default.
    """
    source = os.environ if source is None else source
    kept = {name: value for name, value in source.items() if name.upper() in _ALLOWED or name.upper().startswith("LC_")}
    driver = _driver_folders(source)
    if driver:
        kept["LD_LIBRARY_PATH"] = driver
    # Absolute, because the worker runs in another folder.
    return {**kept, **_FORCED, HOME_VARIABLE: str(home_folder()), "PATH": _search_path(python, source)}


def installer_environment(python: Path, source: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables for pip and venv: the caller's, without what bends a Python or leads packages elsewhere.

    Args:
        python: The interpreter that will run; its folders lead PATH, which QGIS's libraries are not on.
        source: The caller's variables; those of this process by default.
    """
    source = os.environ if source is None else source
    kept = {
        name: value
        for name, value in source.items()
        if name.upper() in _PIP_ALLOWED or not name.upper().startswith(_DROPPED_PREFIXES)
    }
    # The last two are stronger than the same in a settings file of pip.
    return {**kept, "PATH": _search_path(python, source), "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


def start_process(command: list[str], environment: dict[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """Starts a child in a process group of its own, on Windows without a console window; ``options`` go to Popen."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return subprocess.Popen(command, env=environment, creationflags=flags, **options)
    return subprocess.Popen(command, env=environment, start_new_session=True, **options)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Ends a child of `start_process` and all its descendants at once, and waits for the child."""
    if sys.platform == "win32":
        if process.poll() is None:
            command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(command, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
            process.kill()
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # reaches children left behind by a worker that is gone already
        except ProcessLookupError:  # nobody is left in the group
            pass
        except PermissionError:  # macOS says so for a group of zombies only
            process.kill()
    process.wait()


def _search_path(python: Path, source: Mapping[str, str]) -> str:
    """PATH with the interpreter's own folders and the system's, without QGIS's."""
    if sys.platform == "win32":
        root = Path(source.get("SYSTEMROOT", r"C:\Windows"))
        prefix = python.parent.parent if python.parent.name.lower() == "scripts" else python.parent
        # Library\bin holds the DLLs of a conda environment.
        folders = [prefix, prefix / "Scripts", prefix / "Library" / "bin", root / "System32", root, root / "System32" / "Wbem"]
        return os.pathsep.join(str(folder) for folder in folders if folder.is_dir())
    return os.pathsep.join([str(python.parent), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"])


def _driver_folders(source: Mapping[str, str]) -> str:
    """The part of LD_LIBRARY_PATH that holds NVIDIA's driver library: containers and clusters keep it outside the system's."""
    folders = source.get("LD_LIBRARY_PATH", "").split(":")
    return ":".join(folder for folder in folders if folder and Path(folder, _CUDA_DRIVER).exists())
