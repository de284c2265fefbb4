# SPDX-License-Identifier: GPL-2.0-or-later
"""installbackend: the environment is complete or absent. Nothing is downloaded here; `make test` itself builds one."""

import pytest
from qgis.core import QgsProcessingException
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
    assert str(home / "logs" / "install.log") in message
    assert not (home / "environment").exists()


def test_folder_of_wheels_that_is_not_there_is_refused(home, folder):
    assert "There is no folder of wheels" in refusal("installbackend", WHEELS=folder / "none")


def test_base_that_is_no_python_is_refused(home, folder):
    (folder / "editor").write_text("", encoding="utf-8")
    assert "is not a Python interpreter" in refusal("installbackend", PYTHON=folder / "editor")


def test_cancelled_installation_leaves_no_environment(home, folder):
    (folder / "wheels").mkdir()
    log = Log()
    log.cancel()
    with pytest.raises(QgsProcessingException, match="installation was cancelled"):
        run("installbackend", log, WHEELS=folder / "wheels")
    assert not (home / "environment").exists()
