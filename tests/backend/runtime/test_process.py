# SPDX-License-Identifier: GPL-2.0-or-later
"""What a child process gets of the caller's environment, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.runtime.process import child_environment, installer_environment, kill_tree, start_process

QGIS_LIKE = {
    "HOME": "/home/ä",
    "USERPROFILE": r"C:\Users\ä",
    "LANG": "de_DE.UTF-8",
    "LC_NUMERIC": "C",
    "https_proxy": "proxy:1",
    "SSL_CERT_FILE": "ca.pem",
    "CUDA_VISIBLE_DEVICES": "1",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_CORETYPE": "x",
    "PATH": "/opt/qgis/bin:/usr/bin",
    "PYTHONHOME": "/opt/qgis",
    "PYTHONPATH": "/opt/qgis/python",
    "PIP_INDEX_URL": "index",
    "VIRTUAL_ENV": "/v",
    "CONDA_PREFIX": "/c",
    "GDAL_DATA": "/g",
    "PROJ_LIB": "/p",
    "QGIS_PREFIX_PATH": "/q",
    "QT_PLUGIN_PATH": "/qt",
    "LD_LIBRARY_PATH": "/opt/qgis/lib",
    "DYLD_LIBRARY_PATH": "/opt/qgis/lib",
    "SECRET_TOKEN": "s",
    "HF_HUB_OFFLINE": "0",
}


def test_a_worker_gets_what_is_allowed_and_nothing_else(home):
    environment = child_environment(Path("/env/bin/python"), QGIS_LIKE)
    kept = "HOME USERPROFILE LANG LC_NUMERIC https_proxy SSL_CERT_FILE CUDA_VISIBLE_DEVICES OMP_NUM_THREADS OPENBLAS_CORETYPE"
    assert {name: environment.pop(name) for name in kept.split()} == {name: QGIS_LIKE[name] for name in kept.split()}
    assert "/opt/qgis/bin" not in environment.pop("PATH")
    assert environment == {
        "PYTHONUTF8": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "MPLBACKEND": "Agg",
        "GDAL_VRT_ENABLE_PYTHON": "NO",
        "DEEP_LEARNING_TOOLBOX_HOME": str(home),
    }


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
def test_the_path_begins_with_the_interpreters_folder():
    assert child_environment(Path("/env/bin/python"), QGIS_LIKE)["PATH"].split(":")[:2] == ["/env/bin", "/usr/local/bin"]


def test_folders_of_the_nvidia_driver_stay_on_the_library_path(tmp_path):
    driver, other = tmp_path / "driver", tmp_path / "qgis"
    driver.mkdir()
    other.mkdir()
    (driver / "libcuda.so.1").touch()
    environment = child_environment(Path("python"), {"LD_LIBRARY_PATH": f"{other}::{driver}"})
    assert environment["LD_LIBRARY_PATH"] == str(driver)


def test_pip_keeps_the_users_settings_but_not_those_of_a_python():
    environment = installer_environment(Path("/opt/my python/bin/python3"), {**QGIS_LIKE, "PIP_TARGET": "/t", "PIP_USER": "1"})
    assert environment["PIP_INDEX_URL"] == "index"
    assert environment["https_proxy"] == "proxy:1"
    assert environment["PATH"].startswith("/opt/my python/bin:")
    assert "/opt/qgis" not in environment["PATH"]
    assert environment["PIP_USER"] == "0"
    assert "PIP_TARGET" not in environment
    assert not {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "GDAL_DATA"} & set(environment)


@pytest.mark.skipif(os.name != "posix", reason="process groups of POSIX")
def test_killing_takes_the_descendants_along():
    # Both shells wait for the innermost sleep, which holds the pipe open as long as it lives.
    process = start_process(["sh", "-c", "sh -c 'sleep 60' & echo up; wait"], dict(os.environ), stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    started = time.monotonic()
    kill_tree(process)
    assert process.stdout.read() == b""
    assert time.monotonic() - started < 2
    assert process.returncode == -9
    kill_tree(process)  # again, with nobody left
