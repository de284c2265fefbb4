# SPDX-License-Identifier: GPL-2.0-or-later
"""installbackend: the environment is complete or absent. Nothing is downloaded here; `make test` itself builds one."""

import subprocess
from pathlib import Path

import pytest
from deep_learning_toolbox.backend.runtime.interpreter import SETTING
from deep_learning_toolbox.backend.runtime.setup.environment_folders import make_environment_folder
from qgis.core import QgsProcessingException, QgsSettings
from qgis_helpers import Log, refusal, run


@pytest.fixture
def home(folder, monkeypatch):
    """An empty home folder of the toolbox."""
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_HOME", str(folder / "home"))
    monkeypatch.delenv("DEEP_LEARNING_TOOLBOX_PYTHON")
    return folder / "home"


def test_folder_without_the_wheels_is_refused_with_the_log_and_leaves_no_environment(home, folder):
    (folder / "wheels").mkdir()
    message = refusal("installbackend", WHEELS=folder / "wheels", DEVICE="cpu")
    assert "The libraries cannot be installed" in message
    assert "the folder of wheels has no torch" in message
    assert str(home / "logs" / "install.log") in message
    assert list((home / "environments").glob("*")) == []


def test_folder_of_wheels_that_is_not_there_is_refused(home, folder):
    assert "There is no folder of wheels" in refusal("installbackend", WHEELS=folder / "none")


def test_base_that_is_no_python_is_refused(home, folder):
    (folder / "editor").write_text("", encoding="utf-8")
    assert "is not a Python interpreter" in refusal("installbackend", PYTHON=folder / "editor")


def test_cancelled_installation_leaves_no_environment(home, folder):
    (folder / "wheels").mkdir()
    log = Log()
    log.cancel()
    with pytest.raises(QgsProcessingException, match="installation was cancelled; what was there before is unchanged"):
        run("installbackend", log, WHEELS=folder / "wheels")
    assert list((home / "environments").glob("*")) == []


def test_what_is_there_and_what_will_come_is_said_first(home, folder):
    (folder / "wheels").mkdir()
    log = Log()
    with pytest.raises(QgsProcessingException):
        run("installbackend", log, WHEELS=folder / "wheels", DEVICE="cpu")
    told = "\n".join(log.infos)
    assert f"Home folder: {home}" in told
    assert "Environment: not installed" in told


def test_python_with_everything_can_be_used_as_it_is_and_is_remembered(home, worker_python):
    outputs = run("installbackend", Log(), ACTION="use", PYTHON=worker_python)
    assert outputs["PYTHON"] == str(worker_python)
    assert outputs["SUMMARY"].startswith("Ready")
    assert QgsSettings().value(SETTING) == str(worker_python)
    assert run("checksetup", Log())["READY"] is True
    QgsSettings().remove(SETTING)
    assert run("checksetup", Log())["READY"] is False


def test_python_that_lacks_the_libraries_is_not_taken(home):
    message = refusal("installbackend", ACTION="use", PYTHON="/usr/bin/python3")
    assert "parameter PYTHON cannot be used" in message
    assert "lacks" in message
    assert not QgsSettings().contains(SETTING)


def test_python_to_use_has_to_be_named(home):
    assert "name it in the parameter Python" in refusal("installbackend", ACTION="use")


def test_unknown_encoder_is_refused_before_anything_runs(home):
    assert "resnet99 cannot be fetched; choose among" in refusal("installbackend", ENCODERS="resnet99")
    assert not home.exists()


def test_environment_is_removed(home):
    make_environment_folder(home / "environments")
    QgsSettings().setValue(SETTING, "/usr/bin/python3")
    assert run("installbackend", Log(), ACTION="remove")["SUMMARY"].endswith("The Python that was set is not used any more.")
    assert not QgsSettings().contains(SETTING)
    assert list((home / "environments").glob("*")) == []


def test_variable_that_names_the_python_has_to_go_first(home, monkeypatch):
    monkeypatch.setenv("DEEP_LEARNING_TOOLBOX_PYTHON", "/opt/python3")
    assert "remove the variable and start QGIS again" in refusal("installbackend")
    assert not home.exists()


def test_libraries_that_are_there_but_do_not_work_are_not_taken(home, folder, worker_python):
    """A Python that has a timm which raises an error."""
    environment = folder / "other"
    subprocess.run([worker_python, "-I", "-m", "venv", "--without-pip", str(environment)], check=True)
    packages = next(environment.glob("lib/python3*/site-packages"))
    theirs = next(Path(worker_python).parent.parent.glob("lib/python3*/site-packages"))
    (packages / "all.pth").write_text(f"{theirs}\n", encoding="utf-8")
    (packages / "timm.py").write_text("raise ImportError('broken timm')", encoding="utf-8")
    message = refusal("installbackend", ACTION="use", PYTHON=environment / "bin" / "python")
    assert "do not work: ImportError: broken timm" in message
    assert not QgsSettings().contains(SETTING)
